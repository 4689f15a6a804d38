#!/usr/bin/env python3
"""Are the documents whole: do manual pages format without a warning, do they name all that there is,
are the examples for CI valid, does every link have a target, and is README.md short?"""

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
MOST_LINES, MOST_WORDS = 150, 1000
MEMBER = r"^    [\w ]+?\**(?:\(\*)?(\w+)(?:\)\(.*)?;"


def plain(page):
    """A page as a reader sees it, and the messages of the formatter."""
    result = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", MANUAL / page], text=True, capture_output=True,
        env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "200", "MANPAGER": "cat", "MAN_KEEP_FORMATTING": ""})
    return re.sub(".\b", "", result.stdout), result.stderr + ("" if result.returncode == 0 else f"{result.returncode}\n")


def formats():
    """man --warnings and mandoc print nothing."""
    for path in sorted(MANUAL.iterdir()):
        if path.read_text().startswith(".so "):
            continue
        yield from (f"{path.name}: {line}" for line in plain(path.name)[1].splitlines())
        lint = subprocess.run(["mandoc", "-Tlint", "-W", "warning", path], text=True, capture_output=True)
        # messages about pages of other packages do not count
        yield from (line for line in (lint.stdout + lint.stderr).splitlines() if "mandoc.db" not in line)


def words(pattern, source):
    return re.findall(pattern, (ROOT / source).read_text(), re.MULTILINE)


def says_all(command):
    """Every row of the source's tables, and every flag of --help, is in the manual."""
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

    documents = {}
    for path in [*sorted((ROOT / "docs/ci").glob("*.yml")), *sorted((ROOT / "docs/containers").glob("*.yml"))]:
        try:
            documents[path.name] = yaml.safe_load(path.read_text())
        except yaml.YAMLError as error:
            yield f"{path.name}: {error}"
        if not isinstance(documents.get(path.name, {}), dict):
            yield f"{path.name}: not a mapping"
    yield from containers(documents)


def containers(documents):
    """The library that each container file preloads is where that file puts it, and the word is one that musl ignores."""
    word = words(r"^ENV LD_PRELOAD='(.*)'$", "docs/containers/Containerfile")
    held = words(r"^COPY --from=build (\S+) ", "packaging/Containerfile")
    pod = documents["kubernetes.yml"]["spec"]["template"]["spec"]
    (server,), (first,) = pod["containers"], pod["initContainers"]
    compose = documents["compose.yml"]["services"]
    preloaded = {
        "Containerfile": word[0],
        "kubernetes.yml": next(one["value"] for one in server["env"] if one["name"] == "LD_PRELOAD"),
        "compose.yml": compose["server"]["environment"]["LD_PRELOAD"].replace("$$", "$"),
    }
    mounted = {one["name"]: one["mountPath"] for one in server["volumeMounts"]}
    copied = {one["name"]: one["mountPath"] for one in first["volumeMounts"]}
    placed = {
        "Containerfile": f"{held[-1]}/lib",
        "kubernetes.yml": mounted["freeonce"],
        "compose.yml": compose["server"]["volumes"][0].split(":")[1],
    }
    for name, path in preloaded.items():
        if path != f"/$LIB/../../..{placed[name]}/libfreeonce.so.0":
            yield f"docs/containers/{name}: LD_PRELOAD is {path}, and the library is in {placed[name]}"
    targets = {"kubernetes.yml": (first["command"], copied["freeonce"]),
               "compose.yml": (compose["freeonce"]["command"], compose["freeonce"]["volumes"][0].split(":")[1])}
    for name, (command, target) in targets.items():
        if command != ["cp", f"{held[-1]}/lib/libfreeonce.so.0", f"{target}/"]:
            yield f"docs/containers/{name}: {command} does not copy what packaging/Containerfile puts into {held[-1]}"


def anchors(path):
    """What `#...` may name in a page: its headings, as they are spelt in links."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.M | re.S)
    headings = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in re.findall(r"^#+ (.*)$", text, re.M))
    return {heading.replace(" ", "-") for heading in headings}


def links():
    for path in [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]:
        name = path.relative_to(ROOT)
        for link, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)", path.read_text()):
            target = path.parent / link if link else path
            if not target.exists():
                yield f"{name}: there is no {link}"
            elif anchor and anchor not in anchors(target):
                yield f"{name}: {link} has no heading {anchor}"
            elif path.parent != ROOT and not target.resolve().is_relative_to(ROOT / "docs"):
                yield f"{name}: {link} is elsewhere once docs/ is installed"
            elif path.name == "README.md" and path.parent == ROOT and not target.resolve().is_relative_to(ROOT / "docs") \
                    and target != path:
                yield f"{name}: {link} is not installed beside it"


def size():
    """README.md must be short."""
    text = (ROOT / "README.md").read_text()
    for what, count, most in (("lines", text.count("\n"), MOST_LINES), ("words", len(text.split()), MOST_WORDS)):
        if count > most:
            yield f"README.md: has {count} {what}, more than {most}"


def commands(command):
    """Each `freeonce ...` that a page shows has flags that there are, and each script and test that it names is there."""
    shown = re.compile(r"(?:^ *(?:[$#] )?(?:\w+=\S+ )*|`|- run: |sh ')freeonce((?: [^`\n|;>&#]*)?)", re.MULTILINE)
    flags, subcommands = {}, words(r'FO_COMMAND\("([^"]+)"', "src/cli/commands.def")
    for name in subcommands if command is not None else ():
        text = subprocess.run([command, name, "--help"], text=True, capture_output=True, check=True).stdout
        flags[name] = set(re.findall(r"(?<![\w-])(--?[A-Za-z][a-z-]*)", text)) | {"--"}
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "docs/ci").iterdir())]:
        text = path.read_text()
        for given in shown.findall(text) if flags else ():
            first = given.split()[:1]
            name = first[0] if first and first[0] in subcommands else "run"
            own = re.split(r" -- | -- ?$", given + " ")[0]
            for flag in re.findall(r"(?<= )--?[A-Za-z][a-z-]*", own):
                if flag not in flags[name] | {"--version", "--help"}:
                    yield f"{path.relative_to(ROOT)}: freeonce {name} has no {flag}"
        for named in re.findall(r"(?<![\w/.])((?:scripts|tests|examples|src)/[\w./-]*\w)", text):
            if re.search(r"[A-Z]{4}", named):  # stands for a name
                continue
            if not (ROOT / named).exists() and not (ROOT / f"{named}.c").exists():  # a program of that name
                yield f"{path.relative_to(ROOT)}: there is no {named}"


# As the package installs it, or as docs/containers has it; the plain path is what containers.md warns of.
INSTALLED = ("libfreeonce.so.0", "/usr/$LIB/libfreeonce.so.0", "/$LIB/../../../opt/freeonce/lib/libfreeonce.so.0",
             "/opt/freeonce/lib/libfreeonce.so.0")


def libraries():
    """Each LD_PRELOAD that a page shows names the library as the package installs it, not one of a build folder."""
    pages = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs/ci").iterdir(), *(ROOT / "docs/man").iterdir()]
    for path in [ROOT / "README.md", *sorted(pages)]:
        for name in re.findall(r"LD_PRELOAD(?: Ns )? ?= ?'?([^\s'`:,]*libfreeonce[^\s'`:,]*)", path.read_text()):
            if name not in INSTALLED:
                yield f"{path.relative_to(ROOT)}: LD_PRELOAD={name}; the package has {INSTALLED[0]}"


def options_work(command):
    """The example of each option in docs/options.md is taken as it is written."""
    given = re.findall(r"^- Example: `(FREEONCE_\w+)=(.*)`$", (ROOT / "docs/options.md").read_text(), re.MULTILINE)
    names = [f"FREEONCE_{name}" for name in words(r"^FO_OPTION\(\w+, (\w+)", "src/options/options.def")]
    if [name for name, _ in given] != names:
        yield f"docs/options.md: examples of {len(given)} options, not of {len(names)}"
    for name, value in given if command is not None else ():
        done = subprocess.run([command, "options", "--changed", "--format", "json"], env={"PATH": os.environ["PATH"], name: value},
                              text=True, capture_output=True, check=False)
        if done.returncode != 0 or done.stderr or f'"{name}"' not in done.stdout:
            yield f"{name}={value}: {done.returncode}, {done.stderr}{done.stdout}"


def copies():
    """A program that a page shows is the file of the tree."""
    for page, program in (("docs/authors.md", "examples/workers/workers.c"),):
        if f"```c\n{(ROOT / program).read_text()}```" not in (ROOT / page).read_text():
            yield f"{page}: does not show {program} as it is"


def figures():
    """README.md claims what docs/bench says, and nothing of it while that does not exist."""
    sys.path.insert(0, str(ROOT / "tests/bench/peers"))
    import readme  # pylint: disable=import-outside-toplevel

    yield from readme.claims()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=["man", "examples", "links", "commands", "size", "figures"])
    parser.add_argument("--freeonce", help="the command")
    arguments = parser.parse_args()
    missing = [program for program in ("man", "mandoc") if shutil.which(program) is None]
    if arguments.part == "man" and missing:
        print(f"not installed: {', '.join(missing)}")
        sys.exit(1 if os.environ.get("CI") == "true" else 77)
    parts = {"man": lambda: [*formats(), *says_all(arguments.freeonce)], "examples": lambda: [*examples(), *copies(), *options_work(arguments.freeonce)],
             "links": links, "commands": lambda: [*commands(arguments.freeonce), *libraries()], "size": size, "figures": figures}
    wrong = list(parts[arguments.part]())
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


main()
