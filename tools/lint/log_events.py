#!/usr/bin/env python3
"""Compares the catalogue of log events with the calls that log them."""

import json
import re
import sys
from typing import NamedTuple

from source_tree import Finding, SourceTree, run

CATALOGUE = "schemas/log-events.json"
# Where the programs' sources are. common/log.cpp passes events on, and names none.
FOLDERS = ("common/", "protocol/", "notp-server/", "notp-client/", "tools/")
PAGE = "schemas/LOG-EVENTS.md"
PROGRAMS = ("notp-server", "notp-client", "notp")
HEAD = """# Log events

What registry, agent and `notp mirror run` write to standard error: a line is a JSON object (`log.format: json`, the default) with `time`,
`level`, `event`, and the fields of the event. Names of events and fields are stable, the words of a `message` are not.
An event *with an error* also has the error's `code` and `message`, and what the error says of its place.
"""
FOOT = """
This page is made from [the catalogue](log-events.json) by `python3 tools/lint/generated_pages.py --write`. A lint compares
the catalogue with the calls in the sources, and every end-to-end test with what its programs have logged.
"""
NOT_CALLS = ("common/log.hpp",)
# The program that the sources of a folder are for; the others are shared.
PROGRAM_OF = {"notp-server": "notp-server", "notp-client": "notp-client"}

CALL = re.compile(r"\blog::(write|line|debug|info|warn|error)\(")
LEVEL = re.compile(r"\bLevel::k(Debug|Info|Warn|Error)\b")
TEXT = re.compile(r'"((?:\\.|[^"\\])*)"')
NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
ALERTING = {"warn", "error"}
# Of every line.
ENVELOPE = {"time", "level", "event"}
# What the fields of an Error are besides its context.
ERROR_FIELDS = {"code", "message"}


class Call(NamedTuple):
    """One call in the source: which events it may log, at which levels, with which fields."""

    path: str
    line: int
    levels: set[str]
    events: list[str]
    fields: set[str]
    has_error: bool


def arguments(text: str, at: int) -> list[str]:
    """Splits what follows an opening bracket at `at` - 1, up to its closing one, at the commas of its own depth."""
    parts, depth, begin = [], 0, at
    while at < len(text):
        if quoted := TEXT.match(text, at):
            at = quoted.end()
            continue
        if text[at] in "([{":
            depth += 1
        elif text[at] in ")]}":
            if depth == 0:
                break
            depth -= 1
        elif text[at] == "," and depth == 0:
            parts.append(text[begin:at].strip())
            begin = at + 1
        at += 1
    return [*parts, text[begin:at].strip()] if text[begin:at].strip() else parts


def field_names(argument: str) -> set[str]:
    names = set()
    for field in arguments(argument, 1):
        first = TEXT.match(arguments(field, 1)[0]) if field.startswith("{") else None
        if first:
            names.add(first[1])
    return names


def calls(tree: SourceTree) -> list[Call]:
    found = []
    for path in tree.with_suffix(".cpp", ".hpp"):
        if not path.startswith(FOLDERS) or path in NOT_CALLS:
            continue
        text = tree.text(path)
        for match in CALL.finditer(text):
            parts = arguments(text, match.end())
            levels = {match[1]}
            if match[1] in ("write", "line"):
                levels = {name.lower() for name in LEVEL.findall(parts.pop(0))}
            event, *rest = parts
            fields = {name for part in rest if part.startswith("{") for name in field_names(part)}
            has_error = any(not part.startswith("{") for part in rest)
            line = text.count("\n", 0, match.start()) + 1
            found.append(Call(path, line, levels, TEXT.findall(event), fields, has_error))
    return found


def load(tree: SourceTree) -> dict:
    return json.loads(tree.text(CATALOGUE))


def check(tree: SourceTree) -> list[Finding]:
    catalogue, found = load(tree), calls(tree)
    return [*names(catalogue), *unknown(catalogue, found), *unsaid(catalogue, found), *fields(catalogue)]


def names(catalogue: dict) -> list[Finding]:
    listed = [*catalogue["events"], *catalogue["fields"]]
    return [
        Finding(CATALOGUE, 0, f"'{name}': names are lower-case words joined by '_'")
        for name in listed
        if not NAME.fullmatch(name)
    ]


def unknown(catalogue: dict, found: list[Call]) -> list[Finding]:
    """What a call logs and the catalogue does not know."""
    findings = []
    for call in found:
        wrong = lambda text, call=call: findings.append(Finding(call.path, call.line, text))
        if not call.events or not call.levels:
            wrong("a call names its event and its level itself")
        reached = set()
        for event in call.events:
            entry = catalogue["events"].get(event)
            if entry is None:
                wrong(f"'{event}' is not in {CATALOGUE}; say there what it means")
                continue
            reached |= call.levels & set(entry["levels"])
            if not call.levels & set(entry["levels"]):
                wrong(f"'{event}' is logged at another level than in {CATALOGUE}")
            for name in sorted(call.fields - set(entry["fields"])):
                wrong(f"'{event}' has no field '{name}' in {CATALOGUE}")
            if call.has_error and not entry.get("error"):
                wrong(f"'{event}' carries an error: \"error\": true in {CATALOGUE}")
            program = PROGRAM_OF.get(call.path.partition("/")[0])
            if program and program not in entry["programs"]:
                wrong(f"'{event}' is an event of {program} too in {CATALOGUE}")
        if set(call.events) <= set(catalogue["events"]) and reached and reached != call.levels:
            wrong(f"no event of this call has the level {', '.join(sorted(call.levels - reached))} in {CATALOGUE}")
    return findings


def unsaid(catalogue: dict, found: list[Call]) -> list[Finding]:
    """What the catalogue lists and no call logs."""
    findings = []
    for event, entry in catalogue["events"].items():
        own = [call for call in found if event in call.events]
        wrong = lambda text, event=event: findings.append(Finding(CATALOGUE, 0, f"'{event}' {text}"))
        if not own:
            wrong("is logged nowhere; remove it")
            continue
        for level in sorted(set(entry["levels"]) - {level for call in own for level in call.levels}):
            wrong(f"is nowhere logged at {level}")
        for name in sorted(set(entry["fields"]) - {name for call in own for name in call.fields}):
            wrong(f"is nowhere logged with the field '{name}'")
        if entry.get("error") and not any(call.has_error for call in own):
            wrong("is nowhere logged with an error")
        programs = {PROGRAM_OF.get(call.path.partition("/")[0]) for call in own}
        if None not in programs and set(entry["programs"]) - programs:
            wrong(f"is logged by {', '.join(sorted(programs))} alone")
        if ALERTING & set(entry["levels"]) and not entry.get("do"):
            wrong("may be a warning or an error, but does not say what to do")
    return findings


def fields(catalogue: dict) -> list[Finding]:
    """Every name of a field has one entry, so one type and one meaning; none is left over."""
    known = catalogue["fields"]
    used = {name for entry in catalogue["events"].values() for name in entry["fields"]}
    used |= set(catalogue["error_context"]) | ENVELOPE | ERROR_FIELDS
    wanted = sorted(used - set(known))
    left = sorted(set(known) - used)
    return [Finding(CATALOGUE, 0, f"the field '{name}' has no type and no meaning") for name in wanted] + [
        Finding(CATALOGUE, 0, f"no event has the field '{name}'") for name in left
    ]


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def event_row(name: str, entry: dict) -> str:
    own = [f"`{field}`" for field in entry["fields"]]
    if entry.get("error"):
        own.append("*with an error*")
    cells = [f"`{name}`", ", ".join(entry["levels"]), cell(entry["means"]), cell(entry.get("do", "")), ", ".join(own)]
    return "| " + " | ".join(cells) + " |\n"


def page(tree: SourceTree) -> str:
    catalogue = load(tree)
    out = HEAD
    for program in PROGRAMS:
        out += f"\n## {program}\n\n| event | level | what it means | what to do | fields |\n|---|---|---|---|---|\n"
        for name, entry in sorted(catalogue["events"].items()):
            if program in entry["programs"]:
                out += event_row(name, entry)
    out += "\n## Fields\n\n| field | type | what it means |\n|---|---|---|\n"
    for name, field in sorted(catalogue["fields"].items()):
        out += f"| `{name}` | {field['type']} | {cell(field['means'])} |\n"
    places = ", ".join(f"`{name}`" for name in catalogue["error_context"])
    return out + f"\nAn error may say of its place: {places}; they are text.\n" + FOOT


if __name__ == "__main__":
    sys.exit(run("log_events", check))
