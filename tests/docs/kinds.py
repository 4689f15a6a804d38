#!/usr/bin/env python3
"""Does docs/reading-a-report.md show each kind of finding as it is reported?

After a line `<!-- kind: KIND OPTION=VALUE ... -->` the page has two blocks: a function of kinds.c, and what `freeonce`
prints of it with these options.  With --update they are written anew.  Addresses and pids may differ."""

import argparse
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs/reading-a-report.md"
PLACE = re.compile(r"(<!-- kind: (\S+)((?: \w+=\w+)*) -->\n)(\n```c\n.*?^```\n\n```console\n.*?^```\n)?", re.M | re.S)
# Left out: frames of libc and its callers after a fault, what differs from run to run, and what is explained elsewhere.
LEFT_OUT = re.compile(r"^ +(?:seen|what to do) .*\n|^ +#\d+ (?!.*kinds\.c:).*\n|^\n.*\n|^freeonce: \d+ finding.*\n", re.M)
NUMBERS = (
    (re.compile(r"0x(?!5{16})[0-9a-f]+"), "0x#"),
    (re.compile(r"\b(pid|from) \d+"), r"\1 #"),
    (re.compile(r"\b((?:crypto|ssl)/[\w/]+\.c):\d+"), r"\1:#"),  # of another OpenSSL
    (re.compile(r"^ +#\d+", re.M), "#"),  # frames of another libc lie between
    (re.compile(r" +"), " "),
)


def function_of(kind, source):
    """The lines between the braces."""
    name = kind.replace("-", "_")
    return re.search(rf"^static void {name}\(void\)\n\{{\n(.*?)^\}}\n", source, re.M | re.S)[1]


def report(kind, options, given):
    """What is printed of it, without folders."""
    settings = [word for option in options.split() for word in ("--set", option)]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "FREEONCE_LIBRARY": str(given.lib.resolve())}
    done = subprocess.run(
        [given.freeonce, *settings, "--", given.kinds, kind],
        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
    text = re.sub(r"/?(?:[\w.+-]+/)*kinds\.c", "kinds.c", done.stdout)
    return LEFT_OUT.sub("", text)


def blocks(kind, options, given):
    command = "".join(f"--set {option} " for option in options.split())
    source = (HERE / "kinds.c").read_text()
    return (f"\n```c\n{function_of(kind, source)}```\n\n```console\n$ freeonce {command}-- ./kinds {kind}\n"
            f"{report(kind, options, given)}```\n")


def plain(text):
    for pattern, put in NUMBERS:
        text = pattern.sub(put, text or "")
    return text


def main():
    parser = argparse.ArgumentParser()
    for name in "lib", "freeonce", "kinds":
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--update", action="store_true", help="write the page anew")
    given = parser.parse_args()
    text, wrong = PAGE.read_text(), 0
    catalogue = re.findall(r'FO_FINDING\(\w+, "([^"]+)"', (ROOT / "src/report/findings.def").read_text())
    shown = [kind for _, kind, _, _ in PLACE.findall(text)]
    if sorted(shown) != sorted(catalogue):
        print(f"not shown once each: {sorted(set(catalogue) ^ set(shown)) or 'one is there twice'}")
        wrong += 1
    for head, kind, options, body in PLACE.findall(text):
        seen = blocks(kind, options, given)
        if plain(seen) != plain(body):
            print(f"--- the page has of {kind}{body}--- seen{seen}")
            wrong += 1
        text = text.replace(head + body, head + seen)
    if given.update:
        PAGE.write_text(text)
    sys.exit(wrong != 0 and not given.update)


main()
