"""Links of pages, sections of pages that comments name, tests that pages name: each of them exists."""

import posixpath
import re

from source_tree import Finding, SourceTree, blank, line_of

LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)\n]*\)")
FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
# `protocol/session/README.md, "Unknown base"`, also where the comment goes on in the next line.
CITED = re.compile(r'\b((?:[\w.-]+/)*[A-Z]+\.md),\s+(?:(?://|#)\s*)?"([^"]+)"')
# `test_wire`, `unit/test_wire*`, `build/dev/tests/test_wire -tc=…`; not a parameter such as `test_sim_<bug>`.
NAMED_TEST = re.compile(r"(?<![\w-])((?:test|fuzz)_\w+\*?)(?![\w<-])")
CODE_SPAN = re.compile(r"`([^`\n]+)`")
# What begins like the name of a test, and is another thing.
NO_TESTS = {"test_only", "test_failed"}
COMMENTED = (".cpp", ".hpp", ".go", ".proto", ".py", ".rego", ".cmake", "CMakeLists.txt")


def without_fences(text: str) -> str:
    """The line breaks of fenced blocks stay, so that line numbers stay true."""
    return FENCED.sub(blank, text)


def title_of(heading: str) -> str:
    """A heading as it is read: without the marks of links, code and emphasis."""
    return re.sub(r"[`*]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading))


def headings(page: str) -> list[str]:
    return [title_of(found.group(1)) for found in HEADING.finditer(without_fences(page))]


def anchors(page: str) -> set[str]:
    """The fragments of a page as repository hosts make them: of equal headings the second one gets -1."""
    seen: dict[str, int] = {}
    out = set()
    for title in headings(page):
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        out.add(f"{slug}-{seen[slug]}" if slug in seen else slug)
        seen[slug] = seen.get(slug, 0) + 1
    return out


def folders_of(paths: list[str]) -> set[str]:
    out = set()
    for path in paths:
        while path := posixpath.dirname(path):
            out.add(path)
    return out


def links(tree: SourceTree) -> list[Finding]:
    known = set(tree.paths) | folders_of(tree.paths)
    pages = {page: anchors(tree.text(page)) for page in tree.with_suffix(".md")}
    findings = []
    for page in pages:
        text = without_fences(tree.text(page))
        for match in LINK.finditer(text):
            target, _, fragment = match.group(1).partition("#")
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target)) if target else page
            line = line_of(text, match)
            if path != "." and path not in known:
                findings.append(Finding(page, line, f"links to {target}, which does not exist"))
            elif fragment and path in pages and fragment not in pages[path]:
                findings.append(Finding(page, line, f"links to #{fragment}, and {path} has no such heading"))
    return findings


def cited_sections(tree: SourceTree) -> list[Finding]:
    pages = {page: set(headings(tree.text(page))) for page in tree.with_suffix(".md")}
    findings = []
    for path in tree.with_suffix(*COMMENTED):
        if path.endswith("_test.py"):  # tests of this check name what does not exist
            continue
        text = tree.text(path)
        for match in CITED.finditer(text):
            page, title = match.group(1), re.sub(r"\s*\n\s*(//|#)\s*", " ", match.group(2))
            line = line_of(text, match)
            if page not in pages:
                findings.append(Finding(path, line, f"names {page}, which does not exist"))
            elif title not in pages[page]:
                findings.append(Finding(path, line, f'names "{title}", and {page} has no such heading'))
    return findings


def named_tests(tree: SourceTree) -> list[Finding]:
    lists = [tree.text(path) for path in tree.paths if posixpath.basename(path) == "CMakeLists.txt"]
    known = {posixpath.basename(path).split(".")[0] for path in tree.paths}
    known |= {name for text in lists for name in re.findall(r"\b(?:test|fuzz)_\w+", text)}
    findings = []
    for page in tree.with_suffix(".md"):
        if not page.startswith(("tests/", "protocol/", "notp-", "common/", ".github/")):
            continue
        text = without_fences(tree.text(page))
        for span in CODE_SPAN.finditer(text):
            for name in NAMED_TEST.findall(span.group(1)):
                front = name.rstrip("*").removesuffix("_replay")
                exists = any(one.startswith(front) for one in known) if name.endswith("*") else front in known
                if not exists and name not in NO_TESTS:
                    findings.append(Finding(page, line_of(text, span), f"names {name}, and there is no such test"))
    return findings
