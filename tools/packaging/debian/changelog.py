#!/usr/bin/env python3
"""Prints .github/CHANGELOG.md as Debian's changelog(5), for the packages.

Usage: changelog.py FILE --version VERSION --revision N --maintainer 'NAME <ADDRESS>'

What is unreleased is the version that is built, dated by SOURCE_DATE_EPOCH, or now without it.
"""

import argparse
import calendar
import email.utils
import os
import re
import sys
import textwrap
import time

WIDTH = 78


def sections(text):
    """(version or None, seconds since 1970 or None, [(heading, [entry])]) of each section with entries."""
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        dated = re.match(r"\[?(\d[\w.]*)\]?(?:.*?(\d{4}-\d\d-\d\d))?", title)
        version, day = dated.groups() if dated else (None, None)
        groups = []
        for group in re.split(r"^### ", body, flags=re.MULTILINE)[1:]:
            heading, _, lines = group.partition("\n")
            entries = [" ".join(one.split()) for one in re.split(r"^- ", lines, flags=re.MULTILINE)[1:]]
            if entries:
                groups.append((heading.strip(), entries))
        if groups:
            yield version, calendar.timegm(time.strptime(day, "%Y-%m-%d")) if day else None, groups


def written(version, seconds, groups, maintainer):
    lines = [f"notp ({version}) unstable; urgency=medium", ""]
    for heading, entries in groups:
        lines.append(f"  [ {heading} ]")
        for entry in entries:
            plain = entry.replace("**", "").replace("`", "")
            lines += textwrap.wrap(plain, WIDTH, initial_indent="  * ", subsequent_indent="    ",
                                   break_long_words=False, break_on_hyphens=False)
        lines.append("")
    return "\n".join([*lines, f" -- {maintainer}  {email.utils.formatdate(seconds)}", ""])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    for option in ("--version", "--revision", "--maintainer"):
        parser.add_argument(option, required=True)
    options = parser.parse_args()
    now = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    with open(options.file, encoding="utf-8") as file:
        found = list(sections(file.read()))
    if not found:
        sys.exit(f"{options.file} has no section with entries; its form is '## VERSION', '### KIND', '- ENTRY'")
    print("\n".join(written(f"{version or options.version}-{options.revision}", seconds or now, groups, options.maintainer)
                    for version, seconds, groups in found), end="")


if __name__ == "__main__":
    main()
