"""Plants an unformatted file and expects it, and not its formatted neighbour, to be found."""

import tempfile
import unittest
from pathlib import Path

import format_check
from source_tree import SourceTree


class FormatCheck(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        repository = Path(__file__).resolve().parents[2]
        (self.root / ".clang-format").write_text((repository / ".clang-format").read_text())
        (self.root / "good.cpp").write_text("int add(int a, int b) { return a + b; }\n")

    def test_formatted_files_pass(self):
        self.assertEqual(format_check.check(SourceTree.walked(self.root)), [])

    def test_an_unformatted_file_is_found_at_its_first_line(self):
        (self.root / "bad.cpp").write_text("int one() { return 1; }\nint  two( ) {return 2;}\n")
        found = format_check.check(SourceTree.walked(self.root))
        self.assertEqual([(f.path, f.line) for f in found], [("bad.cpp", 2)])

    def test_a_broken_configuration_is_a_finding_not_a_pass(self):
        (self.root / ".clang-format").write_text("ColumnLimit: many\n")
        self.assertNotEqual(format_check.check(SourceTree.walked(self.root)), [])


if __name__ == "__main__":
    unittest.main()
