#!/usr/bin/env python3
"""The manual pages, as the build has made them, compared with the programs and schemas themselves.

Needs: NOTP_BIN (the folder of the programs), NOTP_MANUAL (the folder of man1, man5 and man8), man and
groff. What is compared is taken from other places than the generator reads: --help of the real
programs, the schemas that are built into them, and the code that reloads a configuration.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from programs import BIN, SOURCE, run, run_to_end  # noqa: E402

MANUAL = pathlib.Path(os.environ.get("NOTP_MANUAL") or BIN.parent / "tools/manual")
SCHEMAS = BIN.parent / "schemas"
DAEMONS = ("notp-server", "notp-client")
CONFIGURATIONS = {
    "server-config": "notp-server.yaml",
    "agent-config": "notp-client.yaml",
    "cli-config": "notp.yaml",
    "mirror-config": "notp-mirror.yaml",
    "manifest": "notp-manifest.json",
}


def pages():
    return sorted(MANUAL.glob("man?/*.?"))


def shown(name, section):
    """A page as a reader sees it, without line breaks within paragraphs."""
    file = MANUAL / f"man{section}" / f"{name}.{section}"
    return run(["man", "-l", file], environment={"MANWIDTH": "5000", "LC_ALL": "C.UTF-8"})


def section_of(text, heading):
    return re.search(rf"^{re.escape(heading)}\n((?:(?!\S).*\n|\n)*)", text, re.M)[1]


def block_of(text, heading):
    """What is below a subheading, to the next one."""
    found = re.search(rf"^   {re.escape(heading)}\n((?: {{4,}}.*\n|\n)*)", text, re.M)
    return found and found[1]


def help_of(words):
    """(names of options, of commands) that --help of a program's command lists."""
    text = run([BIN / words[0], *words[1:], "--help"])
    options = set()
    for line in re.findall(r"^ {2,4}(-\S+)", text, re.M):
        options |= set(line.split(","))
    commands = re.search(r"^Subcommands:\n((?:  .*\n)+)", text, re.M)
    return options, re.findall(r"^  (\S+)", commands[1], re.M) if commands else []


def every_command(words):
    yield words
    for command in help_of(words)[1]:
        yield from every_command([*words, command])


def keys_of(schema, prefix=""):
    for one in [schema, *schema.get("oneOf", [])]:
        for name, part in one.get("properties", {}).items():
            yield prefix + name
            yield from keys_of(part, f"{prefix}{name}.")
        if "items" in one:
            yield from keys_of(one["items"], f"{prefix.removesuffix('.')}[].")
        if isinstance(one.get("additionalProperties"), dict):
            yield from keys_of(one["additionalProperties"], f"{prefix}NAME.")


def local(value, definitions):
    if isinstance(value, list):
        return [local(item, definitions) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value and isinstance(value["$ref"], str):
        return local(definitions[value["$ref"].split("/")[-1]], definitions)
    return {key: local(item, definitions) for key, item in value.items()}


def entry_of(text, key):
    """The lines below a key in a page."""
    found = re.search(rf"^       {re.escape(key)}\n((?:           .*\n)+)", text, re.M)
    return found and " ".join(found[1].split())


class Pages(unittest.TestCase):
    def test_no_page_has_a_warning(self):
        self.assertGreater(len(pages()), 25)
        for file in pages():
            with self.subTest(file.name):
                page = run_to_end(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", file])
                self.assertEqual(page.stderr, "")
                self.assertEqual(run_to_end(["groff", "-man", "-ww", "-z", file]).stderr, "")
                self.assertTrue(file.read_text(encoding="utf-8").isascii())
                self.assertIn(f'"{file.stem} - ', run(["lexgrog", file]))  # what apropos finds it by

    def test_every_page_has_what_a_reader_looks_for(self):
        for file in pages():
            name, _, section = file.name.rpartition(".")
            with self.subTest(file.name):
                text = shown(name, section)
                self.assertRegex(section_of(text, "NAME"), rf"^ +{re.escape(name)} - [^.]*\w\n")
                for heading in ["DESCRIPTION", "SEE ALSO"] + (["SYNOPSIS"] if section != "5" else ["KEYS"]):
                    self.assertTrue(section_of(text, heading).strip(), heading)
                self.assertNotRegex(text, r"\\f|\(default:.*\*\*|  \.\n")

    def test_every_page_that_is_referred_to_exists(self):
        present = {file.name for file in pages()}
        for file in pages():
            name, _, section = file.name.rpartition(".")
            for other, number in re.findall(r"\b(notp[\w.-]*)\((\d)\)", shown(name, section)):
                self.assertIn(f"{other}.{number}", present, file.name)

    def test_they_are_what_the_programs_say_now(self):
        with tempfile.TemporaryDirectory() as folder:
            run([sys.executable, "-B", SOURCE / "tools/manual/manual.py", "--bin", BIN, "--out", folder])
            made = sorted(pathlib.Path(folder).glob("man?/*.?"))
            self.assertEqual([file.name for file in made], [file.name for file in pages()])
            for fresh, built in zip(made, pages()):
                texts = [re.sub(r"(?m)^\.TH .*", "", file.read_text()) for file in (fresh, built)]  # has the day
                self.assertEqual(*texts, f"{built.name} is stale")


class Commands(unittest.TestCase):
    def check_options(self, words, text, taken):
        options, _ = help_of(words)
        self.assertTrue(options, words)
        for option in options - taken:
            self.assertRegex(text, rf"(?m)^ +(.*, )?{re.escape(option)}(,| |$)", " ".join(words))

    def test_notp(self):
        text = shown("notp", 1)
        self.check_options(["notp"], text, set())
        commands = help_of(["notp"])[1]
        self.assertGreater(len(commands), 20)
        self.assertEqual({f"notp-{name}.1" for name in commands} | {"notp.1"}, {f.name for f in (MANUAL / "man1").iterdir()})
        for name in commands:
            self.assertIn(f"notp-{name}(1)", section_of(text, "COMMANDS"))

    def test_every_command_and_option_of_notp(self):
        seen = 0
        for top in help_of(["notp"])[1]:
            page = shown(f"notp-{top}", 1)
            self.assertIn(f"notp {top}", section_of(page, "SYNOPSIS"))
            for words in every_command(["notp", top]):
                with self.subTest(" ".join(words)):
                    text = page if len(words) == 2 else block_of(page, " ".join(words[2:]))
                    self.assertTrue(text, "has no heading")
                    self.assertIn(" ".join(words), text)
                    self.check_options(words, text, {"-h", "--help"})
                    seen += 1
        self.assertGreater(seen, 45)

    def test_every_command_and_option_of_the_daemons(self):
        for program in DAEMONS:
            page = shown(program, 8)
            for words in every_command([program]):
                with self.subTest(" ".join(words)):
                    text = page if len(words) == 1 else block_of(page, words[1])
                    self.assertIn(" ".join(words) if help_of(words)[1] == [] else program, text)
                    self.check_options(words, text, {"-h", "--help"} if len(words) > 1 else set())

    def test_the_table_of_exit_codes(self):
        numbers = re.findall(r"inline constexpr int k\w+ = (\d+);", (SOURCE / "common/result.hpp").read_text())
        shown_numbers = re.findall(r"^       (\d+)$", section_of(shown("notp", 1), "EXIT STATUS"), re.M)
        self.assertEqual(numbers, shown_numbers)
        self.assertIn("rollback", section_of(shown("notp", 1), "EXIT STATUS"))


class Configurations(unittest.TestCase):
    def schema(self, name):
        whole = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
        return local({key: part for key, part in whole.items() if key != "definitions"}, whole.get("definitions", {}))

    def test_every_key(self):
        for name, page in CONFIGURATIONS.items():
            text, keys = shown(page, 5), list(keys_of(self.schema(name)))
            self.assertGreater(len(keys), 8)
            for key in keys:
                self.assertRegex(entry_of(text, key) or "missing", r"Type: ", f"{page}: {key}")
            types = re.findall(r"^ +Type: ", text, re.M)
            free = re.findall(r"^       \S+\.NAME\n", text, re.M)  # keys that whoever configures it chooses
            self.assertEqual(len(types), len(keys) + len(free), f"{page} has keys of no schema")

    def test_when_a_change_counts_is_what_the_code_does(self):
        header = (SOURCE / "notp-client/api/api_config.hpp").read_text()
        listed = re.search(r"kKeys = \{(.*?)\};", header, re.S)[1]
        agent = set(re.findall(r'"(\w+)"', listed))
        body = re.search(r"void Server::reload_config\(.*?\n\}\n", (SOURCE / "notp-server/app/app.cpp").read_text(), re.S)[0]
        fields = {field.removesuffix(".size") for field in re.findall(r"\bconfig->([\w.]+)", body)}
        key_of = {"tls.identities": "identities", "tls.built_in_authorities": "identity"}
        server = {key_of.get(field, field) for field in fields}
        for name, page, reloaded in (("agent-config", "notp-client.yaml", agent), ("server-config", "notp-server.yaml", server)):
            text, schema = shown(page, 5), self.schema(name)
            self.assertLessEqual(reloaded, set(schema["properties"]), page)
            for key in keys_of(schema):
                top = re.match(r"\w+", key)[0]
                said = entry_of(text, key)
                self.assertEqual("Reloaded." in said, top in reloaded, f"{page}: {key}")
                self.assertEqual("Needs a restart." in said, top not in reloaded, f"{page}: {key}")


if __name__ == "__main__":
    unittest.main()
