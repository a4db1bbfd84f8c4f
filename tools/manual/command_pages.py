"""Pages of commands, from what `--command-tree` of the programs prints."""

import re
import shlex
from typing import NamedTuple

from scdoc_text import ManualError, bold, entry, escaped, italic, merged, paragraphs, prose, sentence

# The footer that every command without one of its own inherits.
INHERITED_FOOTER = "See 'notp --help' for the global options and exit codes."
CHECKS = {
    "POSITIVE": "Above 0.",
    "NONNEGATIVE": "Not below 0.",
    "SIZE": "In bytes, or with a unit, as in 16MB.",
    "TIME": "",  # the description says it by examples
}
RANGE = re.compile(r"(?:INT|UINT|FLOAT) in \[(\S+) - (\S+)\]")


class Program(NamedTuple):
    name: str
    section: int
    tree: dict


def check_text(check: str) -> str:
    if found := RANGE.fullmatch(check):
        return f"From {found[1]} to {found[2]}."
    if check not in CHECKS:
        raise ManualError(f"no words for the check {check!r}; add it to CHECKS of tools/manual/command_pages.py")
    return CHECKS[check]


def value_text(option: dict) -> str:
    if "choices" in option:
        return "|".join(bold(choice) for choice in option["choices"])
    return italic(option["value"])


def with_value(name: str, option: dict) -> str:
    return f"{bold(name)} {value_text(option)}" if "value" in option else bold(name)


def is_argument(option: dict) -> bool:
    return "argument" in option


def term(option: dict) -> str:
    if is_argument(option):
        shown = italic(option["argument"])
        return shown if option["value"] in ("DIR", "FILE", "TEXT", "NAME") else f"{shown}, as {value_text(option)}"
    *others, last = option["names"]
    return ", ".join([*(bold(name) for name in others), with_value(last, option)])


def facts(option: dict) -> list[str]:
    """What the description does not say."""
    out = []
    if option.get("required") and not is_argument(option):
        out.append("Required.")
    out += filter(None, (check_text(check) for check in option.get("checks", [])))
    if option.get("repeats") and not is_argument(option):
        out.append("Can be given several times.")
    if "default" in option:
        stop = "" if option["default"].endswith(".") else "."
        out.append(f"The default is {bold(option['default'])}{stop}")
    if "excludes" in option:
        out.append("Not together with " + ", ".join(bold(name.split(",")[-1]) for name in option["excludes"]) + ".")
    if "variable" in option:
        out.append(f"The variable {bold(option['variable'])} sets it, too.")
    return out


def option_entry(option: dict) -> str:
    return entry(term(option), " ".join([sentence(option.get("about", "")), *facts(option)]))


def own_options(tree: dict) -> list[dict]:
    return [o for o in tree["options"] if not is_argument(o) and "--help" not in o["names"] and "--version" not in o["names"]]


def arguments(tree: dict) -> list[dict]:
    return [o for o in tree["options"] if is_argument(o)]


def options_text(tree: dict, heading: bool) -> str:
    """Entries of a command's options; each further group begins with a line about it."""
    out, group = "", "Options"
    for option in own_options(tree):
        if option["group"] != group and heading:
            group = option["group"]
            one = " Exactly one of these is required." if group in tree.get("one_of", []) else ""
            out += f"{prose(group)}:{one}\n\n"
        out += option_entry(option) + "\n"
    return out


def argument_text(option: dict) -> str:
    shown = italic(option["value"] if option.get("repeats") else option["argument"])
    return shown if option.get("required") else f"[{shown}]"


def synopsis(program: str, tree: dict) -> str:
    words = [bold(f"{program} {tree['path']}" if "path" in tree else program)]
    optional = [o for o in own_options(tree) if not o.get("required") and o["group"] not in tree.get("one_of", [])]
    if optional:
        words.append("[_options_]")
    words += [with_value(o["names"][-1], o) for o in own_options(tree) if o.get("required")]
    for group in tree.get("one_of", []):
        members = [o for o in own_options(tree) if o["group"] == group]
        words.append("{" + "|".join(with_value(o["names"][-1], o) for o in members) + "}")
    words += [argument_text(option) for option in arguments(tree)]
    return " ".join(words)


def leaves(tree: dict) -> list[dict]:
    """The commands that do something: those without subcommands, and those that do not need one."""
    own = [] if tree.get("needs_command") else [tree]
    return own + [leaf for child in tree["children"] for leaf in leaves(child)]


def synopses(program: str, tree: dict) -> str:
    return "++\n".join(synopsis(program, leaf) for leaf in leaves(tree)) + "\n"


def footer(tree: dict) -> list[str]:
    text = tree.get("footer", "")
    return paragraphs(text) if text.strip() != INHERITED_FOOTER else []


def commands_text(program: str, tree: dict) -> str:
    """Every subcommand with its arguments and options."""
    out = ""
    for child in tree["children"]:
        # A group of one of notp's commands says what it is about; each of its members has a heading.
        is_inner_group = program == "notp" and child.get("needs_command")
        for group in [child, *child["children"]] if is_inner_group else [child]:
            out += f"## {escaped(group['path'].split(' ', 1)[-1] if program == 'notp' else group['path'])}\n\n"
            if is_inner_group and group is child:
                out += f"{bold('notp ' + group['path'])}: {sentence(group['about'])}\n\n"
                continue
            for leaf in [group, *group["children"]]:
                if leaf is group and leaf.get("needs_command"):
                    out += f"{sentence(leaf['about'])}\n\n"
                    out += options_text(leaf, heading=False)
                    continue
                out += f"{synopsis(program, leaf)}\n\n{sentence(leaf['about'])}\n\n"
                out += "".join(option_entry(option) + "\n" for option in arguments(leaf))
                out += options_text(leaf, heading=True)
                out += "".join(text + "\n\n" for text in footer(leaf))
    return out


def variables_text(tree: dict) -> str:
    found = {}
    for one in [tree, *tree["children"]]:
        for option in one["options"]:
            if "variable" in option:
                found[option["variable"]] = option["names"][-1]
    return "".join(entry(bold(variable), f"As {bold(name)}.") + "\n" for variable, name in found.items())


def summary(text: str) -> str:
    """For NAME, which has no stop and, in the words of man-pages(7), no capital."""
    text = prose(text).rstrip(".")
    return text[0].lower() + text[1:] if re.match(r"[A-Z][a-z]+\b", text) else text


def command_page(tree: dict, written: str, global_names: list[str]) -> dict[str, str]:
    """notp-COMMAND(1)."""
    name = f"notp-{tree['path']}"
    parts = {
        "NAME": f"{name} - {summary(tree['about'])}\n",
        "SYNOPSIS": synopses("notp", tree),
        "ARGUMENTS": "".join(option_entry(o) + "\n" for o in arguments(tree)),
        "OPTIONS": options_text(tree, heading=True),
        "COMMANDS": commands_text("notp", tree),
        "GLOBAL OPTIONS": "Every command of *notp*(1) takes these, which are described there: "
        + ", ".join(bold(one) for one in global_names)
        + ". *--help* prints a short form of this page.\n",
        "EXIT STATUS": "0 when it is done. The others are those of *notp*(1), unless it is said above.\n",
        "ENVIRONMENT": variables_text(tree),
    }
    parts = merged(parts, written)
    for text in footer(tree):
        parts["DESCRIPTION"] = parts.get("DESCRIPTION", "") + f"\n{text}\n"
    return parts


def exit_table(footer_text: str) -> dict[int, str]:
    """The two columns below "Exit codes:" in notp's own help."""
    _, _, table = footer_text.partition("Exit codes:\n")
    lines = table.splitlines()
    split = min(line.find(found[0].strip(), 3) for line in lines if (found := re.search(r"\s{2,}\d+  \S.*$", line[3:])))
    codes: dict[int, str] = {}
    twice = False
    for column in ([line[:split] for line in lines], [line[split:] for line in lines]):
        last = None
        for cell in column:
            if found := re.match(r"\s*(\d+)\s+(\S.*)", cell):
                last = int(found[1])
                twice |= last in codes
                codes[last] = found[2].strip()
            elif cell.strip() and last is not None:
                codes[last] += " " + cell.strip()
    if twice or sorted(codes) != list(range(len(codes))) or not codes:
        raise ManualError("'Exit codes:' in the help of notp is no table of 0, 1, 2 ... in two columns")
    return codes


def error_names(result_header: str) -> dict[int, list[str]]:
    """Exit code -> the names of errors that end with it, from the tables of common/result.hpp."""
    numbers = {n: int(v) for n, v in re.findall(r"inline constexpr int (k\w+) = (\d+);", result_header)}
    names: dict[int, list[str]] = {}
    for name, code in re.findall(r"\bX\((k\w+), \d+, k\w+, (k\w+)\)", result_header):
        names.setdefault(numbers[code], []).append(re.sub(r"(?<!^)(?=[A-Z])", "_", name[1:]).lower())
    return names


def exit_text(codes: dict[int, str], names: dict[int, list[str]]) -> str:
    out = ""
    for code, meaning in codes.items():
        of_json = [bold(name) for name in names.get(code, [])]
        listed = ("one of " if len(of_json) > 1 else "") + ", ".join(of_json)
        out += entry(bold(str(code)), sentence(meaning), f"With *-o json* the code is {listed}." if of_json else "") + "\n"
    return out


def footer_sections(text: str) -> dict[str, str]:
    """The paragraphs of notp's help that begin with a word and a colon, as sections."""
    out = {}
    for part in re.split(r"\n\s*\n", text.strip()):
        heading, colon, body = part.partition(":")
        if not colon or not heading.isalpha():
            if heading != "Exit codes":
                raise ManualError(f"no section for this paragraph of the help of notp: {part!r}")
            continue
        out[heading.upper()] = sentence(body) + "\n"
    return out


def program_page(program: Program, written: str, result_header: str) -> dict[str, str]:
    """notp(1), with a table of its commands, or a daemon's page with all of them."""
    tree = program.tree
    parts = {
        "SYNOPSIS": synopses(program.name, tree),
        "OPTIONS": options_text(tree, heading=False)
        + entry("*-h*, *--help*", "Print a short form of this page.")
        + "\n"
        + entry("*--version*", "Print the version."),
        "ENVIRONMENT": variables_text(tree),
    }
    if program.name == "notp":
        parts["SYNOPSIS"] = "*notp* [_options_] _command_ [_arguments_]\n"
        parts["COMMANDS"] = "".join(
            entry(f"*notp-{escaped(child['path'])}*(1)", sentence(child["about"])) + "\n" for child in tree["children"]
        )
        codes = exit_table(tree["footer"])
        parts |= footer_sections(tree["footer"])
        parts["EXIT STATUS"] = exit_text(codes, error_names(result_header))
    else:
        parts["COMMANDS"] = commands_text(program.name, tree)
    parts["DESCRIPTION"] = sentence(tree["about"]) + "\n"
    return merged(parts, written)


def find(tree: dict, words: list[str]) -> tuple[dict, list[str]]:
    """The command that a line names, and the words after it."""
    while words:
        child = next((c for c in tree["children"] if c["path"].split()[-1] == words[0]), None)
        if child is None:
            break
        tree, words = child, words[1:]
    return tree, words


def check_example(line: str, programs: dict[str, Program]) -> None:
    """ManualError for a command line with a command or option that does not exist."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        raise ManualError(f"example {line!r}: {error}") from error
    end = next((i for i, word in enumerate(words) if word in ("|", ">", "<", "&&", ";")), len(words))
    words = words[1:end]
    program = programs[line.split()[0]].tree
    skipped = []
    while words and words[0].startswith("-"):  # options of the program before the command
        skipped.append(words.pop(0))
        if words and not words[0].startswith("-"):
            words.pop(0)
    command, rest = find(program, words)
    if command.get("needs_command") and not any(word in ("--help", "--version") for word in skipped):
        raise ManualError(f"example {line!r} names no command")
    known = {name for tree in (program, command) for option in tree["options"] for name in option.get("names", [])}
    parents = [tree for tree in program["children"] if command.get("path", "").startswith(tree["path"] + " ")]
    known |= {name for tree in parents for option in tree["options"] for name in option.get("names", [])}
    for word in skipped + rest:
        name = word.partition("=")[0] if word.startswith("--") else word[:2]
        if word.startswith("-") and word != "-" and name not in known:
            raise ManualError(f"example {line!r}: {name} is no option of it")
