"""Text for scdoc: what it takes for markup is escaped, and pages are put together from sections."""

import re

# Every section that a page may have, in the order of man-pages(7).
SECTIONS = (
    "NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "ARGUMENTS", "OPTIONS", "GLOBAL OPTIONS", "KEYS", "SIGNALS",
    "OUTPUT", "CONFIGURATION", "PROXY", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO",
)  # fmt: skip
ASCII = str.maketrans({"–": "-", "—": "-", "…": "...", "“": '"', "”": '"', "’": "'", "×": "x", "≥": ">=", "≤": "<="})
# scdoc begins a heading, a list, a table, a comment or a block with these, and troff a request.
LINE_BEGINS = ("#", "-", "|", "[", "]", ";", ".", "`", "'", " ")


class ManualError(Exception):
    """Something that no page can be made of; says what, and where it comes from."""


def escaped(text: str) -> str:
    """`text` shown as it is."""
    text = text.translate(ASCII)
    if not text.isascii():
        raise ManualError(f"not ASCII, which troff reads everywhere: {text!r}")
    return re.sub(r"([\\*_])", r"\\\1", text)


def bold(text: str) -> str:
    return f"*{escaped(text)}*"


def italic(text: str) -> str:
    return f"_{escaped(text)}_"


def inline(text: str) -> str:
    """A text of the programs within a line: what stands in quotes or backticks is bold."""
    text = escaped(" ".join(text.split()))
    text = re.sub(r"`([^`]+)`", r"*\1*", text)
    return re.sub(r"(?<![\w'])'([^' ][^']*)'(?![\w'])", r"*\1*", text)


def prose(text: str) -> str:
    """The same as a line of its own."""
    return checked(inline(text))


def checked(line: str) -> str:
    if line.startswith(LINE_BEGINS) or line.endswith("++"):
        raise ManualError(f"scdoc takes this line for markup: {line!r}")
    return line


def sentence(text: str) -> str:
    """A description, which the programs write without capital and stop."""
    text = prose(text)
    first = re.match(r"[a-z]+(-[a-z]+)*(?=[\s,;:]|$)(?!:\w)", text)
    if first:
        text = text[0].upper() + text[1:]
    return text if not text or text[-1] in ".!?:" else text + "."


def paragraphs(text: str) -> list[str]:
    return [prose(part) for part in re.split(r"\n\s*\n", text.strip()) if part.strip()]


def entry(term: str, *bodies: str) -> str:
    """A term, and below it the paragraphs about it."""
    return term + "\n" + "\n\n".join("\t" + body for body in bodies if body) + "\n"


def literal(text: str) -> str:
    """Lines as they are, as of an example."""
    text = text.translate(ASCII).rstrip().replace("\\", "\\\\")
    if not text.isascii() or "```" in text:
        raise ManualError(f"cannot be shown as an example: {text!r}")
    return f"```\n{text}\n```\n"


def page(name: str, section: int, version: str, parts: dict[str, str]) -> str:
    """The source of one page. `parts`: heading -> text; empty ones are left out."""
    unknown = set(parts) - set(SECTIONS)
    if unknown:
        raise ManualError(f"{name}({section}): no section of a page: {', '.join(sorted(unknown))}")
    out = f'{name}({section}) "NOTP {version}" "NOTP Manual"\n'
    for heading in SECTIONS:
        if text := parts.get(heading, "").strip("\n"):
            out += f"\n# {heading}\n\n{text}\n"
    return out


def parse_parts(text: str) -> dict[str, str]:
    """The sections of a file in pages/, which hold scdoc's markup already."""
    parts: dict[str, str] = {}
    heading = None
    for line in text.splitlines():
        if line.startswith("# "):
            heading = line[2:]
            parts[heading] = ""
        elif heading:
            parts[heading] += line + "\n"
        elif line.strip() and not line.startswith(";"):
            raise ManualError(f"before the first heading: {line!r}")
    return {name: body.strip("\n") + "\n" for name, body in parts.items()}


def merged(parts: dict[str, str], written: str) -> dict[str, str]:
    """The generated text of each section, then the written one."""
    out = dict(parts)
    for name, text in parse_parts(written).items():
        out[name] = (out.get(name, "").rstrip("\n") + "\n\n" + text).lstrip("\n")
    return out
