"""What every linter here shares: the files of the repository, and how findings are reported."""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Callable, Iterable, NamedTuple


class Finding(NamedTuple):
    path: str  # relative to the repository
    line: int  # 0: the file or folder as a whole
    text: str  # what is wrong, and what to do

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        return f"{where}: {self.text}"


# Of C++, Go and Protobuf.
COMMENT_OR_STRING = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^()\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.DOTALL
)


def blank(match: re.Match) -> str:
    """Spaces in the place of a match, for re.sub: every line keeps its number."""
    return re.sub(r"[^\n]", " ", match.group())


def line_of(text: str, match: re.Match) -> int:
    return text.count("\n", 0, match.start()) + 1


class SourceTree:
    """The files of one repository, as paths relative to its root."""

    def __init__(self, root: Path, paths: Iterable[str]):
        self.root = root
        self.paths = sorted(p for p in paths if (root / p).is_file())

    @staticmethod
    def tracked(root: Path) -> "SourceTree":
        """What Git tracks; a source archive without Git is walked."""
        listed = subprocess.run(
            ["git", "-C", str(root), "ls-files", "-z"], capture_output=True, check=False
        )
        if listed.returncode == 0:
            return SourceTree(root, os.fsdecode(listed.stdout).split("\0")[:-1])
        return SourceTree.walked(root)

    @staticmethod
    def walked(root: Path) -> "SourceTree":
        skipped = {".git", "build", "target", "__pycache__"}
        paths = []
        for folder, folders, names in os.walk(root):
            folders[:] = [f for f in folders if f not in skipped]
            paths += [os.path.relpath(os.path.join(folder, n), root) for n in names]
        return SourceTree(root, paths)

    def with_suffix(self, *suffixes: str) -> list[str]:
        return [p for p in self.paths if p.endswith(suffixes)]

    def text(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8", errors="replace")


Check = Callable[[SourceTree], list[Finding]]


def run(name: str, check: Check, write: Callable[[SourceTree], None] | None = None) -> int:
    """The command line of a linter: prints the findings, returns the exit code.

    `write`: what --write does before the check."""
    parser = argparse.ArgumentParser(prog=name)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2])
    if write:
        parser.add_argument("--write", action="store_true", help="write what the check compares with")
    arguments = parser.parse_args()
    tree = SourceTree.tracked(arguments.root.resolve())
    if not tree.paths:
        print(f"{name}: no files found under {tree.root}", file=sys.stderr)
        return 1
    if write and arguments.write:
        write(tree)
    findings = check(tree)
    for finding in findings:
        print(finding)
    print(f"{name}: {len(tree.paths)} files looked at, {len(findings)} findings")
    return 1 if findings else 0
