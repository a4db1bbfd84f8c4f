#!/usr/bin/env python3
"""Writes the manual pages: of commands from the programs' own trees of commands, of configurations
from their JSON Schemas, each with the sections of pages/ that no source holds.

manual.py --bin DIR --out DIR: the programs of DIR are asked; DIR/src gets the sources for scdoc, and
DIR/man1, man5 and man8 get the pages, dated by SOURCE_DATE_EPOCH if it is set.

A section of pages/NAME.scd comes after what is generated for it. An example there must be a command
that the programs know, and a page that is referred to must exist; else nothing is written.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tools/lint"))

from command_pages import Program, check_example, command_page, own_options, program_page  # noqa: E402
from config_pages import FILES, config_page  # noqa: E402
from scdoc_text import ManualError, merged, page  # noqa: E402

PROGRAMS = {"notp": 1, "notp-server": 8, "notp-client": 8}
WRITTEN_ALONE = {"notp-pdp": 8}  # asked by programs, not by people


def output_of(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ManualError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def written(name: str) -> str:
    """The sections of a page that are written by hand. Every page has some."""
    file = Path(__file__).parent / "pages" / f"{name}.scd"
    if not file.is_file():
        raise ManualError(f"tools/manual/pages/{file.name} is missing: a description, examples, what to see also")
    return file.read_text(encoding="utf-8")


def all_pages(programs: dict[str, Program]) -> dict[tuple[str, int], dict[str, str]]:
    """(name, section) -> heading -> text."""
    result_header = (SOURCE / "common/result.hpp").read_text(encoding="utf-8")
    pages = {}
    for name, program in programs.items():
        pages[name, program.section] = program_page(program, written(name), result_header)
    notp = programs["notp"].tree
    global_names = [option["names"][-1] for option in own_options(notp)]
    for tree in notp["children"]:
        name = f"notp-{tree['path']}"
        pages[name, 1] = command_page(tree, written(name), global_names)
    for file in FILES:
        pages[file.name, 5] = config_page(SOURCE, file, written(file.name))
    for name, section in WRITTEN_ALONE.items():
        pages[name, section] = merged({}, written(name))
    return pages


def check_pages(pages: dict[tuple[str, int], dict[str, str]], programs: dict[str, Program]) -> None:
    for (name, section), parts in pages.items():
        where = f"{name}({section})"
        for heading in ("NAME", "DESCRIPTION", "SEE ALSO"):
            if not parts.get(heading, "").strip():
                raise ManualError(f"{where} has no {heading}; write it into tools/manual/pages/{name}.scd")
        for seen, number in re.findall(r"\*(notp[\w.-]*)\*\((\d)\)", "".join(parts.values())):
            if (seen, int(number)) not in pages:
                raise ManualError(f"{where} refers to {seen}({number}), which does not exist")
        for line in parts.get("EXAMPLES", "").splitlines():
            if re.match(r"notp(-server|-client)?( |$)", line):
                check_example(line, programs)
    unused = {file.stem for file in (Path(__file__).parent / "pages").glob("*.scd")} - {name for name, _ in pages}
    if unused:
        raise ManualError(f"tools/manual/pages has files of no page: {', '.join(sorted(unused))}")


def finished(text: str) -> str:
    """scdoc's output with the hyphens of names and examples as troff leaves them alone: it neither
    breaks a line there nor prints another character."""
    out, is_literal = [], False
    for line in text.splitlines():
        is_literal = line == ".nf" or is_literal and line != ".fi"
        if is_literal and not line.startswith("."):
            line = line.replace("-", "\\-")
        elif not line.startswith("."):
            line = re.sub(r"\\f[BI].*?\\fR", lambda name: name[0].replace("-", "\\-"), line)
        out.append(line)
        if line.startswith(".TH "):  # which resets both
            out += [".nh", ".ad l"]
    return "\n".join(out) + "\n"


def write(out: Path, pages: dict[tuple[str, int], dict[str, str]], version: str) -> None:
    for folder in ("src", "man1", "man5", "man8"):
        shutil.rmtree(out / folder, ignore_errors=True)
        (out / folder).mkdir(parents=True)
    for (name, section), parts in pages.items():
        source = page(name, section, version, parts)
        (out / "src" / f"{name}.{section}.scd").write_text(source, encoding="ascii")
        done = subprocess.run(["scdoc"], input=source, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ManualError(f"scdoc refuses {name}.{section}.scd: {done.stderr.strip()}")
        (out / f"man{section}" / f"{name}.{section}").write_text(finished(done.stdout), encoding="ascii")


def main() -> int:
    parser = argparse.ArgumentParser(prog="manual.py")
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if not shutil.which("scdoc"):
        raise ManualError("scdoc is not installed; run tools/install-dependencies")
    version = output_of(str(options.bin / "notp"), "--version").split()[1]
    programs = {
        name: Program(name, section, json.loads(output_of(str(options.bin / name), "--command-tree")))
        for name, section in PROGRAMS.items()
    }
    pages = all_pages(programs)
    check_pages(pages, programs)
    write(options.out, pages, version)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ManualError as problem:
        sys.exit(f"manual.py: {problem}")
