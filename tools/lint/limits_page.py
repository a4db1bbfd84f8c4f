"""The page that lists every limit of common/limits.hpp with its value and its reason."""

import re

from source_tree import SourceTree

PAGE = "common/LIMITS.md"
SOURCE = "common/limits.hpp"
HEAD = """# Limits

Every named limit of [limits.hpp](limits.hpp). Those that a peer can meet are also a part of the protocol: see
[its table](../protocol/README.md#limits).
"""
FOOT = """
This page is made from the header by `python3 tools/lint/generated_pages.py --write`, and a test compares it with it.
"""
STATEMENT = re.compile(r"inline constexpr \w+ (?P<names>[^;]*);[ \t]*(?P<why>//[^\n]*)?")
NAMED = re.compile(r"(k\w+)\s*=\s*")
ALLOWED = re.compile(r"[\d\s+*<>()-]*")
UNITS = {"Bytes": [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")],
         "Ms": [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s")]}


def value_of(expression: str, known: dict[str, int]) -> int:
    text = re.sub(r"(?<=\d)'(?=\d)", "", expression)
    text = re.sub(r"(?<=\d)(?:ULL|LL)\b", "", text)
    text = re.sub(r"k\w+", lambda name: str(known[name.group()]), text)
    if not ALLOWED.fullmatch(text):
        raise ValueError(f"{SOURCE}: '{expression}' is not plain arithmetic")
    return eval(text)  # pylint: disable=eval-used  # digits and operators alone


def shown(name: str, value: int) -> str:
    """With the largest unit that the name allows and that leaves no rest."""
    plain = f"{value:,}".replace(",", " ")
    for word, units in UNITS.items():
        # A word of the name, whatever follows it: kFrameBytesMax, kIdleMs.
        if not re.search(rf"{word}(?![a-z])", name):
            continue
        for size, unit in units:
            if value >= size and value % size == 0:
                return f"{plain} ({value // size} {unit})"
    return plain


def sections(text: str):
    """(title, [(name, value, why)]) in the header's order."""
    known: dict[str, int] = {}
    for part in re.split(r"^// --- ", text, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        found = []
        comment: list[str] = []
        at = 0
        while at < len(body):
            statement = STATEMENT.match(body, at)
            if statement is None:
                line, _, _ = body[at:].partition("\n")
                comment = comment + [line[2:].strip()] if line.startswith("//") else []
                at += len(line) + 1
                continue
            why = " ".join(filter(None, [*comment, (statement["why"] or "")[2:].strip()]))
            comment = []
            pieces = NAMED.split(statement["names"])[1:]
            for name, expression in zip(pieces[::2], pieces[1::2]):
                known[name] = value_of(expression.strip().rstrip(","), known)
                found.append((name, known[name], why))
            at = statement.end() + 1
        yield title, found


def page(tree: SourceTree) -> str:
    out = HEAD
    for title, found in sections(tree.text(SOURCE)):
        if not found:
            continue
        out += f"\n## {title[0].upper()}{title[1:]}\n\n| limit | value | what, and why |\n|---|---|---|\n"
        for name, value, why in found:
            why = why.replace("|", "\\|")
            out += f"| `{name}` | {shown(name, value)} | {why} |\n"
    return out + FOOT
