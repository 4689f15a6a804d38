#!/usr/bin/env python3
"""Do bash and zsh offer what the command understands?

The flags come from the command's own --help: a stand-in with every form that argp prints shows that
it is read correctly, and the real command that what is offered is all it has.
"""

import argparse
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BASH_COMPLETION = pathlib.Path("/usr/share/bash-completion/bash_completion")
FORMATS = sorted(re.findall(r'\{"(\w+)", "[^"]*", fo_format_', (ROOT / "src/cli/output/format.c").read_text()))
SUBCOMMANDS = re.findall(r'FO_COMMAND\("([^"]+)"', (ROOT / "src/cli/commands.def").read_text())
OPTIONS = [f"FREEONCE_{name}" for name in
           re.findall(r"^FO_OPTION\(\w+,\s*(\w+)", (ROOT / "src/options/options.def").read_text(), re.MULTILINE)]
STAND_IN = """#!/bin/sh
[ "$1" != --help ] || exec printf '\\n  run        text\\n  report     text\\n  options    text\\n\\nExamples:\\n  freeonce x\\n'
[ "$2" = --help ] && cat %s
"""

# line, what is offered (exactly), or what is and what is not among it.  A trailing = that zsh adds on
# its own is left out of the comparison.
CASES = [
    ("freeonce repo", None, ["report"], ["run"]),
    ("freeonce -", None, ["--ci", "--output", "--help", "--version"], ["run"]),
    ("freeonce report --f", ["--format"], [], []),
    ("freeonce report --format ", FORMATS, [], []),
    ("freeonce --format=j", ["json", "junit"], [], []),
    ("freeonce run --kind ", ["a", "b", "c"], [], []),
    ("freeonce --kind=", ["a", "b", "c"], [], []),
    ("freeonce --ci -o pla", ["plan"], [], []),
    ("freeonce --output=pla", ["plan"], [], []),
    ("freeonce report -o out pla", ["plan"], [], []),
    ("freeonce --exit-code 3 --ci true-", ["true-command"], [], []),
    ("freeonce --color true-", ["true-command"], [], []),
    ("freeonce --ci -- ls pla", ["plan"], [], []),
    ("freeonce --ci ls --exit", [], [], []),
    ("freeonce options FREEONCE_", sorted(OPTIONS), [], []),
    ("freeonce options --format ", ["json", "table"], [], []),
    ("freeonce --set ", sorted(name.removeprefix("FREEONCE_") for name in OPTIONS), [], []),
    ("freeonce --set FREEONCE_LO", ["FREEONCE_LOCK", "FREEONCE_LOG"], [], []),
    ("freeonce --set-long LO", [], [], []),
    ("freeonce --set-long ", sorted(OPTIONS), [], []),
    ("freeonce --set LOG=s", ["stderr", "syslog", "syslog5424"], [], []),
    ("freeonce --set=FREEONCE_LOG=s", ["stderr", "syslog", "syslog5424"], [], []),
    ("freeonce --set-long FREEONCE_ON_ERROR=", ["abort", "skip"], [], []),
    ("freeonce --set LOG=/nonexis", [], [], []),
    ("freeonce --where=s", ["stderr", "syslog", "syslog5424"], [], []),
    ("freeonce --wait fo", ["forever"], [], []),
]


def bash(line, folder, env):
    command = ["bash", HERE / "complete.bash", ROOT / "packaging/freeonce.bash", line]
    return offered(command, folder, env)


def zsh(line, folder, env):
    return offered(["zsh", "-f", HERE / "complete.zsh", ROOT / "packaging", line], folder, env)


def offered(command, folder, env):
    result = subprocess.run(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, text=True,
                            capture_output=True, timeout=300)
    if result.returncode == 77:
        print(f"skipped: {command[0]} gets no terminal here: {result.stderr.strip()}")
        sys.exit(77)
    if result.returncode != 0:
        sys.exit(f"{command[0]} ended with {result.returncode}:\n{result.stdout}{result.stderr}")
    return sorted({offer.rstrip("=") for offer in result.stdout.split("\n")} - {""})


def stage(folder):
    """A folder with one file, and a PATH with a stand-in for the command and one program more."""
    programs = folder / "bin"
    programs.mkdir()
    (folder / "work").mkdir()
    (folder / "work/plan").touch()
    for name, text in (("freeonce", STAND_IN % (HERE / "argp-help.txt")), ("true-command", "#!/bin/sh\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(stat.S_IRWXU)
    return {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder), "TERM": "dumb"}


def check_stand_in(shell, folder, env):
    failed = 0
    for line, exactly, among, not_among in CASES:
        seen = shell(line, folder / "work", env)
        if (exactly is not None and seen != exactly) or not set(among) <= set(seen) or set(not_among) & set(seen):
            expected = among if exactly is None else exactly
            print(f"{shell.__name__}: {line!r}: expected {expected}, not {not_among}; seen {seen}")
            failed += 1
    return failed


def check_real(shell, command, folder, env):
    """Every subcommand, and every flag that the command's --help names."""
    (folder / "bin/freeonce").unlink()
    (folder / "bin/freeonce").symlink_to(command)
    failed = 0
    for name in SUBCOMMANDS:
        if name not in shell(f"freeonce {name[:-1]}", folder / "work", env):
            print(f"{shell.__name__}: the subcommand {name} is not offered")
            failed += 1
        text = subprocess.run([command, name, "--help"], text=True, capture_output=True).stdout
        flags = set(re.findall(r"^ +(?:-., )?(--[a-z][a-z-]*)", text, re.MULTILINE))
        seen = set(shell(f"freeonce {name} --", folder / "work", env)) if flags else set()
        if flags != seen:
            print(f"{shell.__name__}: flags of {name}: {sorted(flags ^ seen)} differ")
            failed += 1
    return failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--freeonce", required=True, help="the command")
    parser.add_argument("--shell", required=True, choices=["bash", "zsh"])
    arguments = parser.parse_args()
    missing = shutil.which(arguments.shell) is None or (arguments.shell == "bash" and not BASH_COMPLETION.exists())
    if missing:
        print(f"{arguments.shell} and its completion are not installed")
        sys.exit(1 if os.environ.get("CI") == "true" else 77)
    shell = {"bash": bash, "zsh": zsh}[arguments.shell]
    with tempfile.TemporaryDirectory(prefix="freeonce-test-") as name:
        folder = pathlib.Path(name)
        env = stage(folder)
        failed = check_stand_in(shell, folder, env)
        failed += check_real(shell, os.path.abspath(arguments.freeonce), folder, env)
    sys.exit(1 if failed else 0)


main()
