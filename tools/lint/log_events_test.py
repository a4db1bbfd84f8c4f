"""Plants differences between calls and catalogue, and expects each to be found."""

import copy
import json
import tempfile
import unittest
from pathlib import Path

import log_events
from source_tree import SourceTree

SERVER = "notp-server/app/app.cpp"
SOURCE = """
void f() {
  log::info("serving", {{"listen", fmt::format("{}, {}", a(1, 2), b)},
                        {"ledgers", ledgers.size()}});
  log::write(bad ? log::Level::kWarn : log::Level::kInfo, bad ? "refused" : "published",
             {{"ledger", ledger.text()}});
  if (!done) return notp::log::write(log::Level::kError, "not_done", done.error(), {{"ledger", "a, {b}"}});
}
"""
CATALOGUE = {
    "fields": {
        name: {"type": "string", "means": "x"}
        for name in ("time", "level", "event", "code", "message", "line", "listen", "ledgers", "ledger")
    },
    "error_context": ["line"],
    "events": {
        "serving": {"levels": ["info"], "programs": ["notp-server"], "fields": ["listen", "ledgers"], "means": "x"},
        "refused": {"levels": ["warn"], "programs": ["notp-server"], "fields": ["ledger"], "means": "x", "do": "x"},
        "published": {"levels": ["info"], "programs": ["notp-server"], "fields": ["ledger"], "means": "x"},
        "not_done": {"levels": ["error"], "programs": ["notp-server"], "error": True, "fields": ["ledger"],
                     "means": "x", "do": "x"},
    },
}


def changed(*path, to):
    """The catalogue with one value changed; None removes it."""
    catalogue = copy.deepcopy(CATALOGUE)
    inner = catalogue
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = to
    if to is None:
        del inner[path[-1]]
    return catalogue


EXTRA = {"levels": ["info"], "programs": ["notp-server"], "fields": [], "means": "x"}
PLANTED_IN_CATALOGUE = [
    (changed("events", "published", to=None), "'published' is not in"),
    (changed("events", "extra", to=EXTRA), "'extra' is logged nowhere"),
    (changed("events", "serving", "levels", to=["info", "error"]), "'serving' is nowhere logged at error"),
    (changed("events", "refused", "fields", to=["ledger", "listen"]), "with the field 'listen'"),
    (changed("events", "serving", "fields", to=["listen"]), "'serving' has no field 'ledgers'"),
    (changed("events", "not_done", "error", to=False), "'not_done' carries an error"),
    (changed("events", "refused", "error", to=True), "'refused' is nowhere logged with an error"),
    (changed("events", "not_done", "do", to=None), "does not say what to do"),
    (changed("events", "serving", "programs", to=["notp-client"]), "an event of notp-server too"),
    (changed("events", "serving", "programs", to=["notp-server", "notp-client"]), "by notp-server alone"),
    (changed("fields", "ledger", to=None), "'ledger' has no type"),
    (changed("fields", "left", to={"type": "string", "means": "x"}), "no event has the field 'left'"),
    (changed("fields", "leftOver", to={"type": "string", "means": "x"}), "lower-case words"),
]
PLANTED_IN_SOURCE = [
    ('log::info(name, {});', "names its event"),
    ('log::warn("serving");', "at another level"),
    ('log::info("serving", {{"port", 1}});', "no field 'port'"),
    ('log::write(log::Level::kInfo, "serving", error);', "carries an error"),
]


class LogEvents(unittest.TestCase):
    def findings(self, source: str, catalogue: dict) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            for path, text in {SERVER: source, log_events.CATALOGUE: json.dumps(catalogue)}.items():
                (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
                (Path(folder) / path).write_text(text, encoding="utf-8")
            tree = SourceTree(Path(folder), [SERVER, log_events.CATALOGUE])
            return [str(one) for one in log_events.check(tree)]

    def test_sound(self):
        self.assertEqual(self.findings(SOURCE, CATALOGUE), [])

    def test_calls_are_read(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / SERVER).parent.mkdir(parents=True)
            (Path(folder) / SERVER).write_text(SOURCE, encoding="utf-8")
            serving, either, failed = log_events.calls(SourceTree(Path(folder), [SERVER]))
        self.assertEqual(serving[2:], ({"info"}, ["serving"], {"listen", "ledgers"}, False))
        self.assertEqual(either[2:], ({"info", "warn"}, ["refused", "published"], {"ledger"}, False))
        self.assertEqual(failed[1:], (7, {"error"}, ["not_done"], {"ledger"}, True))

    def test_planted(self):
        for catalogue, word in PLANTED_IN_CATALOGUE:
            with self.subTest(word):
                findings = self.findings(SOURCE, catalogue)
                self.assertTrue(any(word in one for one in findings), findings)
        for call, word in PLANTED_IN_SOURCE:
            with self.subTest(word):
                findings = self.findings(SOURCE + call, CATALOGUE)
                self.assertEqual(len(findings), 1, findings)
                self.assertIn(word, findings[0])


if __name__ == "__main__":
    unittest.main()
