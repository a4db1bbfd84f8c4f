"""Plants one violation of each rule in a sound little repository and expects exactly that one."""

import tempfile
import unittest
from pathlib import Path

import repository_check
from source_tree import SourceTree

SOUND = {
    "README.md": "See [the wire](protocol/README.md#frames-of-a-session), [tools](tools/) and [OPA](https://example.org).\n"
    "## Finding your way\n| folder | what |\n|---|---|\n| `tests/unit/` | tests |\n| [`tools/lint/`](tools/) | lint |\n",
    "protocol/README.md": "# Frames of a `session`\n## Both\n## Both\nBack to [the map](../README.md), [second](#both-1).\n"
    "```\n# Not a heading\n[not a link](nowhere)\n```\n",
    "tools/lint/check.py": '# protocol/README.md, "Frames of a\n# session"\n',
    "CMakeLists.txt": "add_subdirectory(tests)\n",
    "tests/CMakeLists.txt": "notp_test(NAME test_model LABEL unit SOURCES unit/test_model.cpp)\n",
    "tests/unit/test_model.cpp": "int one();\n",
    "tools/run": "#!/usr/bin/env bash\necho hello\n",
}

# Written in two halves, because this file is looked at too.
MACHINE_PATH = "/ro" + "ot/notp/build"
REGISTRY = "proxy.golang" + ".org"
ISSUE = "issue" + " 17"

# what is planted: file -> text, and a word of the finding
PLANTED = [
    ({"docs/guide.md": "hello\n"}, "top level"),
    ({"notes.txt": "hello\n"}, "top level"),
    ({"common/utils/text": "#pragma once\n"}, "named after"),
    ({"tools/lint/long.cpp": "\n" * 601}, "more than 600"),
    ({"tools/lint/log.cpp": f"// see {MACHINE_PATH}/log\n"}, "one machine"),
    ({"tools/fetch.sh": f"curl {REGISTRY}\n"}, "registry"),
    ({"tools/lint/log.cpp": f"// fixes {ISSUE}\n"}, "tracker"),
    ({"protocol/model.md": "[gone](gone.md)\n"}, "does not exist"),
    ({"protocol/README.md": "# Frames of a session\n[up](README2.md)\n"}, "does not exist"),
    ({"protocol/model.md": "[up](README.md#frames)\n"}, "no such heading"),
    ({"protocol/model.md": "[up](README.md#not-a-heading)\n"}, "no such heading"),
    ({"protocol/model.md": "# One\n[here](#two)\n"}, "no such heading"),
    ({"tests/unit/test_model.cpp": '// protocol/README.md, "Chunks".\n'}, "no such heading"),
    ({"tests/unit/test_model.cpp": '// protocol/wire/README.md, "Chunks".\n'}, "names protocol/wire"),
    ({"tests/README.md": "`unit/test_gone`, `test_model`, `unit/test_mod*`, `test_sim_<bug>`\n"}, "test_gone"),
    ({"tests/README.md": "`build/dev/tests/test_gone* -s`\n"}, "test_gone"),
    ({"common/log.cpp": "\n"}, "no row of common/"),
    ({"README.md": "# Frames\n"}, "the map of the folders"),
    ({"README.md": SOUND["README.md"] + "| `tools/lint/` | again |\n"}, "2 rows"),
    ({"README.md": SOUND["README.md"] + "| `tools/gone/` | gone |\n"}, "does not exist"),
    ({"tools/broken.sh": "if true; then\n"}, "cannot parse"),
    ({"tools/run": "#!/usr/bin/env bash\nfor\n"}, "cannot parse"),
    ({"tests/unit/test_forgotten.cpp": "int one();\n"}, "never runs"),
    ({"tests/unit/model.cpp": "int one();\n"}, "never runs"),
    ({"tools/lint/new_test.py": "pass\n"}, "never runs"),
    ({"tools/lint/CMakeLists.txt": "add_test(NAME arrows COMMAND python3)\n"}, "no LABELS"),
    ({"tests/e2e/CMakeLists.txt": "notp_test(NAME fast SOURCES x)\n"}, "no LABEL"),
]


class RepositoryCheck(unittest.TestCase):
    def findings(self, planted: dict[str, str]) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for path, text in (SOUND | planted).items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text)
            (root / "tools/run").chmod(0o755)
            return [str(f) for f in repository_check.check(SourceTree.walked(root))]

    def test_a_sound_repository_passes(self):
        self.assertEqual(self.findings({}), [])

    def test_every_planted_violation_is_found_once(self):
        for planted, word in PLANTED:
            with self.subTest(planted=list(planted)):
                found = self.findings(planted)
                self.assertEqual(len(found), 1, found)
                self.assertIn(word, found[0])

    def test_names_that_have_a_standard_one_are_found(self):
        found = " ".join(self.findings({"common/desk.cpp": "class Desk {};\n"}))
        self.assertEqual([word for word in ("Desk", "request_handler") if word in found], ["Desk", "request_handler"])

    def test_a_program_that_is_not_executable_is_found(self):
        found = self.findings({"tools/walk": "#!/usr/bin/env python3\n"})
        self.assertEqual(len(found), 1, found)
        self.assertIn("chmod", found[0])

    def test_labels_by_property_count(self):
        text = "add_test(NAME a COMMAND x)\nset_tests_properties(a b PROPERTIES LABELS unit)\n"
        self.assertEqual(self.findings({"tools/lint/CMakeLists.txt": text}), [])


if __name__ == "__main__":
    unittest.main()
