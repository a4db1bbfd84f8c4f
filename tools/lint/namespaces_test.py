"""Plants names in the namespace of another folder."""

import tempfile
import unittest
from pathlib import Path

import namespaces
from source_tree import SourceTree


class Namespaces(unittest.TestCase):
    def findings(self, path: str, text: str) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / path
            file.parent.mkdir(parents=True)
            file.write_text(text)
            return [str(finding) for finding in namespaces.namespaces(SourceTree.walked(Path(folder)))]

    def test_names_are_in_the_namespace_of_their_folder(self):
        for path, block in [
            ("notp-server/registry/registry.hpp", "notp::registry"),
            ("notp-server/registry/git_pack_format.hpp", "notp::registry::git_pack_format"),
            ("notp-client/agent/core/install.cpp", "notp::agent"),
            ("common/limits.hpp", "notp::limits"),
            ("protocol/session/server/session_limits.hpp", "notp::limits"),
            ("common/rego/host/engine.hpp", "notp::rego"),
            ("tests/unit/test_model.cpp", "notp"),
        ]:
            with self.subTest(path=path):
                self.assertEqual(self.findings(path, f"namespace {block} {{\n}}\n"), [])

    def test_another_folders_namespace_is_a_finding(self):
        found = self.findings("notp-server/registry/registry.hpp", "\nnamespace notp {\n}\n")
        self.assertEqual(found, ["notp-server/registry/registry.hpp:2: notp: what is in notp-server/registry/ is in notp::registry"])
        self.assertEqual(len(self.findings("protocol/trust/verify.cpp", "namespace notp::trusted {\n}\n")), 1)

    def test_a_folder_without_a_row_is_a_finding(self):
        found = self.findings("notp-client/relay/relay.hpp", "namespace notp::relay {\n}\n")
        self.assertIn("no row", found[0])

    def test_namespaces_of_others_and_comments_do_not_count(self):
        text = "// namespace notp {\nnamespace fs = std::filesystem;\nnamespace SQLite {\n}\nnamespace {\n}\n"
        self.assertEqual(self.findings("notp-client/store/sqlite.cpp", text), [])

    def test_every_row_is_about_files(self):
        tree = SourceTree.tracked(Path(__file__).resolve().parents[2])
        for row in namespaces.NAMESPACES:
            with self.subTest(row=row):
                self.assertTrue(any(path.startswith(row) for path in tree.paths))


if __name__ == "__main__":
    unittest.main()
