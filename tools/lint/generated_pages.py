#!/usr/bin/env python3
"""Pages that are made from sources, whole or in part: checks that they are fresh, or writes them with --write."""

import sys

import arrow_graph
import config_reference
import limits_page
import log_events
from source_tree import Finding, SourceTree, run

COMMAND = "python3 tools/lint/generated_pages.py --write"
PAGES = {module.PAGE: module.page for module in (arrow_graph, config_reference, limits_page, log_events)}


def check(tree: SourceTree) -> list[Finding]:
    findings = []
    for path, page in PAGES.items():
        wanted, found = page(tree).splitlines(), []
        if path in tree.paths:
            found = tree.text(path).splitlines()
        if wanted != found:
            same = [one == other for one, other in zip(wanted, found)]
            line = same.index(False) + 1 if False in same else min(len(wanted), len(found)) + 1
            findings.append(Finding(path, line, f"is not what its sources say; run {COMMAND}"))
    return findings


def write(tree: SourceTree) -> None:
    for path, page in PAGES.items():
        (tree.root / path).write_text(page(tree), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run("generated_pages", check, write))
