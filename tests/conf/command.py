#!/usr/bin/env python3
"""freeonce options: does it print the options that the library would use, and report what is wrong?

    command.py --lib L --freeonce F --faults P [TEST...]
"""

import json
import os
import pty
import re
import sys

import bench
from bench import contains, equal

TABLE = dict(
    re.findall(
        r'^FO_OPTION\(\w+, (\w+), \w+,\s*"[^"]*",\s*"([^"]*)"',
        (bench.SOURCE / "src/options/options.def").read_text(),
        flags=re.M,
    )
)
FILE = "/etc/freeonce.conf"  # of the machine: a run that reads it may print other values


def no_file():
    if os.path.lexists(FILE):
        raise bench.Skip(f"{FILE} is in use here")


def rows(text):
    """{"FREEONCE_LOG": ("stderr", "default")} of the table."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"(FREEONCE_\w+) +(\S+) +(\S+)$", line)
        if match:
            found[match[1]] = match.groups()[1:]
    return found


def every_option_is_listed(b):
    no_file()
    outcome = b.options()
    equal("exit status", 0, outcome.returncode)
    equal("stderr", "", outcome.stderr)
    seen = rows(outcome.stdout)
    equal("names in order", [f"FREEONCE_{name}" for name in TABLE], list(seen))
    equal("where from", {"default"}, {where for _, where in seen.values()})
    contains("the file", f"{FILE} is not there.", outcome.stdout)
    equal("--all", outcome.stdout, b.options("--all").stdout)


def the_environment_is_named(b):
    no_file()
    env = {"FREEONCE_LOG": "/a", "FREEONCE_QUARANTINE": "4k", "FREEONCE_LIBRARY": "/l.so"}
    outcome = b.options(env=env)
    equal("exit status", 0, outcome.returncode)
    equal("stderr", "", outcome.stderr)
    seen = rows(outcome.stdout)
    equal("LOG", ("/a", "environment"), seen["FREEONCE_LOG"])
    equal("QUARANTINE", ("4K", "environment"), seen["FREEONCE_QUARANTINE"])
    equal("BACKEND", ("auto", "default"), seen["FREEONCE_BACKEND"])
    changed = rows(b.options("-c", env=env).stdout)
    equal("--changed", ["FREEONCE_LOG", "FREEONCE_QUARANTINE"], list(changed))
    contains("nothing changed", "every option has its default", b.options("--changed").stdout)


def names_get_their_manual(b):
    outcome = b.options("log", "FREEONCE_ON_ERROR", "freeonce_fill", env={"FREEONCE_LOG": "/a"})
    equal("exit status", 0, outcome.returncode)
    heads = re.findall(r"^FREEONCE_(\w+)=", outcome.stdout, flags=re.M)
    equal("options", ["LOG", "ON_ERROR", "FILL"], heads)
    contains("help", "where reports go; a path has a /, and %p in it becomes the pid", outcome.stdout)
    contains("value", "    now:     /a (environment)\n", outcome.stdout)
    equal("lines of 80", [], [line for line in outcome.stdout.splitlines() if len(line) > 80])


def unknown_names_are_usage_errors(b):
    outcome = b.options("LOG", "QUARENTINE")
    equal("exit status", 64, outcome.returncode)
    equal("stdout", "", outcome.stdout)
    nearest = "no option QUARENTINE, did you mean FREEONCE_QUARANTINE?"
    contains("suggestion", nearest, outcome.stderr)
    equal("far", 64, b.options("xyzzyxyzzy").returncode)
    equal("empty", 64, b.options("").returncode)
    equal("huge", 64, b.options("x" * 100000).returncode)


def wrong_command_lines_are_usage_errors(b):
    for argv in (
        ["--no-such"],
        ["--format"],
        ["--format", "jsn"],
        ["--format", ""],
        ["--program", ""],
        ["--program", "/usr/sbin/"],
        ["--conf"],
    ):
        outcome = b.options(*argv)
        equal(f"exit status of {argv}", 64, outcome.returncode)
        equal(f"stdout of {argv}", "", outcome.stdout)
        contains(f"stderr of {argv}", "freeonce options: ", outcome.stderr)
    contains("nearest", "did you mean json?", b.options("--format", "jsn").stderr)
    contains("examples", "Examples:\n", b.options("--help").stdout)


def json_says_the_same(b):
    no_file()
    env = {"FREEONCE_LOG": "/a \"b\"\n", "FREEONCE_FIL": "1"}
    outcome = b.options("--format", "json", env=env)
    equal("exit status", 78, outcome.returncode)
    answer = json.loads(outcome.stdout)
    equal("file", {"path": FILE, "state": "absent"}, answer["file"])
    equal("names", [f"FREEONCE_{name}" for name in TABLE], [o["name"] for o in answer["options"]])
    log = next(o for o in answer["options"] if o["name"] == "FREEONCE_LOG")
    equal("value", '/a "b"\n', log["value"])
    equal("source", ("environment", None, None), (log["source"], log["file"], log["line"]))
    equal("problems", 1, len(answer["problems"]))
    contains("problem", answer["problems"][0], outcome.stderr)
    one = json.loads(b.options("--format", "json", "fill").stdout)
    equal("one option", ["FREEONCE_FILL"], [o["name"] for o in one["options"]])
    odd = b.options("--format", "json", "LOG", env={"FREEONCE_LOG": os.fsdecode(b"/\xff")})
    equal("no UTF-8", "/?", json.loads(odd.stdout)["options"][0]["value"])


def wrong_values_are_told_as_the_library_tells_them(b):
    no_file()
    env = {"FREEONCE_FIL": "1", "FREEONCE_FOREIGN": "fre", "FREEONCE_STACKS": "many", "FREEONCE_LOG": "sylog"}
    by_library = b.run(b.faults, "tell-version", env={**env, "LD_PRELOAD": str(b.lib)})
    outcome = b.options(env=env)
    equal("exit status", 78, outcome.returncode)
    equal("stderr", by_library.stderr, outcome.stderr)
    equal("complaints", 4, outcome.stderr.count("\n"))
    outcome = b.options(env={"FREEONCE_BACKEND": "hots"})
    equal("exit status for a backend", 78, outcome.returncode)
    contains("backend", "did you mean FREEONCE_BACKEND=host?", outcome.stderr)
    equal("a plug-in", 0, b.options(env={"FREEONCE_BACKEND": "/p.so"}).returncode)
    many = b.options(env={f"FREEONCE_X{i}": "1" for i in range(100)})
    equal("a hundred complaints", (78, 17), (many.returncode, many.stderr.count("\n")))
    contains("their number", "84 more options or lines that are wrong", many.stderr)


def a_good_file_is_checked(b):
    path = b.file("FREEONCE_LOG=syslog\n[nginx]\nFREEONCE_LOG='/var/log/n x'\n")
    outcome = b.options("--conf", path, env={"FREEONCE_LOG": "/environment"})
    seen = rows(outcome.stdout)
    equal("LOG", ("syslog", f"{path}:1"), seen["FREEONCE_LOG"])
    answer = b.options("--conf", path, "--format=json", "--program=/usr/sbin/nginx", "LOG")
    option = json.loads(answer.stdout)["options"][0]
    equal("in the section", ("/var/log/n x", 3), (option["value"], option["line"]))
    if os.geteuid() == 0:
        equal("exit status", (0, ""), (outcome.returncode, outcome.stderr))


def wrong_contents_are_65(b):
    def told(text, *parts):
        outcome = b.options("--conf", b.file(text))
        equal(f"exit status for {text[:40]!r}", 65, outcome.returncode)
        for part in parts:
            contains(f"stderr for {text[:40]!r}", part, outcome.stderr)

    told("FREEONCE_FIL=1\n", "freeonce.conf:1: there is no option FREEONCE_FIL", "FREEONCE_FILL?")
    sections = "# x\n[a]\nFREEONCE_FILL=2\n[b]\nFILL=1\n"
    told(sections, ".conf:3: FREEONCE_FILL=2 is", ".conf:5: there")
    told("FREEONCE_FILL\n", ".conf:1: neither FREEONCE_NAME=value nor")
    told("[a\nFREEONCE_FILL=1\n", ".conf:1: a section is [PROGRAM]")
    told("FREEONCE_BACKEND=hots\n", "freeonce.conf:1: there is no backend")
    told(os.urandom(4096) + b"\n\0\n")
    told("#" * 20000, "larger than 16384 bytes")


def files_that_would_not_be_obeyed_are_78(b):
    def told(path, status, part):
        outcome = b.options("--conf", path)
        equal(f"exit status for {part}", status, outcome.returncode)
        contains("stderr", part, outcome.stderr)

    told(b.dir, 78, "is no regular file")
    told("/dev/zero", 78, "is no regular file")
    os.mkfifo(b.dir / "fifo")
    told(b.dir / "fifo", 78, "is no regular file")
    good = b.file("FREEONCE_LOG=syslog\n")
    (b.dir / "link").symlink_to(good)
    told(b.dir / "link", 78, "is a symbolic link")
    told(b.dir / "none", 66, "there is no such file")
    bench.need_root()
    good.chmod(0o664)
    told(good, 78, "(mode 0664), ignored: chmod 644")
    good.chmod(0o644)
    os.chown(good, 1234, 0)
    told(good, 78, "belongs to uid 1234, not to root")
    wrong = b.file("FREEONCE_LAG=1\n")
    told(wrong, 65, "belongs to uid 1234")
    os.chown(good, 0, 0)
    good.chmod(0o600)
    copy = b.run("cp", b.freeonce, b.dir / "freeonce")
    equal("copied", 0, copy.returncode)
    outcome = b.run(b.dir / "freeonce", "options", "--conf", good, preexec_fn=bench.as_nobody)
    equal("exit status for a file that may not be read", 66, outcome.returncode)
    contains("stderr", "cannot be opened (Permission denied)", outcome.stderr)


def output_that_cannot_be_written_is_73(b):
    with open("/dev/full", "w", encoding="ascii") as full:
        for argv in ([], ["--format", "json"], ["LOG"]):
            outcome = b.options(*argv, stdout=full)
            equal(f"exit status of {argv}", 73, outcome.returncode)
            contains("stderr", "the output cannot be written", outcome.stderr)


def on_terminal(b, **env):
    controller, terminal = pty.openpty()
    try:
        b.options("-c", stdout=terminal, env={"TERM": "xterm", "FREEONCE_FILL": "1", **env})
        os.close(terminal)
        shown = b""
        try:  # a read returns a part; EIO: there is no more
            while part := os.read(controller, 65536):
                shown += part
        except OSError:
            pass
        return shown.decode()
    finally:
        os.close(controller)


def colours_are_for_terminals(b):
    try:
        contains("a terminal", "\033[1m", on_terminal(b))
        equal("NO_COLOR", False, "\033" in on_terminal(b, NO_COLOR="1"))
        equal("TERM=dumb", False, "\033" in on_terminal(b, TERM="dumb"))
    except OSError as error:  # a chroot without /dev/pts
        print(f"no pseudo-terminal ({error}): colours were looked for in a pipe only")
    equal("a pipe", False, "\033" in b.options(env={"FREEONCE_FILL": "1"}).stdout)


TESTS = [
    every_option_is_listed,
    the_environment_is_named,
    names_get_their_manual,
    unknown_names_are_usage_errors,
    wrong_command_lines_are_usage_errors,
    json_says_the_same,
    wrong_values_are_told_as_the_library_tells_them,
    a_good_file_is_checked,
    wrong_contents_are_65,
    files_that_would_not_be_obeyed_are_78,
    output_that_cannot_be_written_is_73,
    colours_are_for_terminals,
]

if __name__ == "__main__":
    sys.exit(bench.main(__doc__, TESTS))
