"""The arrows of include_arrows.py as a graph and a table for people, in a part of a page."""

from include_arrows import CORES, RULES, Rules
from source_tree import SourceTree

PAGE = "common/README.md"
BEGIN = "<!-- arrows: begin -->\n"
END = "<!-- arrows: end -->"

# Folders that are in no arrow worth drawing: they may include everything.
NOT_DRAWN = ("tools/", "tests/")


def folders(rules: Rules) -> list[str]:
    return [row for row in rules if row.endswith("/") and row not in NOT_DRAWN]


def direct_arrows(rules: Rules) -> dict[str, set[str]]:
    """Folder -> the folders that it may include something of. A part never includes the wiring around it."""
    nodes = folders(rules)
    arrows = {}
    for node in nodes:
        seen = set()
        for prefix in rules[node][0]:
            around = [max((n for n in nodes if prefix.startswith(n)), key=len, default=node)]
            seen |= set([n for n in nodes if n.startswith(prefix)] or around)
        arrows[node] = {other for other in seen if not node.startswith(other)}
    return arrows


def reduced(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """Without the arrows that a way over other folders says already."""

    def reaches(begin: str, end: str, skip: tuple[str, str]) -> bool:
        todo, done = [begin], set()
        while todo:
            node = todo.pop()
            for other in arrows[node]:
                if (node, other) == skip or other in done:
                    continue
                if other == end:
                    return True
                done.add(other)
                todo.append(other)
        return False

    return {
        node: {other for other in others if not reaches(node, other, (node, other))}
        for node, others in arrows.items()
    }


def name_of(folder: str) -> str:
    return folder.rstrip("/")


def id_of(folder: str) -> str:
    return name_of(folder).replace("/", "_").replace("-", "_")


def shown(prefix: str) -> str:
    if prefix == "":
        return "everything"
    if prefix.endswith(("/", ".hpp")):
        return f"`{prefix}`"
    return f"`{prefix.rstrip('.')}.*`" if prefix.endswith(".") else f"`{prefix}*`"


def allowed_text(allowed: tuple[str, ...], who: list[str], cores: list[str]) -> str:
    """What a row may include, as people say it: without itself, and the pure folders as one."""
    all_cores = bool(cores) and set(cores) <= {*allowed, *who}
    rows = [row for row in allowed if row not in who and not (all_cores and row in cores)]
    text = [shown(row) for row in rows]
    if all_cores:
        text.insert(1, "the pure folders of `protocol/`")
    return ", ".join(text) or "nothing of ours"


def graph_text(rules: Rules, cores: list[str]) -> str:
    arrows = reduced(direct_arrows(rules))
    lines = ["```mermaid", "graph TD"]
    for node in arrows:
        lines.append(f'  {id_of(node)}["{name_of(node)}"]')
    for node, others in arrows.items():
        for other in sorted(others):
            lines.append(f"  {id_of(node)} --> {id_of(other)}")
    lines += ["```", "", "| what | may include | because |", "|---|---|---|"]
    # Rows with one rule are one row.
    merged: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for row, (allowed, reason) in rules.items():
        merged.setdefault((tuple(allowed), reason), []).append(row)
    for (allowed, reason), who in merged.items():
        names = ", ".join(shown(row) for row in who)
        lines.append(f"| {names} | {allowed_text(allowed, who, cores)} | {reason} |")
    return "\n".join(lines) + "\n"


def page(tree: SourceTree, rules: Rules = RULES, cores: list[str] = CORES) -> str:
    """The page with the graph between its marks, or behind its end when it has none."""
    before, _, rest = tree.text(PAGE).partition(BEGIN)
    return before + BEGIN + graph_text(rules, cores) + END + rest.partition(END)[2]
