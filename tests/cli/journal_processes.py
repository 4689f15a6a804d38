"""Which processes does the journal count as guarded, and which ones make its file?"""

import os
import shutil
import sys

import tools

FUNCTIONS = "execl", "execlp", "execle", "execv", "execvp", "execve", "execvpe", "fexecve"
WITH_ENVIRONMENT = "execle", "execve", "execvpe", "fexecve"


class Case(tools.Case):
    def run_with(self, *argv, expect=0, **settings):
        environment = {"LD_PRELOAD": tools.arguments.lib, "FREEONCE_JOURNAL": str(self.journal)}
        environment.update({f"FREEONCE_{name}": value for name, value in settings.items()})
        return self.run_program(*argv, env=environment, expect=expect)

    def becomes(self, *actions, **settings):
        return self.run_with(tools.arguments.becomes, *actions, **settings)

    def loads_late(self, *actions):
        return self.run_with(tools.arguments.becomes_late, *actions)

    def shown(self, *more):
        return self.report(*more, self.journal).stdout


class Counts(Case):
    """A process that executes another program is not guarded any more, unless that program has the library, too."""

    def test_each_function(self):
        for name in FUNCTIONS:
            with self.subTest(name):
                self.journal.unlink(missing_ok=True)
                done = self.becomes("alloc", "fork", "alloc", name)
                word = "given" if name in WITH_ENVIRONMENT else "own"
                self.assertEqual((f"one-two-{word}\n", ""), (done.stdout, done.stderr))
                line = "freeonce: no findings; 1 process guarded, 1 left to execute another program\n"
                self.assertEqual(line, self.shown())

    def test_each_function_that_fails(self):
        for name in FUNCTIONS:
            with self.subTest(name):
                self.journal.unlink(missing_ok=True)
                self.becomes("alloc", "fork", "alloc", f"no-{name}", f"no-{name}", "alloc")
                self.assertEqual("freeonce: no findings; 2 processes guarded\n", self.shown())

    def test_without_a_journal(self):
        for name in FUNCTIONS:
            done = self.becomes("alloc", f"no-{name}", name, JOURNAL="")
            self.assertEqual(("one-two-", ""), (done.stdout[:8], done.stderr))

    def test_a_child_of_vfork(self):
        """A child of vfork has its parent's memory."""
        self.becomes("alloc", "vfork", "alloc")
        self.assertEqual("freeonce: no findings; 1 process guarded\n", self.shown())

    def test_executed_anew(self):
        self.planted("alloc", "exec", "alloc", "exec", "alloc")
        self.assertEqual("freeonce: no findings; 1 process guarded\n", self.shown())

    def test_in_the_list(self):
        self.becomes("alloc", "fork", "alloc", "execv")
        self.assertIn("; then it executed another program", self.shown("--processes"))
        self.assertIn('"guard":"left"', self.shown("--format", "json"))

    def test_nobody_is_left(self):
        self.becomes("alloc", "execv")
        self.assertIn("no process used OpenSSL with the library in front", self.shown())


class Makes(Case):
    """The file is made by a program that has OpenSSL or may load it, for the user to whom its folder belongs."""

    def test_helpers_of_a_service(self):
        for argv in (["true"], ["chown", str(os.geteuid()), self.dir], ["sh", "-c", ":"]):
            with self.subTest(argv[0]):
                self.run_with(*argv)
                self.assertFalse(self.journal.exists())

    def test_a_file_that_is_there(self):
        """A file that exists is opened at start, in case OpenSSL is loaded later."""
        self.planted("alloc")
        self.loads_late("late")
        self.assertIn("double free", self.shown())

    def test_a_program_that_may_load_openssl(self):
        self.run_with(sys.executable, "-S", "-c", "")
        self.assertTrue(self.journal.exists())

    def test_openssl_comes_unforeseen(self):
        self.loads_late()
        self.assertFalse(self.journal.exists())
        self.loads_late("late")
        text = self.shown()
        self.assertIn("double free of block", text)
        self.assertIn("1 process guarded", text)

    def test_in_a_child(self):
        self.loads_late("fork", "late")
        self.assertIn("1 process guarded", self.shown())

    def test_by_root_for_another_user(self):
        nobody = self.unprivileged()
        folder = self.dir / "folder"
        for owner in (65534, 0):
            with self.subTest(owner):
                folder.mkdir()
                os.chown(folder, owner, owner)
                self.journal = folder / "journal"
                self.planted("alloc")
                status = self.journal.stat()
                self.assertEqual((owner, 0o100600), (status.st_uid, status.st_mode))
                done = self.planted("bug", wrap=nobody)
                self.assertEqual(owner == 0, "Permission denied" in done.stderr, done.stderr)
                shutil.rmtree(folder)

    def test_by_root_in_a_sandbox(self):
        """The filter may kill a process that calls fchown: the file still belongs to root."""
        self.unprivileged()
        os.chown(self.dir, 65534, 65534)
        for actions, owner in ((["late"], 65534), (["filtered", "late"], 0)):
            self.loads_late(*actions)
            self.assertEqual(owner, self.journal.stat().st_uid)
            self.journal.unlink()

    def test_a_file_that_another_user_made(self):
        """The file is refused, and not changed."""
        self.unprivileged()
        self.journal.touch()
        os.chown(self.journal, 1, 1)
        self.assertIn("cannot be used: it belongs to another user", self.planted("alloc").stderr)
        self.assertEqual((1, 0), (self.journal.stat().st_uid, self.journal.stat().st_size))


def add_programs(parser):
    parser.add_argument("--becomes", required=True)
    parser.add_argument("--becomes-late", required=True)


tools.main(add_programs)
