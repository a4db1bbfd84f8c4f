"""The arrows of include_arrows.py as a graph and a table for people, and the page that has them."""

from source_tree import Finding, SourceTree

PAGE = "common/README.md"
BEGIN = "<!-- arrows: begin -->"
END = "<!-- arrows: end -->"
COMMAND = "python3 tools/lint/include_arrows.py --update"

Rooms = dict[str, tuple[list[str], str]]
# Folders that are in no arrow worth drawing: they may include everything.
NOT_DRAWN = ("tools/", "tests/")


def folders(rooms: Rooms, paths: list[str]) -> list[str]:
    """The rows that are folders and have files; a row whose folder is yet to come is not drawn."""
    rows = [r for r in rooms if r.endswith("/") and r not in NOT_DRAWN]
    return [r for r in rows if any(p.startswith(r) for p in paths)]


def direct_arrows(rooms: Rooms, nodes: list[str]) -> dict[str, set[str]]:
    """Folder -> the folders that it may include something of. A part never includes the wiring around it."""
    arrows = {}
    for node in nodes:
        seen = set()
        for prefix in rooms[node][0]:
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


def allowed_text(allowed: list[str], who: list[str], cores: list[str], tree: SourceTree) -> str:
    """What a row may include, as people say it: without itself, and the pure folders as one."""

    def exists(row: str) -> bool:
        # A file may be generated; a folder that does not exist yet is not a prefix of any file.
        folder = row if row.endswith("/") else row.rpartition("/")[0] + "/"
        return row == "" or any(path.startswith(folder) for path in tree.paths)

    all_cores = bool(cores) and set(cores) <= {*allowed, *who}
    rows = [row for row in allowed if exists(row) and row not in who and not (all_cores and row in cores)]
    text = [shown(row) for row in rows]
    if all_cores:
        text.insert(1, "the pure folders of `protocol/`")
    return ", ".join(text) or "nothing of ours"


def graph_text(rooms: Rooms, cores: list[str], tree: SourceTree) -> str:
    nodes = folders(rooms, tree.paths)
    arrows = reduced(direct_arrows(rooms, nodes))
    lines = ["```mermaid", "graph TD"]
    for node in nodes:
        lines.append(f'  {id_of(node)}["{name_of(node)}"]')
    for node in nodes:
        for other in sorted(arrows[node]):
            lines.append(f"  {id_of(node)} --> {id_of(other)}")
    lines += ["```", "", "| what | may include | because |", "|---|---|---|"]
    # Rows with one rule are one row.
    rules: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for room, (allowed, reason) in rooms.items():
        if any(path.startswith(room) for path in tree.paths):
            rules.setdefault((tuple(allowed), reason), []).append(room)
    for (allowed, reason), who in rules.items():
        seen = allowed_text(list(allowed), who, cores, tree)
        lines.append(f"| {', '.join(shown(room) for room in who)} | {seen} | {reason} |")
    return "\n".join(lines) + "\n"


def page_with(page: str, graph: str) -> str | None:
    """The page with this graph between its marks; None: it has no marks."""
    before, begins, rest = page.partition(BEGIN + "\n")
    _, ends, after = rest.partition(END)
    return before + begins + graph + ends + after if begins and ends else None


def page_is_fresh(rooms: Rooms, cores: list[str], tree: SourceTree) -> list[Finding]:
    if PAGE not in tree.paths:
        return []
    page = tree.text(PAGE)
    wanted = page_with(page, graph_text(rooms, cores, tree))
    if wanted is None:
        return [Finding(PAGE, 0, f"the marks {BEGIN} and {END} of the arrow graph are missing")]
    if wanted != page:
        return [Finding(PAGE, 0, f"its arrows are not those of include_arrows.py; run {COMMAND}")]
    return []


def update_page(rooms: Rooms, cores: list[str], tree: SourceTree) -> list[Finding]:
    wanted = page_with(tree.text(PAGE), graph_text(rooms, cores, tree)) if PAGE in tree.paths else None
    if wanted is None:
        return [Finding(PAGE, 0, f"there is no page with the marks {BEGIN} and {END}")]
    (tree.root / PAGE).write_text(wanted, encoding="utf-8")
    return []
