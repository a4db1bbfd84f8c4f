#!/usr/bin/env python3
"""Checks what holds for the repository as a whole: its shape, its tests, its links, its words."""

import os
import posixpath
import re
import subprocess
import sys

from class_sizes import class_sizes
from house_words import house_words
from namespaces import namespaces
from page_links import cited_sections, folders_of, links, named_tests
from source_tree import Finding, SourceTree, line_of, run

# The top level has these and no more; documentation lives beside what it documents.
TOP_LEVEL_FILES = {"CMakeLists.txt", "CMakePresets.json", "README.md"}
TOP_LEVEL_FOLDERS = {"protocol", "notp-server", "notp-client", "common", "schemas", "tests", "tools"}

# A folder that is hard to name is a folder to split or remove.
FORBIDDEN_FOLDERS = {"util", "utils", "helper", "helpers", "misc", "manager", "managers"}

# A longer file holds a second one.
LINES_MAX = 600
CODE = (".cpp", ".hpp", ".rs", ".py", ".go", ".rego", ".proto")

# Words that tie the repository to one machine, or to a place other than itself.
FORBIDDEN_WORDS: list[tuple[str, str]] = [
    (r"(?<![\w.$}~-])/(?:root|work|home/\w+)/", "a path of one machine"),
    (r"/tmp/(?:build-|notp-)\w+", "a path of one machine"),
    (
        r"\b(?:crates\.io|proxy\.golang\.org|sum\.golang\.org|deb\.debian\.org|security\.debian\.org"
        r"|pypi\.org|registry\.npmjs\.org|ghcr\.io|docker\.io)\b",
        "a registry's host name; the registry is the configured client's business",
    ),
    (r"(?i)\b(?:issue|pull request|PR)s? #?\d+\b", "a number that only a tracker can explain; say what it is about"),
]
# Written by other programs, which put their registry there.
GENERATED = ("go.sum",)


def check(tree: SourceTree) -> list[Finding]:
    checks = [top_level, folder_names, lengths, words, links, cited_sections, named_tests, map_of_folders]
    checks += [shell_programs, tests_registered, tests_labelled, house_words, class_sizes, namespaces]
    return [finding for one in checks for finding in one(tree)]


def top_level(tree: SourceTree) -> list[Finding]:
    seen = {}
    for path in tree.paths:
        name, slash, _ = path.partition("/")
        known = name in (TOP_LEVEL_FOLDERS if slash else TOP_LEVEL_FILES) or name.startswith(".")
        if not known:
            seen[name] = Finding(name, 0, "the top level is fixed; put it into the folder that it belongs to")
    return list(seen.values())


def folder_names(tree: SourceTree) -> list[Finding]:
    bad = set()
    for path in tree.paths:
        parts = path.split("/")[:-1]
        bad |= {"/".join(parts[: i + 1]) for i, part in enumerate(parts) if part.lower() in FORBIDDEN_FOLDERS}
    return [Finding(path, 0, "a folder is named after what it holds; split or rename it") for path in sorted(bad)]


def lengths(tree: SourceTree) -> list[Finding]:
    findings = []
    for path in tree.with_suffix(*CODE):
        lines = tree.text(path).count("\n")
        if lines > LINES_MAX:
            findings.append(Finding(path, 0, f"{lines} lines, more than {LINES_MAX}: find its second part"))
    return findings


def is_text(tree: SourceTree, path: str) -> bool:
    with open(tree.root / path, "rb") as file:
        return b"\0" not in file.read(8192)


def words(tree: SourceTree) -> list[Finding]:
    findings = []
    for path in tree.paths:
        if path.endswith(GENERATED) or path.startswith("tests/fuzz/corpus/") or not is_text(tree, path):
            continue
        text = tree.text(path)
        for pattern, reason in FORBIDDEN_WORDS:
            for match in re.finditer(pattern, text):
                findings.append(Finding(path, line_of(text, match), f"'{match.group()}' is {reason}"))
    return findings


MAP_HEADING = "## Finding your way"
# What has a row of its own in the map: a folder with sources in it, but for those of which the row above speaks as a whole.
SOURCE = (".cpp", ".hpp", ".go", ".proto", ".py", ".rego", ".json", ".yaml", ".cmake")
WITHOUT_ROWS = (
    "common/rego/worker/internal/",
    "tests/conformance/",
    "tests/fuzz/corpus/",
    "tools/cmake/precompiled",
    "tools/examples/",
    "tools/opa/",
)


def map_of_folders(tree: SourceTree) -> list[Finding]:
    """Every folder with sources has exactly one row in the map of README.md, and every row a folder."""
    page = tree.text("README.md") if "README.md" in tree.paths else ""
    _, begins, rest = page.partition(MAP_HEADING + "\n")
    if not begins:
        return [Finding("README.md", 0, f"the map of the folders is missing: '{MAP_HEADING}'")]
    section = rest.partition("\n## ")[0]
    rows = [match.group(1) for match in re.finditer(r"^\| *(?:\[)?`([^`]+)/`", section, re.MULTILINE)]
    folders = {posixpath.dirname(path) for path in tree.with_suffix(*SOURCE)}
    folders = {f for f in folders if f and not f.startswith(".") and not f.startswith(WITHOUT_ROWS)}
    findings = [Finding("README.md", 0, f"the map has {rows.count(row)} rows of {row}/") for row in sorted(set(rows)) if rows.count(row) > 1]
    findings += [Finding("README.md", 0, f"the map has no row of {folder}/") for folder in sorted(folders - set(rows))]
    known = folders_of(tree.paths)
    findings += [Finding("README.md", 0, f"the map has a row of {row}/, which does not exist") for row in sorted(set(rows) - known)]
    return findings


def shell_programs(tree: SourceTree) -> list[Finding]:
    findings = []
    for path in tree.paths:
        with open(tree.root / path, "rb") as file:
            first = file.readline(200)
        shebang = first.startswith(b"#!")
        if path.endswith(".sh") or re.match(rb"#!.*\b(ba)?sh\b", first):
            result = subprocess.run(
                ["bash", "-n", path], cwd=tree.root, capture_output=True, text=True, check=False
            )
            if result.returncode != 0:
                findings.append(Finding(path, 0, f"bash cannot parse it: {result.stderr.strip()}"))
        if shebang and "." not in posixpath.basename(path) and not os.access(tree.root / path, os.X_OK):
            findings.append(Finding(path, 0, "a program without a suffix is executable; chmod +x it"))
    return findings


def cmake_files(tree: SourceTree) -> dict[str, str]:
    """Folder -> its CMakeLists.txt without comments."""
    return {
        posixpath.dirname(p): re.sub(r"#.*", "", tree.text(p))
        for p in tree.paths
        if posixpath.basename(p) == "CMakeLists.txt"
    }


def tests_registered(tree: SourceTree) -> list[Finding]:
    """A file of tests that no CMakeLists.txt above it names never runs. (tests/support holds none.)"""
    lists = cmake_files(tree)
    findings = []
    for path in tree.paths:
        is_test = path.startswith("tests/") and path.endswith((".cpp", ".py", ".sh"))
        is_test = is_test and not path.startswith("tests/support/")
        is_test = is_test or re.search(r"_test\.(cpp|py|sh)$", path) is not None
        if is_test and not any(named_in(path, folder, text) for folder, text in lists.items()):
            findings.append(Finding(path, 0, "no CMakeLists.txt above it names it, so it never runs"))
    return findings


def named_in(path: str, folder: str, text: str) -> bool:
    if folder and not path.startswith(folder + "/"):
        return False
    relative = path[len(folder) + 1 :] if folder else path
    stem = re.escape(relative.rpartition(".")[0])  # notp_fuzz(name …) builds <name>.cpp
    named = rf"(?<![\w.-]){re.escape(relative)}(?![\w.-])|\bnotp_fuzz\(\s*{stem}\b"
    return re.search(named, text) is not None


def tests_labelled(tree: SourceTree) -> list[Finding]:
    """`tools/test -L LABEL` would leave out a test without a label, silently."""
    findings = []
    for folder, text in cmake_files(tree).items():
        path = posixpath.join(folder, "CMakeLists.txt")
        labelled = " ".join(re.findall(r"set_tests_properties\s*\(([^)]*\bLABELS\b[^)]*)\)", text))
        for name in re.findall(r"\badd_test\s*\(\s*NAME\s+(\S+)", text):
            if name not in labelled.split():
                findings.append(Finding(path, 0, f"test {name} has no LABELS"))
        for call in re.findall(r"\bnotp_test\s*\(([^)]*)\)", text):
            if "LABEL" not in call.split():
                findings.append(Finding(path, 0, f"notp_test({call.split()[1:2]}) has no LABEL"))
    return findings


if __name__ == "__main__":
    sys.exit(run("repository_check", check))
