"""Counts the members and methods of the classes in headers. A class that is too big holds a second one.

It reads headers that clang-format has laid out, not all of C++: comments, strings, preprocessor lines and attributes are
taken away, braces are matched, and what stands directly in a class body is cut into declarations. Members are variables
of an object, so that constants (static, constexpr) are not counted; methods are functions that the class declares,
overloads, operators and constructors included, but for those that are defaulted or deleted. Nested types count by
themselves, inherited members for the base alone.

A struct with few methods is a record: its fields are those of a statement, a message or a configuration, and no number
bounds them. Tests are not measured: a fixture holds what its test cases reach.
"""

import re
from typing import Iterator, NamedTuple

from source_tree import COMMENT_OR_STRING, Finding, SourceTree, blank, line_of

MEMBERS_MAX = 15
METHODS_MAX = 40
RECORD_METHODS_MAX = 3

# "path: class" -> why this one may be bigger. At most five.
EXCEPTIONS: dict[str, str] = {
    "common/rego/host/engine_core.hpp: EngineCore": (
        "one decision over all questions and both workers: which worker gets what depends on every one of them, and the"
        " simulator explores that state as a whole"
    ),
    "common/rego/host/engine_state.hpp: Engine::State": "what the engine's threads share behind its one lock",
    "protocol/serve/artifact_cache.hpp: ArtifactCache": (
        "seven of its members are locks, conditions, and the thread that compresses again what the same table holds"
    ),
}
EXCEPTIONS_MAX = 5

# With its continuation lines.
PREPROCESSOR = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
# Macros of thread annotations and the like: names in capitals, with or without arguments.
MACRO = re.compile(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b(?:\((?:[^()]|\([^()]*\))*\))?")
ATTRIBUTE = re.compile(r"\[\[[^\]]*\]\]|\balignas\([^()]*\)")
CLASS_HEAD = re.compile(
    r"(?<![\w<,])(?<!enum )(class|struct)\s+((?:\w+::)*\w+(?:<[^;{}]*?>)?)\s*(?:final\s*)?(?::(?!:)[^;{}]*)?\{"
)
ACCESS = re.compile(r"^(?:\s*(?:public|protected|private)\s*:(?!:))+")
NOT_COUNTED = re.compile(r"^(?:using|typedef|friend|static_assert|enum|template\s*<[^{]*>\s*(?:using|friend))\b")


class ClassSize(NamedTuple):
    path: str
    line: int
    kind: str  # class or struct
    name: str
    members: int
    methods: int

    @property
    def is_record(self) -> bool:
        return self.kind == "struct" and self.methods <= RECORD_METHODS_MAX

    @property
    def is_too_big(self) -> bool:
        return not self.is_record and (self.members > MEMBERS_MAX or self.methods > METHODS_MAX)

    @property
    def key(self) -> str:
        return f"{self.path}: {self.name}"


def plain_code(text: str) -> str:
    """The code alone; every line keeps its number."""
    for pattern in (COMMENT_OR_STRING, PREPROCESSOR, ATTRIBUTE, MACRO):
        text = pattern.sub(blank, text)
    return text


def matching(code: str, begin: int) -> int:
    """The place of the brace that closes the one at `begin`; the end of the code where none does."""
    depth = 0
    for at in range(begin, len(code)):
        depth += {"{": 1, "}": -1}.get(code[at], 0)
        if depth == 0:
            return at
    return len(code)


def declarations(body: str) -> Iterator[str]:
    """The declarations directly in a class body, with {} in the place of every brace and what is in it."""
    text, at = "", 0
    while at < len(body):
        if body[at] == ";":
            yield text
            text = ""
        elif body[at] == "{":
            at = matching(body, at)
            text += "{}"
            # A function's body ends its declaration; an initialiser and a nested type go on to the semicolon.
            if is_function(text) and not body[at + 1 :].lstrip().startswith((";", ",", "{")):
                yield text
                text = ""
        else:
            text += body[at]
        at += 1
    yield text


def collapsed(text: str) -> str:
    """Without what is in angle brackets and parentheses, from the inside out."""
    text = text.replace("->", "  ").replace("operator<=>", "operatorX").replace("operator<", "operatorX").replace("<<", "  ")
    while True:
        shorter = re.sub(r"\([^()<>]*\)", "\1", text)
        shorter = re.sub(r"<[^<>()]*>", "", shorter)
        if shorter == text:
            return text.replace("\1", "()")
        text = shorter


def is_function(declaration: str) -> bool:
    """A name with parentheses behind it, and no initialiser before them."""
    text = collapsed(ACCESS.sub("", declaration.strip()).strip())
    return re.match(r"^[^={]*?(?:\boperator\s*\S{1,3}?\s*\(\)|\w\s*\(\))", text) is not None


def count(body: str) -> tuple[int, int]:
    """Members and methods of a class with this body."""
    members = methods = 0
    for declaration in declarations(body):
        text = ACCESS.sub("", declaration.strip()).strip()
        if not text or text == "{}" or NOT_COUNTED.match(text):
            continue
        if re.match(r"^(?:template\s*<[^{]*?>\s*)?(?:class|struct|union)\s+[\w:]+(?:<.*?>)?\s*(?:final\b\s*)?(?::.*)?(?:\{\})?$", text, re.DOTALL):
            continue
        if is_function(text):
            methods += re.search(r"=\s*(?:default|delete)\s*$", text) is None
        elif not re.match(r"^(?:inline\s+)?(?:static|constexpr)\b", text):
            # `int a_ = 0, b_ = 0;` are two.
            members += 1 + re.sub(r"\{\}", "", collapsed(text)).count(",")
    return members, methods


def classes(path: str, text: str) -> list[ClassSize]:
    code = plain_code(text)
    out = []
    for head in CLASS_HEAD.finditer(code):
        end = matching(code, head.end() - 1)
        size = count(code[head.end() : end])
        out.append(ClassSize(path, line_of(code, head), head.group(1), head.group(2), *size))
    return out


def all_classes(tree: SourceTree) -> list[ClassSize]:
    headers = [path for path in tree.with_suffix(".hpp", ".h") if not path.startswith("tests/")]
    return [size for path in headers for size in classes(path, tree.text(path))]


def class_sizes(tree: SourceTree) -> list[Finding]:
    findings = []
    big = [size for size in all_classes(tree) if size.is_too_big]
    for size in big:
        if size.key not in EXCEPTIONS:
            findings.append(
                Finding(
                    size.path,
                    size.line,
                    f"{size.name} has {size.members} members and {size.methods} methods; "
                    f"at most {MEMBERS_MAX} and {METHODS_MAX}: find its second class",
                )
            )
    for key in sorted(set(EXCEPTIONS) - {size.key for size in big}):
        path = key.partition(":")[0]
        if path in tree.paths:
            findings.append(Finding(path, 0, f"{key} is an exception of class_sizes.py, and is not too big"))
    if len(EXCEPTIONS) > EXCEPTIONS_MAX:
        findings.append(Finding("tools/lint/class_sizes.py", 0, f"more than {EXCEPTIONS_MAX} exceptions"))
    return findings
