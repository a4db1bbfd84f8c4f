"""Draws the arrows of a small table, and puts them into a page."""

import tempfile
import unittest
from pathlib import Path

import arrow_graph
from source_tree import SourceTree

RULES = {
    "common/": (["common/"], "the ground"),
    "protocol/wire/": (["common/"], "the codec"),
    "protocol/session/": (["common/", "protocol/wire/"], "the conversation"),
    "notp-server/": (["common/", "protocol/", "notp-server/"], "the wiring"),
    "notp-server/service/": (["common/", "protocol/session/session.hpp"], "the service"),
    "tests/": ([""], "tests drive all the parts"),
}


class ArrowGraph(unittest.TestCase):
    def page(self, before: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / arrow_graph.PAGE
            path.parent.mkdir()
            path.write_text(before)
            return arrow_graph.page(SourceTree.walked(Path(folder)), RULES, [])

    def test_arrows_that_a_longer_way_says_are_left_out(self):
        arrows = arrow_graph.direct_arrows(RULES)
        self.assertEqual(arrows["notp-server/service/"], {"common/", "protocol/session/"})
        self.assertEqual(
            arrow_graph.reduced(arrows),
            {
                "common/": set(),
                "protocol/wire/": {"common/"},
                "protocol/session/": {"protocol/wire/"},
                "notp-server/service/": {"protocol/session/"},
                "notp-server/": {"notp-server/service/"},
            },
        )

    def test_the_part_between_the_marks_is_replaced(self):
        page = self.page(f"# Ground\n{arrow_graph.BEGIN}old\n{arrow_graph.END}\nafter\n")
        self.assertTrue(page.startswith("# Ground\n") and page.endswith("after\n"), page)
        self.assertIn("  protocol_session --> protocol_wire\n", page)
        self.assertIn("| `protocol/session/` | `common/`, `protocol/wire/` | the conversation |\n", page)
        self.assertNotIn("old", page)
        self.assertEqual(self.page(page), page)

    def test_a_page_without_marks_gets_them_at_its_end(self):
        page = self.page("# Ground\n")
        self.assertTrue(page.startswith("# Ground\n" + arrow_graph.BEGIN) and page.endswith(arrow_graph.END), page)


if __name__ == "__main__":
    unittest.main()
