#!/usr/bin/env python3
"""Checks that every tracked C++ file is formatted as .clang-format says, by clang-format 19 itself."""

import re
import shutil
import subprocess
import sys

from source_tree import Finding, SourceTree, run

# Another version formats a few constructs differently, so that only this one counts.
FORMATTER = "clang-format-19"
FILES_EACH_RUN = 200
COMPLAINT = re.compile(r"^(.+?):(\d+):\d+: (?:error|warning): ", re.MULTILINE)


def check(tree: SourceTree) -> list[Finding]:
    if not shutil.which(FORMATTER):
        return [Finding(".", 0, f"{FORMATTER} is not installed; run tools/install-dependencies")]
    paths = tree.with_suffix(".hpp", ".cpp", ".h", ".cc")
    findings = []
    for first in range(0, len(paths), FILES_EACH_RUN):
        findings += unformatted(tree, paths[first : first + FILES_EACH_RUN])
    return findings


def unformatted(tree: SourceTree, paths: list[str]) -> list[Finding]:
    result = subprocess.run(
        [FORMATTER, "--dry-run", "-Werror", *paths],
        cwd=tree.root, capture_output=True, text=True, check=False,
    )
    if result.returncode == 0:
        return []
    first_line: dict[str, int] = {}
    for path, line in COMPLAINT.findall(result.stderr):
        first_line.setdefault(path, int(line))
    if not first_line:
        return [Finding(".clang-format", 0, f"{FORMATTER} failed: {result.stderr.strip()}")]
    return [
        Finding(path, line, f"not formatted; run {FORMATTER} -i {path}")
        for path, line in sorted(first_line.items())
    ]


if __name__ == "__main__":
    sys.exit(run("format_check", check))
