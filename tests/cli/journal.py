"""Does the journal keep findings however a process ends, and is it safe to keep a journal?"""

import os
import random
import re
import shutil
import signal
import struct
import subprocess

import tools

COUNT = re.compile(r"^  seen +(\d+) time", re.M)


class Survives(tools.Case):
    """A double free reaches the journal from a process of any kind."""

    def check_found(self, *, times=1, headline="double free of block"):
        shown = self.report(self.journal, expect=99)
        self.assertEqual("", shown.stderr)
        self.assertIn(f"freeonce: {headline}", shown.stdout)
        self.assertEqual([str(times)], COUNT.findall(shown.stdout), shown.stdout)
        return shown.stdout

    def test_a_plain_process(self):
        self.planted("bug")
        text = self.check_found()
        for line in ("allocated    planted.c:", "freed first  planted.c:", "freed again  planted.c:"):
            self.assertIn(line, text)
        self.assertIn("freeonce: 1 finding; 1 process guarded", text)

    def test_findings_go_to_the_journal_alone(self):
        """With a journal, findings go to the journal alone; all other messages go to stderr as without one."""
        done = self.planted("bug", LOG="journal", TYPO="1")
        self.assertNotIn("double free", done.stderr)
        self.assertIn("there is no option FREEONCE_TYPO", done.stderr)
        self.check_found()
        done = self.planted("bug", LOG="journal", journal=self.dir)
        self.assertIn("double free of block", done.stderr)

    def test_names_that_had_no_room_are_printed(self):
        self.planted("bug")
        with open(self.journal, "r+b") as file:
            file.seek(80)  # struct fo_journal: the counter of strings that were dropped
            file.write(struct.pack("<Q", 3))
        self.assertIn("; a name, module or process had no room in the journal 3 times", self.check_found())

    def test_no_finding(self):
        self.planted("alloc")
        text = self.report(self.journal, expect=0).stdout
        self.assertEqual("freeonce: no findings; 1 process guarded\n", text)

    def test_the_report_is_that_of_the_process(self):
        done = self.planted("fork", "bug")
        printed = [line for line in done.stderr.splitlines() if line]
        shown = self.report("--no-symbols", self.journal, expect=99).stdout.splitlines()
        (seen,) = [line for line in shown if line.startswith("  seen ")]
        shown.remove(seen)
        self.assertEqual(printed, shown[: len(printed)])
        self.assertRegex(printed[-1], "^  what to do +It was freed before")

    def test_exit_without_handlers(self):
        self.planted("bug", "_exit=3", expect=3)
        self.check_found()

    def test_killed(self):
        self.planted("bug", "kill=9", expect=-9)
        self.check_found()

    def test_killed_from_outside(self):
        here = self.dir / "here"
        environment = {"LD_PRELOAD": tools.arguments.lib, "FREEONCE_JOURNAL": str(self.journal)}
        with subprocess.Popen(
            [tools.arguments.planted, "fork", "bug", f"touch={here}", "pause"],
            env=tools.clean_environment(**environment),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as server:
            self.wait_until("the worker is there", here.exists)
            os.killpg(server.pid, signal.SIGKILL)
        self.check_found()

    def test_closed_descriptors(self):
        self.planted("close", "bug")
        self.check_found()

    def test_chroot(self):
        self.unprivileged()
        (self.dir / "root").mkdir()
        self.planted("alloc", f"chroot={self.dir}/root", "bug")
        self.check_found()

    def test_chroot_before_openssl_is_used(self):
        self.unprivileged()
        (self.dir / "root").mkdir()
        self.planted(f"chroot={self.dir}/root", "bug")
        self.check_found()

    def test_another_user(self):
        self.unprivileged()
        self.planted("alloc", "setuid=65534", "bug")
        self.check_found()

    def test_chroot_and_another_user_in_a_child(self):
        self.unprivileged()
        (self.dir / "root").mkdir()
        self.planted("alloc", "fork", f"chroot={self.dir}/root", "setuid=65534", "close", "bug", "kill=9")
        self.check_found()

    def test_seccomp_without_open(self):
        self.planted("alloc", "seccomp", "bug", "_exit=0")
        self.check_found()

    def test_executed_anew_is_the_same_finding(self):
        self.planted("bug", "exec", "bug", "exec", "bug")
        self.check_found(times=3)

    def test_two_runs_one_journal(self):
        self.planted("bug")
        self.planted("bug")
        self.check_found(times=2)

    def test_many_processes_at_once(self):
        environment = {"LD_PRELOAD": tools.arguments.lib, "FREEONCE_JOURNAL": str(self.journal)}
        script = 'for i in $(seq 40); do "$0" alloc fork bug _exit=0 & done; wait'
        self.run_program("sh", "-c", script, tools.arguments.planted, env=environment, expect=0)
        text = self.check_found(times=40)
        self.assertIn("80 processes guarded", text)

    def test_object(self):
        self.planted("object")
        text = self.check_found(headline="double free of X509 ")
        self.assertIn("by free_object_twice() ", text)

    def test_lineage(self):
        self.planted("fork", "fork", "bug")
        text = self.check_found()
        again = re.search(r"freed again .*pid (\d+) \(planted\), forked from (\d+) at", text)
        self.assertIsNotNone(again, text)
        self.assertNotEqual(again[1], again[2])


class Refuses(tools.Case):
    """A file that cannot be a journal is reported once, and the program runs as without the library."""

    def check_refused(self, why, *actions, **options):
        done = self.planted(*(actions or ("alloc", "status=5")), expect=5, **options)
        self.assertIn("FREEONCE_JOURNAL=", done.stderr)
        self.assertRegex(done.stderr, why)
        self.assertEqual(1, done.stderr.count("FREEONCE_JOURNAL="), done.stderr)
        return done

    def test_symbolic_link(self):
        target = self.dir / "target"
        target.write_text("precious")
        self.journal.symlink_to(target)
        self.check_refused("symbolic link")
        self.assertEqual("precious", target.read_text())

    def test_dangling_symbolic_link(self):
        self.journal.symlink_to(self.dir / "nowhere")
        self.check_refused("symbolic link")
        self.assertFalse((self.dir / "nowhere").exists())

    def test_hard_link(self):
        (self.dir / "other").write_text("")
        self.journal.hardlink_to(self.dir / "other")
        self.check_refused("several names")
        self.assertEqual(0, (self.dir / "other").stat().st_size)

    def test_somebody_elses_file(self):
        self.journal.write_text("precious " * 1000)
        self.check_refused("no journal")
        self.assertEqual("precious " * 1000, self.journal.read_text())

    def test_fifo(self):
        os.mkfifo(self.journal)
        self.check_refused("it is a FIFO")

    def test_folder(self):
        self.journal.mkdir()
        self.check_refused("it is a folder")

    def test_missing_folder(self):
        self.check_refused("No such file or directory", journal=self.dir / "no" / "journal")

    def test_read_only_file(self):
        self.journal.write_text("")
        self.journal.chmod(0o444)
        self.check_refused("Permission denied", wrap=self.unprivileged())

    def test_read_only_file_system(self):
        script = 'mount -t tmpfs none "$1"; mount -o remount,ro "$1"; shift; "$@"'
        environment = [f"LD_PRELOAD={tools.arguments.lib}", f"FREEONCE_JOURNAL={self.dir}/disk/j"]
        (self.dir / "disk").mkdir()
        argv = ["env", *environment, tools.arguments.planted, "alloc", "bug", "status=5"]
        done = self.in_namespace(script, self.dir / "disk", *argv, expect=5)
        self.assertIn("Read-only file system", done.stderr)
        self.assertIn("double free of block", done.stderr)

    def test_full_disk(self):
        script = 'mount -t tmpfs -o size=1m none "$1"; shift; "$@"; ls -l "$0"'
        environment = [f"LD_PRELOAD={tools.arguments.lib}", f"FREEONCE_JOURNAL={self.dir}/disk/j"]
        (self.dir / "disk").mkdir()
        argv = ["env", *environment, tools.arguments.planted, "alloc", "bug"]
        done = self.in_namespace(script, self.dir / "disk", *argv)
        self.assertIn("No space left on device", done.stderr)
        self.assertIn("double free of block", done.stderr)

    def test_file_size_limit(self):
        wrap = ["sh", "-c", 'ulimit -f 100; exec "$@"', "sh"]
        self.check_refused("File too large", wrap=wrap)

    def test_truncated_journal(self):
        self.planted("bug")
        os.truncate(self.journal, 100000)
        self.check_refused("truncated")

    def test_another_version(self):
        self.planted("bug")
        with open(self.journal, "r+b") as file:
            file.seek(8)
            file.write(struct.pack("=I", 77))
        self.check_refused("another version")

    def test_required(self):
        self.journal.mkdir()
        done = self.planted("alloc", "status=5", expect=78, REQUIRE=1)
        self.assertIn("it is a folder", done.stderr)

    def test_program_without_openssl_says_nothing(self):
        self.journal.mkdir()
        environment = {"LD_PRELOAD": tools.arguments.lib, "FREEONCE_JOURNAL": str(self.journal)}
        done = self.run_program("true", env=environment, expect=0)
        self.assertEqual("", done.stderr)


class Makes(tools.Case):
    """How the file comes to be."""

    def test_mode(self):
        self.planted("alloc")
        self.assertEqual(0o100600, self.journal.stat().st_mode)

    def test_an_empty_file_is_used_as_it_is(self):
        self.journal.touch()
        self.journal.chmod(0o660)
        self.planted("bug")
        self.assertEqual(0o100660, self.journal.stat().st_mode)
        self.report(self.journal, expect=99)

    def test_unfinished_file_is_finished(self):
        """The process that made it was killed before it wrote the head."""
        self.planted("alloc")
        size = self.journal.stat().st_size
        self.journal.write_bytes(bytes(size))
        self.planted("bug")
        self.report(self.journal, expect=99)

    def test_nothing_in_it_is_sparse(self):
        """Its disk blocks are allocated at the start: a disk that gets full later kills no process."""
        self.planted("alloc")
        status = self.journal.stat()
        self.assertGreaterEqual(status.st_blocks * 512, status.st_size)


class Reads(tools.Case):
    """Any input of `freeonce report`: a clear error, and what is intact is shown."""

    def check(self, expect, words, path=None):
        done = self.report(path or self.journal, expect=expect)
        self.assertRegex(done.stderr, words)
        self.assertRegex(done.stderr, r"^freeonce: ")
        return done

    def test_missing(self):
        self.check(66, "cannot be opened: No such file or directory; the first process that has "
                   "OpenSSL makes it: was the service restarted?")

    def test_folder(self):
        self.check(66, "no regular file", self.dir)

    def test_somebody_elses(self):
        self.planted("bug")
        program = shutil.copy(tools.arguments.freeonce, self.dir / "freeonce")
        done = self.run_program(*self.unprivileged(), program, "report", self.journal, expect=66)
        self.assertIn("cannot be opened: Permission denied; run it as root", done.stderr)

    def test_device(self):
        self.check(66, "no regular file", "/dev/zero")

    def test_empty(self):
        self.journal.touch()
        self.check(65, "is empty: no process has written to it")

    def test_foreign(self):
        for content in (b"x", b"\x7fELF" + bytes(5000), os.urandom(1 << 20), b"\n" * (9 << 20)):
            self.journal.write_bytes(content)
            self.check(65, "is no journal of freeonce")

    def test_zeros(self):
        self.journal.write_bytes(bytes(4 << 20))
        self.check(65, "was not made to its end")

    def test_huge(self):
        with open(self.journal, "wb") as file:
            file.truncate(1 << 40)
        self.check(65, "was not made to its end")

    def test_something_behind_its_end(self):
        self.planted("bug")
        with open(self.journal, "ab") as file:
            file.write(b"more")
        done = self.check(99, "something behind its end")
        self.assertIn("double free", done.stdout)

    def test_another_version(self):
        self.planted("bug")
        with open(self.journal, "r+b") as file:
            file.seek(8)
            file.write(struct.pack("=I", 2))
        self.check(65, "format 2, .*reads format 1")

    def test_truncated(self):
        self.planted("bug")
        whole = self.journal.read_bytes()
        for size in (1, 7, 8, 20, 64, 200, 4096, 100000, len(whole) // 2, len(whole) - 1):
            self.journal.write_bytes(whole[:size])
            done = self.report(self.journal)
            self.assertIn(done.returncode, (65, 99), size)
            self.assertRegex(done.stderr, "truncated|is no journal", size)
        self.assertIn("double free of block", done.stdout)

    def test_damaged_rows(self):
        """With any byte changed, the command prints an error or the byte was part of a counter; the command does not crash."""
        self.planted("fork", "bug")
        whole = bytearray(self.journal.read_bytes())
        used = [i for i in range(4096, len(whole), 8) if any(whole[i : i + 8])]
        self.assertGreater(len(used), 20)
        for at in used:
            damaged = bytearray(whole)
            damaged[at] ^= 0xFF
            self.journal.write_bytes(damaged)
            done = self.report("--no-symbols", self.journal)
            self.assertIn(done.returncode, (0, 65, 99), f"byte {at}: {done.stderr}")

    def test_random_damage(self):
        self.planted("fork", "bug")
        whole = self.journal.read_bytes()
        source = random.Random(1)
        used = [i for i in range(200, len(whole)) if whole[i] != 0]
        for _ in range(60):
            damaged = bytearray(whole)
            for _ in range(source.randrange(20, 2000)):
                damaged[source.choice(used)] = source.randrange(256)
            self.journal.write_bytes(damaged)
            done = self.report("--no-symbols", self.journal)
            self.assertIn(done.returncode, (65, 99), done.stderr)
            self.assertIn("rows", done.stderr)

    def test_killed_while_it_wrote(self):
        """It is known that there was a finding, and the status says so, but not which finding."""
        self.planted("bug")
        data = bytearray(self.journal.read_bytes())
        row, rows = 1808, 1024  # bytes; they are the last of the tables
        (at,) = [at for at in range(len(data) - rows * row, len(data), row) if any(data[at : at + row])]
        for first, last in ((8, 16), (0, row)):  # claimed, and not even that
            data[at + first : at + last] = bytes(last - first)
            self.journal.write_bytes(data)
            done = self.report(self.journal, expect=99)
            self.assertEqual(
                "freeonce: 0 findings; 1 more finding is not in the journal; 1 process guarded\n", done.stdout)
            self.assertEqual(first != 0, "rows that were not written to their end" in done.stderr, done.stderr)

    def test_several(self):
        self.planted("bug")
        self.planted("object", journal=self.dir / "second")
        done = self.report(self.journal, self.dir / "second", self.dir / "third")
        self.assertEqual(99, done.returncode)
        self.assertIn("third cannot be opened", done.stderr)
        self.assertIn("double free of block", done.stdout)
        self.assertIn("double free of X509", done.stdout)
        self.assertIn("2 findings", done.stdout)

    def test_two_rows_of_one_finding(self):
        """A writer that was stopped for long finishes its row beside that of another process."""
        self.planted("bug")
        self.planted("bug")
        row, rows = 1808, 1024  # bytes; they are the last of the tables
        data = bytearray(self.journal.read_bytes())
        table = range(len(data) - rows * row, len(data), row)
        used = [at for at in table if any(data[at : at + row])]
        self.assertEqual(1, len(used))
        free = next(at for at in table if at not in used)
        data[free : free + row] = data[used[0] : used[0] + row]
        data[free] ^= 2  # its key
        self.journal.write_bytes(data)
        shown = self.report(self.journal, expect=99).stdout
        self.assertEqual(["4"], COUNT.findall(shown), shown)
        self.assertIn("freeonce: 1 finding", shown)

    def test_no_journal_named(self):
        done = self.report(expect=64)
        self.assertIn("which journal?", done.stderr)


tools.main()
