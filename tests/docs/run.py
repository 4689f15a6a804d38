#!/usr/bin/env python3
"""Are the documents whole: do manual pages format without a warning, do they name all that there is,
are the examples for CI readable, and does every link lead somewhere?"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MANUAL = ROOT / "docs/man"
HEADER = "include/freeonce/backend.h"
MEMBER = r"^    [\w ]+?\**(?:\(\*)?(\w+)(?:\)\(.*)?;"


def plain(page):
    """A page as a reader sees it, and what the formatter had to say."""
    result = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", MANUAL / page], text=True, capture_output=True,
        env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "200", "MANPAGER": "cat", "MAN_KEEP_FORMATTING": ""})
    return re.sub(".\b", "", result.stdout), result.stderr + ("" if result.returncode == 0 else f"{result.returncode}\n")


def formats():
    """man --warnings and mandoc have nothing to say."""
    for path in sorted(MANUAL.iterdir()):
        if path.read_text().startswith(".so "):
            continue
        yield from (f"{path.name}: {line}" for line in plain(path.name)[1].splitlines())
        lint = subprocess.run(["mandoc", "-Tlint", "-W", "warning", path], text=True, capture_output=True)
        # what is said about pages of other packages is their affair
        yield from (line for line in (lint.stdout + lint.stderr).splitlines() if "mandoc.db" not in line)


def words(pattern, source):
    return re.findall(pattern, (ROOT / source).read_text(), re.MULTILINE)


def says_all(command):
    """What the tables of the source hold, and what --help tells, is in the manual."""
    one, seven = plain("freeonce.1")[0], plain("freeonce.7")[0]
    three = plain("freeonce-backend.3")[0]
    tables = [
        (seven, "freeonce.7", r"\b{}\b", words(r'FO_FINDING\(\w+, "([^"]+)"', "src/report/findings.def")),
        (seven, "freeonce.7", r"\bFREEONCE_{}=", words(r"^FO_OPTION\(\w+, (\w+)", "src/options/options.def")),
        (one, "freeonce.1", r"^ +{}\b", words(r"^    FO_EXIT_\w+ = (\d+)", "src/cli/exit.h")),
        (one, "freeonce.1", r"/{}\b", words(r'define FO_DROPIN_NAME +"([^"]+)"', "src/cli/systemd/unit.h")),
        (three, "freeonce-backend.3", r"\b{}\b", words(r"^#define (\w+) ", HEADER) + words(MEMBER, HEADER)),
    ]
    wanted = [(text, page, form.format(word)) for text, page, form, found in tables for word in found]
    if not all(found for _, _, _, found in tables):
        yield "a table of the source is not read as it was"
    for name in words(r'FO_COMMAND\("([^"]+)"', "src/cli/commands.def"):
        wanted.append((one, "freeonce.1", rf"^   {name}$"))
        if command is not None:
            text = subprocess.run([command, name, "--help"], text=True, capture_output=True).stdout
            flags = set(re.findall(r"^ +(?:-., )?(--[a-z][a-z-]*)", text, re.MULTILINE))
            wanted += [(one, "freeonce.1", rf"{flag}\b") for flag in sorted(flags - {"--usage"})]
    yield from (f"{page} does not say {word}" for text, page, word in wanted if not re.search(word, text, re.MULTILINE))


def examples():
    import yaml  # pylint: disable=import-outside-toplevel

    for path in sorted((ROOT / "docs/ci").glob("*.yml")):
        try:
            if not isinstance(yaml.safe_load(path.read_text()), dict):
                yield f"{path.name}: not a mapping"
        except yaml.YAMLError as error:
            yield f"{path.name}: {error}"


def links():
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text()):
            if not (path.parent / link).exists():
                yield f"{path.relative_to(ROOT)}: there is no {link}"
            elif path.parent != ROOT and not (path.parent / link).resolve().is_relative_to(ROOT / "docs"):
                yield f"{path.relative_to(ROOT)}: {link} is elsewhere once docs/ is installed"


def figures():
    """README.md claims what docs/bench says, and nothing of it while that does not exist."""
    sys.path.insert(0, str(ROOT / "tests/bench/peers"))
    import readme  # pylint: disable=import-outside-toplevel

    yield from readme.claims()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=["man", "examples", "links", "figures"])
    parser.add_argument("--freeonce", help="the command")
    arguments = parser.parse_args()
    missing = [program for program in ("man", "mandoc") if shutil.which(program) is None]
    if arguments.part == "man" and missing:
        print(f"not installed: {', '.join(missing)}")
        sys.exit(1 if os.environ.get("CI") == "true" else 77)
    parts = {"man": lambda: [*formats(), *says_all(arguments.freeonce)], "examples": examples, "links": links, "figures": figures}
    wrong = list(parts[arguments.part]())
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


main()
