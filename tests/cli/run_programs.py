"""freeonce run: programs that cannot have the library run as without it, alone and as a child; and the run
says why nothing was guarded."""

import json
import os
import shutil
import tempfile
import xml.etree.ElementTree

import documents

import tools

SOURCE = 'int puts(const char *); int main(void) { puts("ran"); return 7; }\n'


class Case(tools.Case):
    def compile(self, *compiler, source=SOURCE, libraries=()):
        """A program; its name says which compiler made it."""
        path = self.dir / "".join(compiler).replace("/", "_")
        path.with_suffix(".c").write_text(source)
        if shutil.which(compiler[0]) is None:
            self.skip_or_fail(f"no {compiler[0]}")
        self.run_program(*compiler, "-o", path, path.with_suffix(".c"), *libraries, expect=0)
        return path


class AnotherLibc(Case):
    """The dynamic linker of musl ends a program (127) for which LD_PRELOAD names a library of glibc."""

    def setUp(self):
        super().setUp()
        self.program = self.compile("musl-gcc")

    def check(self, *argv, **options):
        done = self.freeonce("--", *argv, expect=7, **options)
        self.assertEqual("ran\n", done.stdout)
        self.assertNotRegex(done.stderr, "(?i)error")

    def test_it_shows(self):
        """What these tests check fails if LD_PRELOAD has the path itself."""
        self.run_program(self.program, env={"LD_PRELOAD": tools.arguments.lib}, expect=127)

    def test_as_the_command(self):
        self.check(self.program)

    def test_as_a_child(self):
        """A child of a program of glibc, which is guarded."""
        script = f"{tools.arguments.planted} alloc && {self.program}"
        self.check("sh", "-c", script)
        done = self.freeonce("--", "sh", "-c", script, expect=7)
        self.assertIn("1 process guarded", done.stderr)

    def test_with_a_library_of_its_own(self):
        self.check(self.program, env={"LD_PRELOAD": "libdl.so.2"})

    def test_wherever_the_library_is(self):
        """At any path and depth the library is found by programs of glibc."""
        with tempfile.TemporaryDirectory(prefix="freeonce-cli-") as folder:
            for path in (f"{folder}/libfreeonce.so", f"{folder}/a/b/c/d/e/f/g/h/i/j/libfreeonce.so.0"):
                self.run_program("install", "-D", tools.arguments.lib, path, expect=0)
                self.check(self.program, env={"FREEONCE_LIBRARY": path})
                done = self.freeonce("--", tools.arguments.planted, "bug", env={"FREEONCE_LIBRARY": path}, expect=99)
                self.assertNotIn("ERROR", done.stderr)

    def test_by_a_drop_in(self):
        unit = self.dir / "x.service"
        unit.write_text("[Service]\nExecStart=/usr/bin/openssl version\n")
        done = self.freeonce("systemd", unit, expect=0)
        (word,) = [line.partition("=")[2] for line in done.stdout.splitlines() if line.startswith("Environment=LD_P")]
        pair = word.split("=", 1)
        self.assertEqual("LD_PRELOAD", pair[0])
        self.assertIn("$LIB in LD_PRELOAD is right as it stands", done.stdout)
        done = self.run_program(self.program, env=dict([pair]), expect=7)
        self.assertEqual("", done.stderr)
        done = self.run_program(tools.arguments.planted, "bug", env=dict([pair]), expect=0)
        self.assertIn("double free of block", done.stderr)


# Made without a libc of 32 bits.
BARE = """
void _start(void);
void _start(void) { __asm__ volatile("mov $1, %eax; mov $7, %ebx; int $0x80"); }
"""


class Unguarded(Case):
    """If no process was guarded, the run prints the reason, and with --ci it fails."""

    def check(self, reason, words, *argv, status=7, wrap=(), library=False, env=None):
        """The run gives this reason, in JSON and in words; the command's output and status are not changed."""
        more = ["--library", tools.arguments.lib] if library else []
        argv = [*more, "--format", "json", "-o", self.dir / "json", "--", *argv]
        done = self.run_program(*wrap, tools.arguments.freeonce, *argv, expect=status, env=env)
        documents.json_lines((self.dir / "json").read_text())
        unguarded = json.loads((self.dir / "json").read_text().splitlines()[0])["unguarded"]
        self.assertEqual(reason, unguarded["reason"], unguarded)
        self.assertIn(words, unguarded["text"])
        self.assertEqual(1, done.stderr.count(f"nothing was checked: {unguarded['text']}"), done.stderr)
        (self.dir / "json").unlink()

    def test_ci(self):
        true = "no process used OpenSSL 3 or 4"
        done = self.freeonce("--ci", "--", "true", expect=78)
        self.assertEqual(1, done.stderr.count(true), done.stderr)
        self.assertIn("--ci: no process was guarded", done.stderr)
        done = self.freeonce("--ci", "--", "sh", "-c", "exit 3", expect=3)
        self.assertIn(true, done.stderr)
        for argv in (["--ci", "--allow-none"], []):
            done = self.freeonce(*argv, "--", "true", expect=0)
            self.assertIn(true, done.stderr)
            self.assertNotIn("--ci:", done.stderr)
        self.freeonce("--ci", "--", tools.arguments.planted, "alloc", expect=0)

    def test_in_other_formats(self):
        argv = []
        for name in ("junit", "sarif", "github"):
            argv += ["--format", name, "-o", self.dir / name]
        self.freeonce(*argv, "--", "true", expect=0)
        out = {name: (self.dir / name).read_text() for name in ("junit", "sarif", "github")}
        for name, text in out.items():
            getattr(documents, name)(text)
            self.assertIn("nothing was checked: no process used OpenSSL", text)
        suite = xml.etree.ElementTree.fromstring(out["junit"]).find("testsuite")
        self.assertEqual(("1", "1", "0"), tuple(suite.get(n) for n in ("tests", "skipped", "failures")))

    def test_static(self):
        for flags in (["-static"], ["-static-pie"]):
            program = self.compile("gcc", *flags)
            self.check("static", f"{program} is statically linked", program)
            self.check("static", f"{program} is", "sh", "-c", f"true; {program} a b")
            self.check("static", f"{program} is", "env", "A=1", program)
            script = self.dir / "script"
            script.write_text(f"#!/bin/sh -e\n# a script\n  {program} >{self.dir}/here\n")
            script.chmod(0o755)
            self.check("static", f"{program} is", script)
            script.write_text(f"#!{program}\n")
            self.check("static", f"{program} is", script)

    def test_another_libc(self):
        program = self.compile("musl-gcc")
        self.check("libc", f"{program} is a program of musl", program)

    def test_32_bits(self):
        if os.uname().machine != "x86_64":
            self.skipTest("of x86-64")
        program = self.compile("gcc", "-m32", "-static", "-nostdlib", "-fno-pie", "-no-pie", source=BARE)
        try:
            status = self.run_program(program).returncode
        except OSError as error:
            status = error
        if status != 7:
            self.skipTest(f"this kernel runs no programs of 32 bits ({status})")
        self.check("32-bit", f"{program} is a program of 32 bits", program)

    def test_setuid(self):
        wrap = self.unprivileged()
        program = self.dir / "owned"
        shutil.copy(tools.arguments.planted, program)
        argv = (program, "alloc", "status=7")
        options = {"wrap": wrap, "env": {"TMPDIR": "/tmp"}}
        self.dir.chmod(0o777)
        for mode, what in ((0o4755, "is setuid"), (0o2755, "is setgid")):
            program.chmod(mode)
            self.check("setuid", f"{program} {what}", *argv, **options)
        program.chmod(0o755)
        if self.run_program("setcap", "cap_net_bind_service+ep", program).returncode != 0:
            self.skip_or_fail("no file capabilities here")
        self.check("setuid", f"{program} has file capabilities", *argv, **options)

    def test_another_environment(self):
        planted = f"{tools.arguments.planted} alloc status=7"
        words = "env -i empties the environment"
        self.check("environment", words, "env", "-i", *planted.split())
        self.check("environment", words, "env", "A=1", "env", "-i", *planted.split())
        self.check("environment", words, "sh", "-c", f"true && env -i {planted}")
        script = self.dir / "script"
        script.write_text(f"#!/bin/sh\necho 'not sudo'\nexec env -i {planted}\n")
        script.chmod(0o755)
        self.check("environment", f"{script}: {words}", script)

    def test_openssl_1_1(self):
        """Also if it is loaded with dlopen, and loaded twice: each process is counted once."""
        program, library = tools.arguments.alone, tools.arguments.older
        words = "used OpenSSL 1.1, and the library guards OpenSSL 3 and 4"
        self.check("openssl-1.1", f"1 process {words}", program, status=0)
        self.check("openssl-1.1", f"2 processes {words}", "sh", "-c", f"{program}; {program}", status=0)
        script = "import ctypes, os, sys\nfor name in sys.argv[1:]: ctypes.CDLL(name)\nos._exit(7)"
        other = shutil.copy(library, self.dir)
        self.check("openssl-1.1", f"1 process {words}", "python3", "-Sc", script, library, other)

    def test_not_used(self):
        source = "int OPENSSL_version_major(void);\nint main(void) { return OPENSSL_version_major() != 0 ? 7 : 0; }\n"
        program = self.compile("gcc", source=source, libraries=["-lcrypto"])
        self.check("unused", "OpenSSL was loaded in 1 process and not used", program)

    def test_unprotected(self):
        """The process itself prints the message."""
        script = f"ulimit -v 30000; {tools.arguments.planted} alloc status=7"
        self.check("unprotected", "each process that used OpenSSL ran unprotected", "sh", "-c", script)

    def test_one_of_several(self):
        """No reason is printed if a process was guarded."""
        program = self.compile("gcc", "-static")
        done = self.freeonce("--ci", "--format", "json", "--", "sh", "-c",
                             f"{program} >here; {tools.arguments.planted} alloc", cwd=self.dir, expect=0)
        self.assertIsNone(json.loads(done.stdout.splitlines()[0])["unguarded"])
        self.assertNotIn("nothing was checked", done.stderr)


def add(parser):
    parser.add_argument("--alone", required=True, help="a program of OpenSSL 1.1")
    parser.add_argument("--older", required=True, help="its library")


tools.main(add)
