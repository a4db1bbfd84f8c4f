"""Plants names that have a standard one, and names that only look like them."""

import re
import tempfile
import unittest
from pathlib import Path

import house_words
from source_tree import SourceTree

FOUND = [
    ("notp-server/service/queue.hpp", "class Desk {};\n", "RequestHandler"),
    ("notp-server/service/queue.hpp", "void f(const wire::LedgersQuery& asked);\n", "Request"),
    ("schemas/notp.proto", "message Answer {\n", "Response"),
    ("protocol/wire/outbox.hpp", "#pragma once\n", "send_queue"),
    ("common/lock.hpp", "Current<int> value_;\n", "AtomicShared"),
    ("notp-client/agent/core.cpp", "bool vouched = false;\n", "attested"),
    ("notp-client/agent/core.cpp", 'log("the registry vouches for it");\n', "attest"),
    ("notp-client/agent/core.cpp", 'log("nobody may ask");\n', "say which"),
    ("README.md", "notp publish --fresh-s 300\n", "--stale-after"),
    ("common/log.cpp", "// what every room needs\n", "component"),
]

NOT_FOUND = [
    # In a comment, in a string, in another component, part of another word, or a name that stays.
    ("common/log.cpp", "// the desk of the registry\n"),
    ("common/log.cpp", 'print("desk");\n'),
    ("common/http/router.cpp", "Answer answer;\n"),
    ("common/lock.hpp", "int current = 0;\n"),
    ("notp-client/agent/core.cpp", "row.vouched_ms = 0;\n"),
    ("notp-client/agent/core.cpp", 'out["vouched_ms"] = 0;\n'),
    ("common/log.cpp", "// a session has room for 64 ledgers\n"),
    ("tools/notp/terms.cpp", 'alias("--fresh-s");\n'),
    ("tools/lint/house.cpp", "class Desk {};\n"),
]


class HouseWords(unittest.TestCase):
    def findings(self, path: str, text: str) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / path).write_text(text)
            return [str(f) for f in house_words.house_words(SourceTree.walked(Path(folder)))]

    def test_a_name_that_has_a_standard_one_is_found(self):
        for path, text, standard in FOUND:
            with self.subTest(path=path, text=text):
                found = self.findings(path, text)
                self.assertEqual(len(found), 1, found)
                self.assertIn(standard, found[0])

    def test_other_words_pass(self):
        for path, text in NOT_FOUND:
            with self.subTest(path=path, text=text):
                self.assertEqual(self.findings(path, text), [])

    def test_the_line_is_named(self):
        found = self.findings("common/log.cpp", '/* a\n * comment */ auto s = "x";\n\nDesk desk_;\n')
        self.assertEqual([f.split(": ")[0] for f in found], ["common/log.cpp:4"] * 2)
        found = self.findings("common/log.cpp", '// one\n/* two\n */\nprint("nobody");\n')
        self.assertEqual([f.split(": ")[0] for f in found], ["common/log.cpp:4"])

    def test_no_standard_name_is_refused_itself(self):
        everywhere = [name.pattern for name in house_words.CODE if name.below == ("",)]
        for name in house_words.CODE + house_words.FILES:
            for word in filter(str.isidentifier, re.split(r"[, ]+", name.standard)):
                with self.subTest(word=word):
                    self.assertEqual([pattern for pattern in everywhere if re.search(pattern, word)], [])


if __name__ == "__main__":
    unittest.main()
