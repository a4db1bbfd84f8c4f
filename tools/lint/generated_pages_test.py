"""Makes pages of small sources, and expects each stale page to be found with the command."""

import json
import tempfile
import unittest
from pathlib import Path

import arrow_graph
import config_reference
import generated_pages
import limits_page
import log_events
from source_tree import SourceTree

SECTION = {
    "type": "object",
    "required": ["path"],
    "properties": {
        "path": {"$ref": "parts.schema.json#/definitions/path"},
        "mode": {"type": "string", "enum": ["a", "b"], "default": "a", "title": "how"},
    },
}
SCHEMA = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 2, "maxLength": 9, "description": "a|b"},
        "count": {"type": "integer", "minimum": 1, "maximum": 8, "default": 3},
        "store": {"$ref": "config/store.schema.json"},
        "rules": {
            "type": "array",
            "default": [],
            "items": {"type": "object", "properties": {"to": {"type": "boolean"}}},
        },
    },
}
PARTS = {"definitions": {"path": {"type": "string", "description": "a folder"}}}
EVENTS = {
    "fields": {"signal": {"type": "integer", "means": "its number"}},
    "error_context": ["line"],
    "events": {
        "stopping": {"levels": ["info"], "programs": ["notp-client"], "fields": ["signal"], "means": "It ends."},
        "lost": {"levels": ["warn", "error"], "programs": ["notp-server"], "error": True, "fields": [],
                 "means": "a|b", "do": "Look."},
    },
}
LIMITS = """
// --- frames
inline constexpr size_t kFrameBytesMax = 1 << 20;  // whole
// So long
// it may take.
inline constexpr int64_t kIdleMs = 90'000, kCloseMs = kIdleMs - 60'000;
"""


def source_tree(folder: str) -> SourceTree:
    files = {
        "schemas/server-config.schema.json": json.dumps(SCHEMA),
        "schemas/agent-config.schema.json": json.dumps(SCHEMA),
        "schemas/mirror-config.schema.json": json.dumps(SCHEMA),
        "schemas/config/store.schema.json": json.dumps(SECTION),
        "schemas/config/parts.schema.json": json.dumps(PARTS),
        "common/limits.hpp": LIMITS,
        log_events.CATALOGUE: json.dumps(EVENTS),
        arrow_graph.PAGE: "# Ground\n",
    }
    for path, text in files.items():
        (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
        (Path(folder) / path).write_text(text, encoding="utf-8")
    return SourceTree(Path(folder), files)


class GeneratedPages(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = source_tree(folder.name)

    def test_configuration(self):
        page = config_reference.page(self.tree)
        for line in (
            "| `name` | string | *required* | 2 to 9 characters | a\\|b |",
            "| `count` | integer | `3` | 1 to 8 |  |",
            "| `store` | object | – |  |  |",
            "| `store.path` | string | *required* |  | a folder |",
            "| `store.mode` | string | `a` | `a`, `b` | how |",
            "| `rules` | list of objects | `[]` |  |  |",
            "| `rules[].to` | boolean | – |  |  |",
        ):
            self.assertIn(line + "\n", page)

    def test_limits(self):
        page = limits_page.page(self.tree)
        self.assertIn("## Frames\n", page)
        self.assertIn("| `kFrameBytesMax` | 1 048 576 (1 MiB) | whole |\n", page)
        self.assertIn("| `kIdleMs` | 90 000 (90 s) | So long it may take. |\n", page)
        self.assertIn("| `kCloseMs` | 30 000 (30 s) | So long it may take. |\n", page)

    def test_log_events(self):
        server, client = log_events.page(self.tree).split("## notp-client\n")
        self.assertIn("| `lost` | warn, error | a\\|b | Look. | *with an error* |\n", server)
        self.assertNotIn("stopping", server)
        self.assertIn("| `stopping` | info | It ends. |  | `signal` |\n", client)
        self.assertIn("| `signal` | integer | its number |\n", client)

    def test_stale_and_missing_pages_are_found(self):
        missing = generated_pages.check(self.tree)
        self.assertEqual([one.path for one in missing], list(generated_pages.PAGES))
        self.assertIn(generated_pages.COMMAND, missing[0].text)
        generated_pages.write(self.tree)
        self.tree = SourceTree.walked(self.tree.root)
        self.assertEqual(generated_pages.check(self.tree), [])
        page = self.tree.root / limits_page.PAGE
        page.write_text(page.read_text(encoding="utf-8").replace("90 000", "91 000"), encoding="utf-8")
        stale = generated_pages.check(self.tree)
        self.assertEqual([one.path for one in stale], [limits_page.PAGE])
        self.assertGreater(stale[0].line, 1)

    def test_only_arithmetic_is_evaluated(self):
        with self.assertRaises(ValueError):
            limits_page.value_of("exit()", {})


if __name__ == "__main__":
    unittest.main()
