"""Pages of configuration files, from their JSON Schemas."""

import json
from pathlib import Path
from typing import Iterator, NamedTuple

from config_reference import limits_of, load
from scdoc_text import ManualError, bold, entry, inline, literal, merged, sentence
from source_tree import SourceTree

UNITS = {"_bytes": "bytes", "_ms": "milliseconds", "_s": "seconds", "_hours": "hours", "_days": "days"}


class File(NamedTuple):
    name: str  # of the page
    schema: str
    summary: str
    example: str  # a file of the repository
    reload: bool  # whether a running program reads it


FILES = (
    File("notp-server.yaml", "server-config", "configuration of the registry", "tools/packaging/server.yaml", True),
    File("notp-client.yaml", "agent-config", "configuration of the agent", "tools/packaging/client.yaml", True),
    File("notp.yaml", "cli-config", "configuration of the command line notp", "tools/packaging/config.yaml", False),
    File("notp-mirror.yaml", "mirror-config", "configuration of notp mirror", "tools/packaging/mirror.yaml", True),
    File("notp-manifest.json", "manifest", "what a model says of itself", "tools/examples/payments/manifest.json", False),
)


def type_text(schema: dict) -> str:
    if schema.get("type") == "array":
        items = schema["items"]
        alternatives = [items] if "type" in items or "oneOf" not in items else items["oneOf"]
        return "list of " + " or ".join(type_text(one) + "s" for one in alternatives)
    return schema.get("type") or ("string" if "const" in schema or "enum" in schema else "any value")


def limits_text(schema: dict) -> str:
    text = f"always `{schema['const']}`" if "const" in schema else limits_of(schema)
    return inline("one of " + text if "enum" in schema else text)


def description_of(schema: dict) -> str:
    of_elements = schema.get("items", {}) if schema.get("type") == "array" else {}
    return next(filter(None, (schema.get("description"), schema.get("title"), of_elements.get("description"))), "")


def unit_of(key: str, schema: dict) -> str:
    """By the end of its name, or of the object's that it is in."""
    if schema.get("type") != "integer":
        return ""
    names = key.rsplit(".", 2)[-1:-3:-1]
    return next((unit for name in names for suffix, unit in UNITS.items() if name.endswith(suffix)), "")


def default_text(schema: dict) -> str:
    if "default" not in schema or schema.get("type") == "object":
        return ""
    value = schema["default"]
    return bold(value if isinstance(value, str) else json.dumps(value))


def conditions(schema: dict) -> list[str]:
    """Which keys of an object need others, in words."""
    out = []
    choices = [one["required"] for one in schema.get("oneOf", []) if set(one) == {"required"}]
    if choices:
        out.append("Exactly one of " + ", ".join(bold(key) for keys in choices for key in keys) + " is given.")
    if "then" in schema:
        (key, value), *_ = schema["if"]["properties"].items()
        required = list(required_paths(schema["then"]))
        out.append(f"With {bold(key)} {bold(value['const'])} {', '.join(bold(one) for one in required)} is required.")
    return out


def required_paths(schema: dict, prefix: str = "") -> Iterator[str]:
    inner = schema.get("properties", {})
    for key in schema.get("required", []):
        if key in inner:
            yield from required_paths(inner[key], f"{prefix}{key}.")
        else:
            yield prefix + key


def key_entry(key: str, schema: dict, required: bool, applies: str) -> str:
    unit, limits, default = unit_of(key, schema), limits_text(schema), default_text(schema)
    facts = [f"Type: {type_text(schema)}" + (f", in {unit}" if unit else "") + (f"; {limits}" if limits else "") + "."]
    if required:
        facts.append("Required.")
    elif default:
        facts.append(f"Default: {default}.")
    if applies:
        facts.append(applies)
    texts = [sentence(description_of(schema)), *conditions(schema.get("items", schema))]
    text = " ".join(filter(None, texts))
    return entry(bold(key), (text + "++\n" if text else "") + " ".join(facts))


def keys(schema: dict, prefix: str = "", applies=lambda key: "") -> Iterator[str]:
    """An entry for each key, in the schema's order, the members of an object after it."""
    required = schema.get("required", [])
    for name, part in schema.get("properties", {}).items():
        key = prefix + name
        yield key_entry(key, part, name in required, applies(key)) + "\n"
        yield from below(part, key, applies)


def below(part: dict, key: str, applies) -> Iterator[str]:
    inner = part.get("items", part)
    step = key + "[]" if "items" in part else key
    for one in [inner, *inner.get("oneOf", [])]:
        if "properties" in one:
            yield from keys(one, step + ".", applies)
    more = inner.get("additionalProperties")
    if isinstance(more, dict):
        named = f"{step}.NAME"
        if more.get("type") != "object":
            yield key_entry(named, more, False, applies(named)) + "\n"
        yield from below(more, named, applies)


def applies_text(schema: dict, file: File):
    """When a change of a key counts: x-reload lists the top-level keys that a reload applies."""
    if not file.reload:
        return lambda key: ""
    reloaded = schema["x-reload"]
    unknown = set(reloaded) - set(schema["properties"])
    if unknown:
        raise ManualError(f"x-reload of schemas/{file.schema}.schema.json names no key: {', '.join(sorted(unknown))}")
    return lambda key: "Reloaded." if key.partition(".")[0].partition("[")[0] in reloaded else "Needs a restart."


def config_page(root: Path, file: File, written: str) -> dict[str, str]:
    schema = load(SourceTree(root, []), f"schemas/{file.schema}.schema.json")
    parts = {
        "NAME": f"{file.name} - {file.summary}\n",
        "KEYS": "".join(keys(schema, applies=applies_text(schema, file))),
        "EXAMPLES": literal((root / file.example).read_text(encoding="utf-8")),
    }
    return merged(parts, written)
