"""The page that lists every key of the programs' configurations, from their schemas."""

import json
import re
from pathlib import PurePosixPath

from source_tree import SourceTree

PAGE = "schemas/CONFIGURATION.md"
PROGRAMS = [
    # schema, program, variables
    ("schemas/server-config.schema.json", "notp-server", "NOTP_SERVER"),
    ("schemas/agent-config.schema.json", "notp-client", "NOTP_CLIENT"),
    ("schemas/mirror-config.schema.json", "notp mirror", "NOTP_MIRROR"),
]
PATTERN_SHOWN_MAX = 40
HEAD = """# Configuration reference

Every key of the configurations of the registry, the agent and the mirrors, with its type, its default, its limits and what it is for.
A key is written in YAML or JSON under the names that the dots separate; `[]` stands for each element of a list. Where
the default is *required*, the program does not start without the key; `–` means that it may be absent.

A key outside of lists is also set by a variable: the program's prefix and the names, in upper case, joined by `_`, as in
`NOTP_SERVER_TLS_CERTIFICATE`. A variable comes before the file.
"""
FOOT = """
This page is made from the schemas by `python3 tools/lint/generated_pages.py --write`, and a test compares it with them.
"""


def load(tree: SourceTree, path: str) -> dict:
    """A schema with everything put in that it refers to, in other files and in itself."""

    def resolved(value, inside: str):
        if isinstance(value, list):
            return [resolved(item, inside) for item in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"$ref"}:
            file, _, pointer = value["$ref"].partition("#/")
            file = str(PurePosixPath(inside).parent / file) if file else inside
            part = json.loads(tree.text(file))
            for step in filter(None, pointer.split("/")):
                part = part[step]
            return resolved(part, file)
        return {name: resolved(item, inside) for name, item in value.items()}

    return resolved(json.loads(tree.text(path)), path)


def quoted(value) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return f"`{text}`"


def limits_of(schema: dict) -> str:
    parts = []
    if "enum" in schema:
        parts.append(", ".join(quoted(value) for value in schema["enum"]))
    for low, high, unit in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " elements"),
    ):
        if low in schema and high in schema:
            parts.append(f"{schema[low]} to {schema[high]}{unit}")
        elif high in schema:
            parts.append(f"at most {schema[high]}{unit}")
        elif low in schema and not (low == "minLength" and schema[low] == 1):
            parts.append(f"at least {schema[low]}{unit}")
    if schema.get("uniqueItems"):
        parts.append("none twice")
    pattern = schema.get("pattern", "")
    if pattern and len(pattern) <= PATTERN_SHOWN_MAX:
        parts.append(quoted(pattern))
    if schema.get("type") == "array" and (each := limits_of(schema["items"])):
        parts.append(f"each {each}")
    return "; ".join(parts)


def type_of(schema: dict) -> str:
    if schema["type"] == "array":
        return f"list of {schema['items'].get('type', 'string')}s"
    return schema["type"]


def row(key: str, schema: dict, required: bool) -> str:
    default = "*required*" if required else quoted(schema["default"]) if "default" in schema else "–"
    if schema["type"] == "object" and not required:
        default = "–"
    # The programs repeat a description in their errors, but not a title.
    of_elements = schema.get("items", {}) if schema["type"] == "array" else {}
    texts = (schema.get("description"), schema.get("title"), of_elements.get("description"))
    description = next(filter(None, texts), "")
    cells = [f"`{key}`", type_of(schema), default, limits_of(schema), description]
    return "| " + " | ".join(re.sub(r"\|", r"\\|", cell) for cell in cells) + " |"


def rows(schema: dict, prefix: str = ""):
    required = schema.get("required", [])
    for name, part in schema["properties"].items():
        key = prefix + name
        yield row(key, part, name in required)
        inner = part.get("items", part)
        if "properties" in inner:
            yield from rows(inner, key + (".", "[].")["items" in part])


def page(tree: SourceTree) -> str:
    out = HEAD
    for path, program, prefix in PROGRAMS:
        out += f"\n## {program}\n\nVariables begin with `{prefix}_`.\n\n"
        out += "| key | type | default | limits | what it is for |\n|---|---|---|---|---|\n"
        out += "\n".join(rows(load(tree, path))) + "\n"
    return out + FOOT
