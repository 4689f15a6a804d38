"""Does `freeonce run` find the errors of every process of a command, and change nothing else?"""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
import xml.etree.ElementTree

import documents
import tools

# Where a bug may hide: the actions before it, and those after.
SURROUNDINGS = {
    "a grandchild that ends with _exit": (["fork", "fork"], ["_exit=0"]),
    "a daemon": (["daemon"], ["_exit=0"]),
    "a worker that is killed": (["fork"], ["kill=9"]),
    "a program that was executed anew": (["fork", "exec"], []),
    "the command itself": ([], []),
}


def shell_line(before, bug, after):
    return " ".join(["'" + tools.arguments.planted + "'", "alloc", *before, *bug, *after])


class Finds(tools.Case):
    """A finding in any process makes the run fail, in all formats."""

    def run_all_formats(self, script, expect, *more):
        argv = ["--ci", *more]
        for name in ("text", "json", "junit", "sarif", "github"):
            argv += ["--format", name, "-o", self.dir / name]
        done = self.freeonce(*argv, "--", "sh", "-c", script, expect=expect)
        names = ("text", "json", "junit", "sarif", "github")
        out = {name: (self.dir / name).read_text() for name in names}
        for name in names[1:]:
            getattr(documents, "json_lines" if name == "json" else name)(out[name])
        return done, out

    def check_red(self, before, bug, after, object_name):
        script = shell_line(before, bug, after) + "; exit 7"
        _, out = self.run_all_formats(script, 99)
        self.assertIn(f"double free of {object_name} ", out["text"])
        lines = [json.loads(line) for line in out["json"].splitlines()]
        kinds = [line["kind"] for line in lines if line["type"] == "finding"]
        self.assertEqual(["double-free"], kinds)
        suite = xml.etree.ElementTree.fromstring(out["junit"])
        self.assertEqual(1, len(suite.findall(".//failure")), out["junit"])
        results = json.loads(out["sarif"])["runs"][0]["results"]
        self.assertEqual(["double-free"], [result["ruleId"] for result in results])
        self.assertRegex(out["github"], r"(?m)^::error .*double free")

    def test_red_wherever_it_is(self):
        for name, (before, after) in SURROUNDINGS.items():
            with self.subTest(name):
                self.check_red(before, ["bug"], after, "block")

    def test_red_for_objects(self):
        self.check_red(["fork"], ["object"], ["_exit=0"], "X509")

    def test_green_without_the_bug(self):
        for name, (before, after) in SURROUNDINGS.items():
            with self.subTest(name):
                script = shell_line(before, ["alloc"], after) + "; exit 7"
                _, out = self.run_all_formats(script, 7)
                self.assertIn("no findings", out["text"])
                self.assertNotIn("::error", out["github"])
                self.assertEqual([], json.loads(out["sarif"])["runs"][0]["results"])

    def test_the_summary(self):
        done = self.freeonce("--", tools.arguments.planted, "bug", expect=99)
        last = done.stderr.splitlines()[-1]
        self.assertEqual(
            "freeonce: 1 finding; 1 process guarded; the command ended with status 0", last
        )

    def test_no_run_fails_without_a_message(self):
        """With any outputs: if no text is printed, the summary goes to stderr."""
        words = "freeonce: 1 finding; 1 process guarded; the command ended with status 0\n"
        for argv in (
            ["--format", "junit", "-o", self.dir / "out"],
            ["--format", "text", "-o", self.dir / "out"],
            ["-o", self.dir / "out", "--format", "github"],
            ["--gen-suppressions"],
        ):
            with self.subTest(argv):
                done = self.freeonce(*argv, "--", tools.arguments.planted, "bug", expect=99)
                self.assertEqual(words, done.stderr)
        for argv in (["--format", "text"], ["--format", "text", "-o", "-"]):
            done = self.freeonce(*argv, "--", tools.arguments.planted, "bug", expect=99)
            self.assertEqual("", done.stderr)
            self.assertTrue(done.stdout.endswith(words), done.stdout)

    def test_more_than_the_journal_holds(self):
        """Findings for which the journal had no room make the run fail, even if all those in it are suppressed."""
        actions = [tools.arguments.planted, "bugs=1500"]
        known = self.dir / "known"
        done = self.freeonce("--gen-suppressions", "--journal", self.journal, "--", *actions, expect=99)
        self.assertIn("1024 findings; 476 more findings are not in the journal", done.stderr)
        known.write_text(done.stdout)
        report = self.report("--suppressions", known, self.journal, expect=99)
        last = report.stdout.splitlines()[-1]
        self.assertEqual(
            "freeonce: 0 findings, 1024 suppressed; 476 more findings are not in the journal; "
            "1 process guarded", last)
        _, out = self.run_all_formats(" ".join(actions), 99, "--suppressions", known)
        suite = xml.etree.ElementTree.fromstring(out["junit"])
        (failure,) = suite.findall(".//failure")
        self.assertEqual("476 more findings are not in the journal", failure.get("message"))
        (run,) = json.loads(out["sarif"])["runs"]
        (invocation,) = run["invocations"]
        (notification,) = invocation["toolExecutionNotifications"]
        self.assertEqual("476 more findings are not in the journal", notification["message"]["text"])
        self.assertEqual(("error", False), (notification["level"], invocation["executionSuccessful"]))
        self.assertIn("476 more findings are not in the journal", out["github"])
        self.assertIn('"dropped":476', out["json"])

    def test_names_cannot_write_to_a_terminal(self):
        """Names of programs and files cannot write control characters or begin a line, in any output."""
        nasty = "n\x1b[2J\n::error::x\x9b\r"
        program = self.dir / nasty
        shutil.copy(tools.arguments.planted, program)
        for script in ('"$NASTY" bug', 'exec -a "$NASTY" "$PLANTED" bug'):
            formats = []
            for name in ("text", "json", "junit", "sarif", "github"):
                formats += ["--format", name, "-o", self.dir / name]
            done = self.freeonce(
                "--processes", *formats, "--", "bash", "-c", script, expect=99,
                env={"NASTY": str(program), "PLANTED": tools.arguments.planted})
            for name in ("text", "json", "junit", "sarif", "github"):
                text = (self.dir / name).read_text()
                self.assertNotRegex(text, "[\x00-\x08\x0b-\x1f\x7f-\x9f]", name)
                self.assertNotRegex(text, "(?m)^::error::x", name)
            self.assertIn("1 finding", done.stderr)
            self.assertNotIn("\x1b", done.stderr)
        for argv in (["report", program / "none"], ["--", program / "none"], ["options", nasty]):
            done = self.freeonce(*argv)
            self.assertNotRegex(done.stderr, "[\x00-\x08\x0b-\x1f\x7f-\x9f]")
            self.assertNotRegex(done.stderr, "(?m)^::error::x")

    def test_processes(self):
        """The tree, and how the library was loaded into each process."""
        actions = ["alloc", "fork", "fork", "alloc"]
        done = self.freeonce("--processes", "--", tools.arguments.planted, *actions, expect=0)
        self.assertRegex(
            done.stderr,
            r"(?m)^processes\n"
            r"  (\d+) planted: in front of OpenSSL .*\(linked\), .*backend \w+, memory private\n"
            r"    (\d+) planted: forked at .*planted.*\n"
            r"      (\d+) planted: forked at .*planted.*\n\n",
        )

    def test_a_daemon_that_takes_its_time(self):
        release = self.dir / "release"
        script = (
            f"({tools.arguments.planted} alloc; "
            f"while ! test -e {release}; do sleep 0.05; done; {tools.arguments.planted} bug) & "
        )
        with self.start("--", "sh", "-c", script, stderr=subprocess.PIPE, text=True) as run:
            self.assertIn("waiting for what it left running", run.stderr.readline())
            release.touch()
            run.communicate(timeout=300)
            self.assertEqual(99, run.returncode)

    def test_what_is_left_running_is_printed(self):
        done = self.freeonce("--wait", "0", "--", "sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!", expect=0)
        os.kill(int(done.stdout), signal.SIGKILL)
        self.assertIn("still running", done.stderr)

    def start(self, *argv, **options):
        return subprocess.Popen(
            [tools.arguments.freeonce, *map(str, argv)], env=tools.clean_environment(), **options
        )


class Killed(tools.Case):
    """If a signal ended a guarded process, the summary never says only that there are no findings."""

    def text_of(self, done):
        self.assertNotIn("no findings", done.stderr)
        return done.stderr

    def test_by_a_fault_of_its_own(self):
        for number, name in ((11, "SIGSEGV"), (7, "SIGBUS"), (4, "SIGILL"), (6, "SIGABRT")):
            done = self.freeonce("--ci", "--", tools.arguments.planted, "alloc", f"kill={number}", expect=99)
            self.assertRegex(self.text_of(done), rf"(?m)^freeonce: {name}: no freed block was found .*, the program ends$")
            self.assertRegex(done.stderr, r"(?m)^  fault +by .* pid \d+ \(planted\)$")
            self.assertIn("--set BACKEND=guard", done.stderr)

    def test_in_a_child(self):
        done = self.freeonce("--ci", "--", tools.arguments.planted, "alloc", "fork", "kill=11", expect=99)
        self.assertRegex(self.text_of(done), r"(?m)^  fault +by .* pid \d+ \(planted\), forked from \d+ at ")

    def test_without_a_look(self):
        for number, why in ((11, "the reason is not known: .*--set BACKEND=guard"), (9, "another process or the kernel")):
            done = self.freeonce("--", tools.arguments.planted, "alloc", f"kill={number}", expect=128 + number)
            killed = rf"(?m)^freeonce: pid \d+ \(planted\) was killed by signal {number} \(.*\).*{why}"
            self.assertRegex(self.text_of(done), killed)
            self.assertIn("nothing found before a signal ended 1 guarded process;", done.stderr)

    def test_orphan(self):
        done = self.freeonce("--", tools.arguments.planted, "alloc", "daemon", "alloc", "kill=9", expect=0)
        self.assertIn("was killed by signal 9 (Killed)", self.text_of(done))

    def test_by_another_process(self):
        """The process is not at fault: it is named, and is no finding."""
        script = "mkfifo here; $0 alloc touch=here pause & cat here; kill -ABRT $!; wait $!; exit 0"
        done = self.freeonce("--ci", "--", "sh", "-c", script, tools.arguments.planted, expect=0, cwd=self.dir)
        self.assertRegex(self.text_of(done), r"(?m)^freeonce: pid \d+ \(planted\) was killed by signal 6 ")

    def test_with_a_finding(self):
        """The finding may be the reason."""
        done = self.freeonce("--", tools.arguments.planted, "bug", "kill=11", expect=99)
        self.assertNotIn("was killed by", self.text_of(done))
        done = self.freeonce("--ci", "--set", "ON_ERROR=abort", "--", tools.arguments.planted, "bug", expect=99)
        self.assertIn("1 finding;", self.text_of(done))

    def test_known(self):
        command = [tools.arguments.planted, "alloc", "kill=6"]
        known = self.freeonce("--ci", "--gen-suppressions", "--", *command, expect=99)
        (self.dir / "known").write_text(known.stdout)
        done = self.freeonce("--ci", "--suppressions", self.dir / "known", "--", *command, expect=134)
        self.assertIn("no findings, 1 suppressed", done.stderr)

    def test_in_machine_formats(self):
        done = self.freeonce("--format", "json", "--", tools.arguments.planted, "alloc", "kill=9", expect=137)
        documents.json_lines(done.stdout)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([9], [line["signal"] for line in lines if line["type"] == "process"])


class Status(tools.Case):
    """The command's own status, or one that says how it ended."""

    def test_of_the_command(self):
        for status in (0, 1, 42, 99, 255):
            self.freeonce("--", "sh", "-c", f"exit {status}", expect=status)

    def test_of_a_signal(self):
        for number in (1, 2, 9, 11, 15):
            self.freeonce("--", "sh", "-c", f"kill -{number} $$", expect=128 + number)

    def test_chosen(self):
        self.freeonce("--exit-code", "3", "--", tools.arguments.planted, "bug", expect=3)
        self.freeonce("--exit-code=0", "--", tools.arguments.planted, "bug", "status=5", expect=0)

    def test_no_such_command(self):
        done = self.freeonce("--", "no-such-command", expect=127)
        self.assertIn("no-such-command cannot be run: no such command", done.stderr)

    def test_not_executable(self):
        done = self.freeonce("--", "/etc/passwd", expect=126)
        self.assertIn("Permission denied", done.stderr)

    def test_usage(self):
        for argv in (
            ["run"],
            ["--no-such-flag", "--", "true"],
            ["--exit-code", "256", "--", "true"],
            ["--exit-code", "x", "--", "true"],
            ["--format", "xml", "--", "true"],
            ["--format"],
            ["-o", "a", "-o", "b", "--", "true"],
            ["--wait", "soon", "--", "true"],
            ["--set", "NOVALUE", "--", "true"],
        ):
            with self.subTest(argv):
                done = self.freeonce(*argv, expect=125)
                self.assertRegex(done.stderr, r"(?m)^freeonce run: ")
                self.assertEqual("", done.stdout)

    def test_misspelt_flag(self):
        """A misspelt flag is reported with the nearest one; words of the command and values are not flags."""
        for argv, hint, status in (
            (["--jurnal", "x", "--", "true"], "run: there is no option --jurnal; did you mean --journal?", 125),
            (["--ci", "--set", "FILL=1", "-s", "CANARY=1", "-sFAULTS=0", "--fromat=json", "true"], "--format?", 125),
            (["run", "--requier", "true"], "did you mean --require?", 125),
            (["report", "x", "--supressions", "y"], "report: there is no option --supressions; did you mean --suppressions?", 64),
            (["options", "LOG", "--chnged"], "options: there is no option --chnged; did you mean --changed?", 64),
            (["systemd", "--instal", "--jurnal", "/x"], "systemd: there is no option --jurnal; did you mean --journal?", 64),
            (["--hlep"], "did you mean --help?", 125),
        ):
            with self.subTest(argv):
                done = self.freeonce(*argv, expect=status)
                self.assertTrue(done.stderr.startswith("freeonce "), done.stderr)
                self.assertIn(hint, done.stderr)
                self.assertEqual("", done.stdout)
        done = self.freeonce("--nothing-like-it", "true", expect=125)
        self.assertNotIn("did you mean", done.stderr)
        for argv in (["true", "--jurnal"], ["--", "true", "--jurnal"], ["-o", "--outptu", "true"],
                     ["--journal", "--jurnal", "true"], ["--jour", "j", "true"]):
            self.freeonce(*argv, expect=0, cwd=self.dir)

    def test_misspelt_subcommand(self):
        done = self.freeonce("reprot", "journal", expect=127)
        self.assertIn("did you mean `freeonce report`?", done.stderr)
        for command in ("no-such-command", "./report"):
            self.assertNotIn("did you mean", self.freeonce(command, expect=127).stderr)

    def test_nothing_asked_for(self):
        self.assertIn("Usage:", self.freeonce(expect=64).stdout)

    def test_no_library(self):
        done = self.freeonce("--library", self.dir / "none.so", "--", "true", expect=125)
        self.assertIn("none.so", done.stderr)
        for path in ("/etc/passwd", tools.arguments.planted + ".c", self.dir):
            done = self.freeonce("--library", path, "--", "true", expect=125)
            self.assertRegex(done.stderr, "no shared library|no library")

    def test_output_that_cannot_be_written(self):
        touched = self.dir / "touched"
        argv = ["--format", "json", "-o", self.dir / "no" / "file", "--", "touch", touched]
        done = self.freeonce(*argv, expect=125)
        self.assertIn("cannot be written", done.stderr)
        self.assertFalse(touched.exists(), "the command ran all the same")

    def test_two_formats_for_one_file(self):
        argv = ["--format", "json", "-o", self.dir / "f", "-f", "junit", "-o", f"{self.dir}/./f"]
        done = self.freeonce(*argv, "--", "echo", "ran", expect=125)
        self.assertIn("two formats cannot go to one file", done.stderr)
        self.assertEqual("", done.stdout)
        argv = ["--format", "json", "-o", "/dev/null", "-f", "junit", "-o", "/dev/null"]
        self.freeonce(*argv, "--", "true", expect=0)

    def test_wrong_suppressions(self):
        """They are reported before the command runs, and before an older report is emptied."""
        known, older = self.dir / "known", self.dir / "older"
        older.write_text("precious")
        self.planted("bug")
        for content, status, words in (
            ("[a]\nknd = x\n", 65, "did you mean kind?"), ("\0", 65, "not a text file"),
            ("#" * (17 << 20), 65, "larger than 16 MiB"), (None, 66, "cannot be read"),
        ):
            with self.subTest(words):
                known.unlink(missing_ok=True)
                if content is not None:
                    known.write_text(content)
                argv = ["--suppressions", known, "--format", "json", "-o", older]
                for done in (self.freeonce(*argv, "--", "echo", "ran", expect=125),
                             self.report(*argv, self.journal, expect=status)):
                    self.assertIn(words, done.stderr)
                    self.assertEqual("", done.stdout)
                self.assertEqual("precious", older.read_text())
        known.write_text("")  # no reason is known, which is correct
        self.freeonce("--suppressions", known, "--", tools.arguments.planted, "bug", expect=99)

    def test_output_to_a_full_disk(self):
        done = self.freeonce("--format", "json", "-o", "/dev/full", "--", "true", expect=73)
        self.assertIn("No space left", done.stderr)

    def test_no_room_for_the_journal(self):
        """A run does not succeed because findings could not be written."""
        (self.dir / "disk").mkdir()
        script = """for f in /tmp /var/tmp /dev/shm; do mount --bind $f $f; mount -o remount,bind,ro $f; done
            mount -t tmpfs -o size=1m none "$1"; TMPDIR=$1; export TMPDIR; shift; "$@" || echo "$?"; ls -A "$TMPDIR" """
        argv = [tools.arguments.freeonce, "--", "echo", "ran"]
        done = self.in_namespace(script, self.dir / "disk", *argv)
        self.assertRegex(done.stderr, r"the journal \(\d+ KiB\) cannot be made .*disk: No space left on device; /tmp: Read-only")
        self.assertEqual("125\n", done.stdout)
        done = self.run_program("sh", "-c", 'ulimit -f 100; exec "$@"', "sh", *argv, expect=125)
        self.assertIn("File too large, see ulimit -f", done.stderr)
        self.assertEqual("", done.stdout)

    def test_a_command_that_may_write_small_files_only(self):
        script = f"ulimit -f 100; {tools.arguments.planted} bug"
        done = self.freeonce("--", "sh", "-c", script, expect=99)
        self.assertNotIn("cannot be used", done.stderr)
        self.freeonce("--", "sh", "-c", "ulimit -f 0; " + shell_line(["fork"], ["bug"], []), expect=99)

    def test_required(self):
        done = self.freeonce("--require", "--", "true", expect=78)
        self.assertIn("no process was guarded", done.stderr)
        self.freeonce("--require", "--", tools.arguments.planted, "alloc", "status=4", expect=4)

    def test_a_process_that_cannot_open_the_journal(self):
        """It prints a message and its own findings; with --require it does not start."""
        elsewhere = ["--", "env", f"FREEONCE_JOURNAL={self.dir}/none/j", tools.arguments.planted, "bug"]
        done = self.freeonce(*elsewhere, expect=0)
        self.assertIn("cannot be used: No such file or directory; findings are not kept there", done.stderr)
        self.assertIn("double free of block", done.stderr)
        done = self.freeonce("--require", *elsewhere, expect=78)
        self.assertNotIn("double free of block", done.stderr)

    def test_misspelt_option(self):
        """A misspelt option of --set is an error before the command runs."""
        for setting, words in (
            ("CANRY=1", "there is no option FREEONCE_CANRY; did you mean FREEONCE_CANARY?"),
            ("FILL=2", "FREEONCE_FILL=2 is none of 0|1\n"), ("=1", "NAME=VALUE is needed"),
            ("LOG=sylog", "did you mean FREEONCE_LOG=syslog?"),
            ("BACKEND=shmm", "there is no such backend; did you mean shm?"),
        ):
            for more in ([], ["--require"]):
                done = self.freeonce(*more, "--set", setting, "--", "echo", "ran", expect=125)
                self.assertIn(f"freeonce run: --set {setting}: ", done.stderr)
                self.assertIn(words, done.stderr)
                self.assertEqual("", done.stdout)
        self.freeonce("--set", "BACKEND=/none.so", "--set", "FREEONCE_FILL=1", "--", "true", expect=0)

    def test_misspelt_variable(self):
        """A misspelt variable is named once, not by each process; with --require the command is not started."""
        env = {"FREEONCE_CANRY": "1", "FREEONCE_FILL": "2"}
        script = f"{tools.arguments.planted} alloc; {tools.arguments.planted} alloc"
        done = self.freeonce("--", "sh", "-c", script, env=env, expect=0)
        self.assertIn("2 processes guarded", done.stderr)
        for words in "did you mean FREEONCE_CANARY?", "FREEONCE_FILL=2 is none of 0|1":
            self.assertEqual(1, done.stderr.count(words), done.stderr)
        done = self.freeonce("--", "sh", "-c", f"FREEONCE_OBJCTS=1 {script}", env=env, expect=0)
        self.assertEqual(1, done.stderr.count("did you mean FREEONCE_OBJECTS?"), done.stderr)
        done = self.freeonce("--", tools.arguments.planted, "alloc", env={**env, "FREEONCE_REQUIRE": "1"}, expect=78)
        self.assertEqual(2, done.stderr.count("did you mean FREEONCE_CANARY?"), done.stderr)
        done = self.freeonce("--require", "--", "echo", "ran", env=env, expect=78)
        self.assertEqual("", done.stdout)

    def test_nothing_was_checked(self):
        done = self.freeonce("--", "true", expect=0)
        self.assertIn("nothing was checked", done.stderr)


class Transparent(tools.Case):
    """The command's surroundings are as without freeonce."""

    def test_output(self):
        done = self.freeonce("--ci", "--allow-none", "--", "sh", "-c", "echo out; echo err >&2", expect=0)
        self.assertEqual("out\n", done.stdout)
        self.assertTrue(done.stderr.startswith("err\n"))

    def test_findings_are_printed_once_and_at_the_end(self):
        script = f"{tools.arguments.planted} bug; echo the command >&2"
        done = self.freeonce("--", "sh", "-c", script, expect=99)
        self.assertTrue(done.stderr.startswith("the command\n"), done.stderr)
        self.assertEqual(1, done.stderr.count("double free of block"), done.stderr)
        done = self.freeonce("--set", "LOG=stderr", "--", "sh", "-c", script, expect=99)
        self.assertEqual(2, done.stderr.count("double free of block"), done.stderr)

    def test_arguments(self):
        done = self.freeonce("--", "printf", "%s|", "--ci", "-o", "", "a b", expect=0)
        self.assertEqual("--ci|-o||a b|", done.stdout)
        done = self.freeonce("printf", "%s|", "--help", expect=0)
        self.assertEqual("--help|", done.stdout)

    def test_preloaded_libraries_stay(self):
        seen = self.environment(env={"LD_PRELOAD": "libc.so.6"})["LD_PRELOAD"]
        self.assertRegex(seen, r"^\S+libfreeonce\.so\S* libc\.so\.6$")

    def test_ci_settings(self):
        plain, ci = self.environment(), self.environment("--ci", "--allow-none")
        self.assertNotIn("FREEONCE_FILL", plain)
        self.assertEqual("1", ci["FREEONCE_FILL"])
        self.assertEqual("1", ci["FREEONCE_CANARY"])
        self.assertEqual("4M", ci["FREEONCE_QUARANTINE"])
        self.assertRegex(ci["LD_PRELOAD"], r"^\S+libfreeonce\.so\S*$")

    def test_own_settings_go_first(self):
        seen = self.environment("--ci", "--allow-none", "--set", "CANARY=0", env={"FREEONCE_FILL": "0"})
        self.assertEqual("0", seen["FREEONCE_FILL"])
        self.assertEqual("0", seen["FREEONCE_CANARY"])

    def test_nothing_is_left_behind(self):
        self.freeonce("--", tools.arguments.planted, "bug", env={"TMPDIR": self.dir}, expect=99)
        self.assertEqual([], list(self.dir.iterdir()))

    def test_journal_is_kept(self):
        argv = ["--journal", self.journal, "--", tools.arguments.planted, "bug"]
        self.freeonce(*argv, expect=99)
        self.freeonce(*argv, expect=99)
        shown = self.report(self.journal, expect=99)
        self.assertIn("seen         1 time,", shown.stdout)

    def test_journal_does_not_replace_a_file(self):
        self.journal.write_text("precious")
        done = self.freeonce("--journal", self.journal, "--", "true", expect=125)
        self.assertIn("no journal of freeonce", done.stderr)
        self.assertEqual("precious", self.journal.read_text())

    def test_relative_journal_of_a_command_that_changes_folder(self):
        argv = ["--journal", "journal", "--", tools.arguments.planted, "chdir=/", "exec", "bug"]
        self.freeonce(*argv, cwd=self.dir, expect=99)
        self.report(self.journal, expect=99)

    def test_a_run_inside_a_run(self):
        """The inner run keeps its own journal and reports; for the outer run it is a command that failed."""
        inner = [tools.arguments.freeonce, "--ci", "--", tools.arguments.planted, "bug"]
        done = self.freeonce("--ci", "--journal", self.journal, "--", *inner, expect=99)
        self.assertEqual(1, done.stderr.count("double free of block"), done.stderr)
        self.assertTrue(done.stderr.endswith("the command ended with status 99\n"), done.stderr)

    def test_signals_are_passed_on(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            with self.subTest(number):
                ready = self.dir / f"ready{number}"
                script = f'trap "exit 17" {number}; touch {ready}; while :; do sleep 0.02; done'
                argv = [tools.arguments.freeonce, "--", "sh", "-c", script]
                with subprocess.Popen(
                    argv, env=tools.clean_environment(), stderr=subprocess.DEVNULL
                ) as run:
                    self.wait_until("the command runs", ready.exists)
                    run.send_signal(number)
                    self.assertEqual(17, run.wait(timeout=300))

    def test_ignored_signals_stay_ignored(self):
        script = 'trap "" HUP; exec "$0" -- sh -c "kill -HUP \\$\\$; exit 6"'
        self.run_program("sh", "-c", script, tools.arguments.freeonce, expect=6)


class Terminal(tools.Case):
    """On a terminal: the command owns it."""

    def setUp(self):
        super().setUp()
        self.text = b""
        self.pid = 0

    def start(self, *argv, **env):
        environment = tools.clean_environment(TERM="xterm", **env)
        if "NO_COLOR" not in env:
            environment.pop("NO_COLOR")
        try:
            self.pid, self.terminal = pty.fork()
        except OSError as error:
            self.skipTest(f"no terminal can be made: {error}")
        if self.pid == 0:
            os.execve(tools.arguments.freeonce, ["freeonce", *map(str, argv)], environment)
        self.addCleanup(os.close, self.terminal)

    def read_until(self, pattern):
        deadline = time.monotonic() + 30
        while not re.search(pattern, self.text):
            self.assertLess(time.monotonic(), deadline, f"{pattern} in {self.text}")
            if select.select([self.terminal], [], [], 0.2)[0]:
                try:
                    self.text += os.read(self.terminal, 4096)
                except OSError:  # the other end is closed
                    self.assertRegex(self.text, pattern)

    def end(self):
        self.read_until(rb"freeonce:.*(ended with|ended by).*\n")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def test_input_and_output(self):
        self.start("--", "sh", "-c", 'test -t 0 && test -t 1 && read line && echo "got $line"')
        os.write(self.terminal, b"hello\n")
        self.read_until(rb"got hello")
        self.assertEqual(0, self.end())

    def test_interrupt(self):
        """Ctrl-C reaches the command once."""
        script = 'trap "echo caught" INT; echo ready; n=0; while [ $n -lt 25 ]; do sleep 0.02; n=$((n+1)); done'
        self.start("--", "sh", "-c", script + "; exit 8")
        self.read_until(rb"ready")
        os.write(self.terminal, b"\x03")
        self.assertEqual(8, self.end())
        self.assertEqual(1, self.text.count(b"caught"), self.text)

    def test_stop_and_continue(self):
        """Ctrl-Z stops freeonce with the command, and fg continues both."""
        self.start("--", "sh", "-c", "echo ready; read line; exit 9")
        self.read_until(rb"ready")
        os.kill(self.pid, 0)
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.pid)], capture_output=True, text=True, check=True
        )
        os.kill(int(children.stdout), signal.SIGSTOP)
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        self.assertTrue(os.WIFSTOPPED(status))
        os.kill(self.pid, signal.SIGCONT)
        os.write(self.terminal, b"\n")
        self.assertEqual(9, self.end())

    def test_colours(self):
        self.start("--", tools.arguments.planted, "bug")
        self.assertEqual(99, self.end())
        self.assertIn(b"\x1b[1;31m", self.text)

    def test_no_colours(self):
        self.start("--", tools.arguments.planted, "bug", NO_COLOR="1")
        self.assertEqual(99, self.end())
        self.assertNotIn(b"\x1b[", self.text)


tools.main()
