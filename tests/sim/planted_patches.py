#!/usr/bin/env python3
"""Checks that each planted bug still fits the source: one file changed, with the same lines around it.

Usage: planted_patches.py [--renew]
  --renew   writes all of them anew, also those that fit only when the lines around them may differ
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONTEXT_LINES = 2


def changed_file(text: str) -> str | None:
    """The one file that a patch changes; None when it has not that form."""
    named = re.findall(r"^--- a/(\S+)\n\+\+\+ b/(\S+)\n@@ ", text, re.MULTILINE)
    one = len(named) == 1 and named[0][0] == named[0][1] and text.count("\n--- ") == 1
    return named[0][0] if one else None


def finding(patch: Path) -> str | None:
    text = patch.read_text()
    if text.startswith("--- "):
        return "its first line does not say what the bug is"
    path = changed_file(text)
    if path is None:
        return "it does not change exactly one file, as a/ and b/"
    if not (ROOT / path).is_file():
        return f"there is no {path}"
    with tempfile.NamedTemporaryFile() as out:
        ran = subprocess.run(
            ["patch", "--force", "--fuzz=0", "--reject-file=-", f"--output={out.name}", ROOT / path, patch],
            capture_output=True, text=True, check=False,
        )
    return f"it does not fit {path}: {(ran.stdout + ran.stderr).strip()}" if ran.returncode != 0 else None


def renew(patch: Path) -> None:
    text = patch.read_text()
    path = changed_file(text)
    with tempfile.TemporaryDirectory() as folder:
        bad = Path(folder) / "bad"
        subprocess.run(
            ["patch", "--quiet", "--force", "--reject-file=-", f"--output={bad}", ROOT / path, patch], check=True
        )
        change = subprocess.run(
            ["diff", f"-U{CONTEXT_LINES}", "--label", f"a/{path}", "--label", f"b/{path}", ROOT / path, bad],
            capture_output=True, text=True, check=False,
        ).stdout
    patch.write_text(text.partition("\n--- ")[0] + "\n" + change)


def main() -> int:
    patches = sorted((ROOT / "tests/sim/planted").glob("*.patch"))
    if "--renew" in sys.argv[1:]:
        for patch in patches:
            renew(patch)
    findings = [(patch.name, text) for patch in patches if (text := finding(patch))]
    for name, text in findings:
        print(f"{name}: {text}")
    print(f"{len(patches)} planted bugs looked at, {len(findings)} findings")
    return 1 if findings or not patches else 0


if __name__ == "__main__":
    sys.exit(main())
