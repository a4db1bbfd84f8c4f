"""Makes pages of a small program and a small schema, and expects each mistake to be refused."""

import json
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import manual  # first: puts tools/lint on the path
import command_pages
import config_pages
from config_reference import load
from scdoc_text import ManualError, page, prose, sentence
from source_tree import SourceTree

FOOTER = """
Proxy: through it, and 'proxy: none' directly.

Exit codes:
  0  done                             2  a name_with *stars*
  1  a failure                        3  changes (plan --exit,
                                         diff --exit)"""
HELP = {"names": ["-h", "--help"], "about": "Print this help", "group": "Options"}
PROGRAM = {
    "about": "Does things",
    "needs_command": True,
    "footer": FOOTER,
    "options": [HELP, {"names": ["--config"], "value": "FILE", "about": "a file", "group": "Options", "variable": "X_CONFIG"}],
    "children": [
        {
            "path": "put",
            "about": "Put a thing",
            "footer": command_pages.INHERITED_FOOTER,
            "children": [],
            "one_of": ["Who"],
            "options": [
                HELP,
                {"names": ["-n", "--limit"], "value": "N", "about": "how many", "checks": ["INT in [1 - 9]"], "default": "3", "group": "Options"},
                {"names": ["--mode"], "value": "TEXT", "choices": ["a_b", "c"], "about": "which", "group": "Options", "required": True},
                {"names": ["--node"], "value": "NAME", "about": "a node", "group": "Who"},
                {"names": ["--all"], "about": "all", "group": "Who"},
                {"argument": "ledger", "value": "ZONE/NAME", "about": "the ledger", "group": "Positionals"},
            ],
        },
        {
            "path": "list",
            "about": "List",
            "children": [{"path": "list old", "about": "List old ones", "options": [HELP], "children": []}],
            "options": [HELP],
        },
    ],
}  # fmt: skip
SCHEMA = {
    "x-reload": ["hosts"],
    "required": ["size_bytes"],
    "properties": {
        "size_bytes": {"type": "integer", "minimum": 1, "maximum": 8, "description": "how much"},
        "hosts": {
            "type": "array",
            "default": [],
            "items": {"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}], "properties": {"a": {"type": "string"}}},
        },
        "labels": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 4}},
        "keep_days": {"type": "object", "properties": {"max": {"type": "integer", "default": 7}}},
    },
}
PUT = PROGRAM["children"][0]
FILE = config_pages.File("x.yaml", "x", "a file", "x", True)


class Commands(unittest.TestCase):
    def test_synopsis_names_what_is_required(self):
        self.assertEqual(
            command_pages.synopsis("notp", PUT),
            r"*notp put* [_options_] *--mode* *a\_b*|*c* {*--node* _NAME_|*--all*} [_ledger_]",
        )

    def test_a_command_that_needs_none_of_its_subcommands_is_one_itself(self):
        self.assertEqual(command_pages.synopses("notp", PROGRAM["children"][1]), "*notp list*++\n*notp list old*\n")

    def test_options(self):
        text = command_pages.options_text(PUT, heading=True)
        self.assertIn("*-n*, *--limit* _N_\n\tHow many. From 1 to 9. The default is *3*.\n", text)
        self.assertIn("Who: Exactly one of these is required.\n", text)
        self.assertNotIn("--help", text)

    def test_a_check_without_words_is_refused(self):
        with self.assertRaisesRegex(ManualError, "ODD"):
            command_pages.facts({"names": ["--x"], "checks": ["ODD"]})

    def test_exit_codes_come_from_the_help_in_two_columns(self):
        self.assertEqual(
            command_pages.exit_table(FOOTER),
            {0: "done", 1: "a failure", 2: "a name_with *stars*", 3: "changes (plan --exit, diff --exit)"},
        )
        with self.assertRaises(ManualError):
            command_pages.exit_table("Exit codes:\n  0  done      2  odd\n")
        with self.assertRaises(ManualError):
            command_pages.exit_table("Exit codes:\n  0  done      1  one\n  1  two\n")
        ten = "".join(f"  {n}  left   {n + 5:>2}  right\n" for n in range(4)) + "  4  left    9  right\n             10  last\n"
        self.assertEqual(command_pages.exit_table("Exit codes:\n" + ten)[10], "last")

    def test_errors_stand_with_the_code_that_they_end_with(self):
        header = "inline constexpr int kOk = 0;\ninline constexpr int kDenied = 5;\n X(kNoCertificate, 31, kStop, kDenied) \\\n"
        self.assertEqual(command_pages.error_names(header), {5: ["no_certificate"]})

    def test_examples_must_be_commands_of_the_program(self):
        programs = {"notp": command_pages.Program("notp", 1, PROGRAM)}
        for line in ("notp put --limit 3 x", "notp --config a put -n 3 | sort --key 2", "notp list old  # --what"):
            command_pages.check_example(line, programs)
        for line in ("notp put --limits 3", "notp stop", "notp list --limit 2", "notp 'put"):
            with self.subTest(line), self.assertRaises(ManualError):
                command_pages.check_example(line, programs)


class Configurations(unittest.TestCase):
    def entries(self):
        return list(config_pages.keys(SCHEMA, applies=config_pages.applies_text(SCHEMA, FILE)))

    def test_each_key_with_type_unit_range_default_and_when_it_counts(self):
        self.assertEqual(
            self.entries(),
            [
                "*size\\_bytes*\n\tHow much.++\nType: integer, in bytes; 1 to 8. Required. Needs a restart.\n\n",
                "*hosts*\n\tExactly one of *a*, *b* is given.++\nType: list of objects. Default: *[]*. Reloaded.\n\n",
                "*hosts[].a*\n\tType: string. Reloaded.\n\n",
                "*labels*\n\tType: object. Needs a restart.\n\n",
                "*labels.NAME*\n\tType: string; at most 4 characters. Needs a restart.\n\n",
                "*keep\\_days*\n\tType: object. Needs a restart.\n\n",
                "*keep\\_days.max*\n\tType: integer, in days. Default: *7*. Needs a restart.\n\n",
            ],
        )

    def test_a_reloaded_key_exists(self):
        with self.assertRaisesRegex(ManualError, "ports"):
            config_pages.applies_text({**SCHEMA, "x-reload": ["ports"]}, FILE)

    def test_a_schema_that_refers_to_itself(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "schemas").mkdir()
            schema = {"properties": {"a": {"$ref": "#/definitions/d"}}, "definitions": {"d": {"type": "string"}}}
            (Path(folder) / "schemas/x.schema.json").write_text(json.dumps(schema), encoding="utf-8")
            self.assertEqual(load(SourceTree(Path(folder), []), "schemas/x.schema.json")["properties"], {"a": {"type": "string"}})


class Text(unittest.TestCase):
    def test_what_is_quoted_is_bold_and_markup_is_shown(self):
        self.assertEqual(prose("the ledgers' 'notp init', a_b, *, `x`"), r"the ledgers' *notp init*, a\_b, \*, *x*")

    def test_a_name_keeps_its_first_letter(self):
        self.assertEqual(sentence("host:port of it"), "host:port of it.")
        self.assertEqual(sentence("built-ins of it"), "Built-ins of it.")

    def test_what_scdoc_would_take_for_markup_is_refused(self):
        for text in ("# x", ".x", "- x", "x++", "é"):
            with self.subTest(text), self.assertRaises(ManualError):
                prose(text)

    @unittest.skipUnless(shutil.which("scdoc"), "scdoc is not installed")
    def test_a_page_is_accepted_and_shows_what_was_written(self):
        parts = {
            "NAME": "x - y\n",
            "OPTIONS": command_pages.options_text(PUT, heading=True),
            "EXAMPLES": "```\nnotp put \\\\ -n '3'\n```\n",
        }
        done = subprocess.run(["scdoc"], input=page("x", 1, "1.0", parts), capture_output=True, text=True, check=True)
        text = manual.finished(done.stdout)
        self.assertIn(r"\fB\-n\fR, \fB\-\-limit\fR \fIN\fR", text)
        self.assertIn(r"\fBa_b\fR|\fBc\fR", text)
        shown = subprocess.run(["man", "--warnings", "-l", "-"], input=text, capture_output=True, text=True, check=True)
        self.assertEqual(shown.stderr, "")
        self.assertIn("notp put \\ -n '3'", shown.stdout)


if __name__ == "__main__":
    unittest.main()
