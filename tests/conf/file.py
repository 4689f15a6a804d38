#!/usr/bin/env python3
"""/etc/freeonce.conf: does the library use it, and only it, as the manual says?

    file.py --lib L --freeonce F --faults P [TEST...]

Each test has an /etc of its own (tests/servers/private_etc.py), which needs root.
"""

import os
import re
import shutil
import sys

import bench
from bench import contains, equal

sys.path.append(str(bench.SOURCE / "tests/servers"))

import private_etc  # noqa: E402

CONF = "/etc/freeonce.conf"


class Guarded:
    """Programs with the library preloaded, and with an /etc of their own."""

    def __init__(self, b):
        reason = private_etc.missing()
        if reason:
            raise bench.Skip(reason)
        self.b = b
        self.etc = private_etc.PrivateEtc(b.dir)
        self.log = b.dir / "report.log"

    def run(self, *argv, env=None, **more):
        preload = [f"LD_PRELOAD={self.b.lib}"] if more.pop("preload", True) else []
        argv = ["env", *preload, *(f"{name}={value}" for name, value in (env or {}).items()), *argv]
        return self.b.run(*self.etc.argv(argv), **more)

    def fault(self, **more):
        """A program that frees a block twice."""
        return self.run(self.b.faults, "double-free", **more)

    def logged(self):
        return self.log.read_text() if self.log.exists() else ""


DOUBLE = "freeonce: double free of block"
REQUIRED = "freeonce: FREEONCE_REQUIRE=1: the program is ended (exit status 78)\n"


def the_file_is_obeyed(b):
    g = Guarded(b)
    g.etc.write_conf("# all", "", f"FREEONCE_LOG={g.log}", "FREEONCE_VERBOSE=1")
    outcome = g.fault()
    equal("exit status and stderr", (0, ""), (outcome.returncode, outcome.stderr))
    contains("the log", DOUBLE, g.logged())
    contains("where from", f"freeonce: {CONF}: VERBOSE (line 4), LOG (line 3)\n", g.logged())


def the_environment_comes_first(b):
    g = Guarded(b)
    g.etc.write_conf("FREEONCE_LOG=/no/such/folder/log", "FREEONCE_ON_ERROR=exit:7")
    outcome = g.fault(env={"FREEONCE_LOG": g.log})
    equal("exit status and stderr", (7, ""), (outcome.returncode, outcome.stderr))
    contains("the log", DOUBLE, g.logged())
    equal("exit status", 0, g.fault(env={"FREEONCE_ON_ERROR": "skip"}).returncode)


def sections_are_for_one_program(b):
    g = Guarded(b)
    g.etc.write_conf("[faults]", "FREEONCE_ON_ERROR=exit:7", "[other]", "FREEONCE_LAG=1")
    equal("the program of the section", 7, g.fault().returncode)
    shutil.copy(b.faults, b.dir / "another")
    outcome = g.run(b.dir / "another", "double-free")
    equal("another program", 0, outcome.returncode)
    contains("its report", DOUBLE, outcome.stderr)
    equal("complaints", 0, outcome.stderr.count("LAG"))


def wrong_lines_are_told_where_openssl_is(b):
    g = Guarded(b)
    g.etc.write_conf("FREEONCE_LAG=1", "hello")
    told = (
        f"freeonce: {CONF}:1: there is no option FREEONCE_LAG, ignored;"
        " did you mean FREEONCE_LOG?\n"
        f"freeonce: {CONF}:2: neither FREEONCE_NAME=value nor [PROGRAM] nor # comment, ignored\n"
    )
    outcome = g.run(b.faults, "tell-version")
    equal("a program with OpenSSL", (0, told), (outcome.returncode, outcome.stderr))
    outcome = g.run("true")
    equal("a program without", (0, ""), (outcome.returncode, outcome.stderr))
    outcome = g.run(b.faults, "tell-version", env={"FREEONCE_REQUIRE": "1"})
    equal("required", (78, told + REQUIRED), (outcome.returncode, outcome.stderr))
    g.etc.write_conf("FREEONCE_REQUIRE=1", "FREEONCE_LAG=1")
    outcome = g.run(b.faults, "tell-version")
    equal("required by the file", 78, outcome.returncode)
    equal("a program without", 0, g.run("true").returncode)


def a_file_that_is_not_root_s_is_ignored(b):
    g = Guarded(b)
    line = f"FREEONCE_LOG={g.log}"

    def ignored(reason):
        outcome = g.fault()
        equal(f"exit status, file {reason}", 0, outcome.returncode)
        contains("stderr", DOUBLE, outcome.stderr)
        equal("said", 1, outcome.stderr.count(f"freeonce: {CONF}{reason}"))
        equal("the log", False, g.log.exists())
        required = g.fault(env={"FREEONCE_REQUIRE": "1"})
        equal("exit status when required", 78, required.returncode)
        equal("without OpenSSL", "", g.run("true").stderr)

    g.etc.write_conf(line, uid=1234)
    ignored(" belongs to uid 1234, not to root, ignored: chown root:root /etc/freeonce.conf\n")
    g.etc.write_conf(line, uid=65534)
    maybe = "(unless this is a user namespace without root)"
    ignored(f" belongs to uid 65534, not to root {maybe}, ignored\n")
    for mode in (0o664, 0o646):
        g.etc.write_conf(line, mode=mode)
        ignored(f" can be written by group or others (mode 0{mode:o}), ignored: chmod 644 {CONF}\n")
    g.etc.conf.rename(g.etc.dir / "other.conf")
    g.etc.conf.symlink_to("other.conf")
    ignored(" is a symbolic link, ignored: the file itself has to be there\n")
    g.etc.conf.unlink()
    os.mkfifo(g.etc.conf, 0o644)
    ignored(" is no regular file, ignored\n")
    g.etc.conf.unlink()
    g.etc.write_conf(line, "#" * 20000)
    ignored(" is larger than 16384 bytes, ignored\n")


def calls(g, *argv):
    """What the library's program asks the kernel for from the file on, until it ends or goes on
    with its own work: the names."""
    trace = g.b.dir / "trace"
    env = ["-E", f"LD_PRELOAD={g.b.lib}"]
    outcome = g.b.run(*g.etc.argv(["strace", *env, "-o", trace, *argv]))
    equal("exit status under strace", 0, outcome.returncode)
    lines = trace.read_text().splitlines()
    at = [i for i, line in enumerate(lines) if CONF in line]
    equal("calls that name the file", 1, len(at))
    return [re.match(r"\w+", line)[0] for line in lines[at[0] :] if re.match(r"\w+\(", line)]


def it_costs_one_open_where_it_is_not(b):
    g = Guarded(b)
    if shutil.which("strace") is None:
        raise bench.Skip("no strace on this machine")
    # The smallest program there is: after the constructors it ends.
    (b.dir / "empty.c").write_text("int main(void) { return 0; }\n")
    equal("compiled", 0, b.run("cc", "-o", b.dir / "empty", b.dir / "empty.c").returncode)
    equal("without", ["openat", "exit_group"], calls(g, b.dir / "empty"))
    g.etc.write_conf("FREEONCE_LAG=1")
    with_file = calls(g, b.dir / "empty")
    equal("with", ["read", "read", "close", "exit_group"], with_file[2:])


def more_rights_than_the_caller_take_no_orders(b):
    g = Guarded(b)
    if os.statvfs(b.dir).f_flag & os.ST_NOSUID:
        raise bench.Skip(f"setuid programs do not work below {b.dir}")
    program = b.dir / "setuid-faults"
    shutil.copy(b.faults, program)
    b.dir.joinpath("libfreeonce.so").write_bytes(b.lib.read_bytes())  # that no user may enter
    g.etc.write_preload(b.dir / "libfreeonce.so")
    g.etc.write_conf("FREEONCE_LOG=syslog", "FREEONCE_ON_ERROR=exit:7", "FREEONCE_LAG=1")
    by_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program]

    plain = g.run(*by_nobody, "double-free", preload=False)
    equal("not setuid: the file is obeyed", 7, plain.returncode)
    program.chmod(0o4755)
    outcome = g.run(
        *by_nobody, "double-free", preload=False, env={"FREEONCE_ON_ERROR": "exit:8"}
    )
    equal("exit status: the file is obeyed, the environment is not", 7, outcome.returncode)

    # What it executes as root would obey them, and load the plug-in.
    shutil.copy(shutil.which("env"), program)
    program.chmod(0o4755)
    given = {"FREEONCE_BACKEND": "/tmp/evil.so", "FREEONCE_": "1", "FREEONCEX": "kept", "_FREEONCE_RUN": "0:a:/b"}
    for command in ([], ["setpriv", "--reuid=0", "--regid=0", "--clear-groups", "env"]):
        outcome = g.run(*by_nobody, *command, preload=False, env=given)
        equal("exit status", 0, outcome.returncode)
        names = {line.partition("=")[0] for line in outcome.stdout.splitlines()}
        equal("what is left", {"FREEONCEX"}, {name for name in names if "FREEONCE" in name})
        equal("the others", True, {"PATH", "LC_ALL"} <= names)


def the_command_reads_the_same(b):
    g = Guarded(b)
    section = ["[a]", "FREEONCE_LOG=/a", "FREEONCE_LAG=1"]
    g.etc.write_conf("FREEONCE_FILL=1", "FREEONCE_LOG=/f", *section)

    def options(*more, **env):
        argv = ["env", *(f"FREEONCE_{k}={v}" for k, v in env.items()), b.freeonce, "options"]
        return b.run(*g.etc.argv([*argv, *more]))

    outcome = options("--changed", FILL="0")
    equal("exit status", 78, outcome.returncode)
    seen = [line.split() for line in outcome.stdout.splitlines()[1:3]]
    equal("LOG", ["FREEONCE_LOG", "/f", f"{CONF}:2"], seen[0])
    equal("FILL", ["FREEONCE_FILL", "0", "environment"], seen[1])
    contains("the other section is checked", f"{CONF}:5: there is no option", outcome.stderr)
    contains("in the section", f"/a ({CONF}:4)", options("LOG", "--program", "a").stdout)
    g.etc.conf.chmod(0o666)
    outcome = options("--changed")
    equal("exit status of a file that is ignored", 78, outcome.returncode)
    contains("stdout", "every option has its default", outcome.stdout)
    contains("stderr", "chmod 644 /etc/freeonce.conf", outcome.stderr)


TESTS = [
    the_file_is_obeyed,
    the_environment_comes_first,
    sections_are_for_one_program,
    wrong_lines_are_told_where_openssl_is,
    a_file_that_is_not_root_s_is_ignored,
    it_costs_one_open_where_it_is_not,
    more_rights_than_the_caller_take_no_orders,
    the_command_reads_the_same,
]

if __name__ == "__main__":
    sys.exit(bench.main(__doc__, TESTS))
