"""freeonce run: the file that its journal is. Who can write it, where it may lie, and what a killed run leaves."""

import os
import shlex
import signal
import subprocess
import tempfile

import tools


class Files(tools.Case):
    def test_nobody_else_sees_the_journal(self):
        """Another user could empty it, and the run would succeed."""
        show = ["sh", "-c", 'stat -c %a "$FREEONCE_JOURNAL" "$(dirname "$FREEONCE_JOURNAL")"']
        env = {"TMPDIR": self.dir}
        self.assertEqual("600\n700\n", self.freeonce("--", *show, env=env, expect=0).stdout)
        self.assertEqual("666\n711\n", self.freeonce("--any-user", "--", *show, env=env, expect=0).stdout)
        named = self.freeonce("--journal", self.journal, "--", *show, expect=0)
        self.assertEqual("600", named.stdout.split()[0])

    def test_another_user(self):
        """With --any-user another user may write the journal; a process that mapped it before needs no option."""
        wrap = self.unprivileged()
        argv = ["--", *wrap, tools.arguments.planted, "bug"]
        self.freeonce("--any-user", *argv, expect=99)
        self.freeonce("--require", *argv, expect=78)
        self.freeonce("--", tools.arguments.planted, "setuid=65534", "bug", expect=99)

    def test_a_process_that_cannot_write_the_journal(self):
        """Such a process, if it is guarded, makes the run fail."""
        wrap = self.unprivileged()
        one = shlex.join([*wrap, str(tools.arguments.planted), "bug"])
        found = f"{tools.arguments.planted} bug"
        for script, status, number in (
            (one, 78, "1 process"),
            (f"{one}; exit 3", 3, "1 process"),
            (f"{one}; {one}; {one}", 78, "3 processes"),
            (f"{found}; {one}", 99, "1 process"),
        ):
            with self.subTest(script):
                done = self.freeonce("--journal", self.journal, "--", "sh", "-c", script, expect=status)
                self.assertIn("Permission denied; findings are not kept there", done.stderr)
                said = f"; at least {number} could not write the journal (--any-user?), "
                self.assertIn(said, done.stderr)
                self.assertIn(said, self.report(self.journal, expect=None).stdout)
        for script in f"FREEONCE_JOURNAL= {one}", shlex.join([*wrap, "true"]):
            with self.subTest(script):
                done = self.freeonce("--", "sh", "-c", script, expect=0)
                self.assertNotIn("could not write the journal", done.stderr)

    def test_a_process_in_another_file_name_space(self):
        """It makes no journal of its own at the path of the run's journal, but one at another path."""
        enter = tools.mounts.namespace() if os.geteuid() == 0 else None
        if enter is None:
            self.skipTest("needs root and a mount namespace that nobody else sees")
        script = 'mount -t tmpfs freeonce "$0"; "$@"; ls "$0"'
        argv = ["--journal", self.journal, "--", *enter, "sh", "-ec", script, self.journal.parent]
        done = self.freeonce(*argv, tools.arguments.planted, "bug", expect=78)
        self.assertEqual("", done.stdout)
        self.assertIn("cannot be used: No such file or directory", done.stderr)
        argv += ["env", f"FREEONCE_JOURNAL={self.journal.parent}/other"]
        done = self.freeonce(*argv, tools.arguments.planted, "bug", expect=0)
        self.assertEqual("other\n", done.stdout)

    def start_paused(self):
        """A run, in a group of its own, and its folder."""
        here = self.dir / "here"
        before = set(self.dir.iterdir())
        argv = [tools.arguments.freeonce, "--", tools.arguments.planted, "alloc", f"touch={here}", "pause"]
        launcher = subprocess.Popen(  # pylint: disable=consider-using-with
            argv,
            env=tools.clean_environment(TMPDIR=str(self.dir)),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.addCleanup(launcher.wait)
        self.addCleanup(os.killpg, launcher.pid, signal.SIGKILL)
        self.wait_until("the command runs", here.exists)
        (folder,) = set(self.dir.iterdir()) - before - {here}
        return launcher, folder

    def test_the_next_run_removes_what_a_killed_one_left(self):
        names = "aaaaaa", "bbbbbb", "cccccc", "dddddd", "longername"
        made = {name: self.dir / f"freeonce-run.{name}" for name in names}
        made["older"] = self.dir / "freeonce.eeeeee"  # of a version that holds no lock
        for name, folder in made.items():
            folder.mkdir(mode=0o700)
            (folder / "journal").write_bytes(b"\x89FOJ\r\n\x1a\n" if name != "aaaaaa" else b"precious")
        (made["bbbbbb"] / "other").touch()
        made["cccccc"].chmod(0o777)
        if os.geteuid() == 0:
            os.chown(made["dddddd"], 1, 1)
        else:
            made["dddddd"].chmod(0o777)
        launcher, left = self.start_paused()
        self.freeonce("--", "true", env={"TMPDIR": self.dir}, expect=0)
        self.assertTrue((left / "journal").exists())  # its launcher has not ended
        launcher.kill()
        launcher.wait()
        self.freeonce("--", "true", env={"TMPDIR": self.dir}, expect=0)
        self.assertFalse(left.exists())
        for folder in made.values():
            self.assertTrue((folder / "journal").exists(), folder)

    def test_journal_in_a_folder_that_all_users_can_write(self):
        if os.geteuid() != 0:
            self.skipTest("only root is refused")
        open_to_all = self.dir / "all"
        open_to_all.mkdir()
        open_to_all.chmod(0o777)
        done = self.freeonce("--journal", open_to_all / "journal", "--", "echo", "ran", expect=125)
        self.assertIn("a folder on its way can be written by all users (chmod +t)", done.stderr)
        self.assertEqual("", done.stdout)
        argv = ["--", tools.arguments.planted, "bug"]  # as /tmp of a container may be: elsewhere
        self.freeonce(*argv, env={"TMPDIR": open_to_all}, expect=99)
        seen = self.environment(env={"TMPDIR": open_to_all})
        self.assertTrue(seen["FREEONCE_JOURNAL"].startswith("/tmp/freeonce-run."), seen)
        open_to_all.chmod(0o1777)
        seen = self.environment(env={"TMPDIR": open_to_all})
        self.assertTrue(seen["FREEONCE_JOURNAL"].startswith(f"{open_to_all}/freeonce-run."), seen)
        self.assertEqual([], list(open_to_all.iterdir()))

    def run_read_only(self, folders, *argv, env=None, expect):
        """A run where these folders are read-only; their content, the programs, stays."""
        script = 'for f in $1; do mount --bind "$f" "$f"; mount -o remount,bind,ro "$f"; done; shift; exec "$@"'
        argv = [" ".join(folders), tools.arguments.freeonce, *argv]
        return self.in_namespace(script, *argv, env=env, expect=expect)

    def test_a_read_only_tmp(self):
        """As in a hardened container: the journal lies elsewhere, and findings are reported."""
        show = ["--", "sh", "-c", 'echo "$FREEONCE_JOURNAL"']
        bug = ["--", tools.arguments.planted, "bug"]
        env = {"TMPDIR": "/tmp", "XDG_RUNTIME_DIR": "/nonexistent"}
        done = self.run_read_only(["/tmp"], *show, env=env, expect=0)
        self.assertRegex(done.stdout, "^/var/tmp/freeonce-run[.]")
        self.run_read_only(["/tmp", "/var/tmp"], *bug, env=env, expect=99)
        done = self.run_read_only(["/tmp", "/var/tmp"], *show, env=env, expect=0)
        self.assertRegex(done.stdout, "^/dev/shm/freeonce-run[.]")
        with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="freeonce-cli-") as own:
            env["XDG_RUNTIME_DIR"] = own
            done = self.run_read_only(["/tmp", "/var/tmp"], *show, env=env, expect=0)
            self.assertRegex(done.stdout, f"^{own}/freeonce-run[.]")
            done = self.run_read_only(["/tmp", "/var/tmp"], "--any-user", *show, env=env, expect=0)
            self.assertRegex(done.stdout, "^/dev/shm/freeonce-run[.]")
            os.chown(own, 65534, 65534)
            done = self.run_read_only(["/tmp", "/var/tmp"], *show, env=env, expect=0)
            self.assertRegex(done.stdout, "^/dev/shm/freeonce-run[.]")
            done = self.run_read_only(["/tmp", "/var/tmp", "/dev/shm"], *bug, env=env, expect=125)
        self.assertRegex(
            done.stderr,
            r"^freeonce: the journal \(\d+ KiB\) cannot be made \(set TMPDIR, or --journal\): "
            r"/tmp: Read-only file system; /var/tmp: Read-only file system; "
            rf"{own}: it belongs to another user; /dev/shm: Read-only file system\n$",
        )

    def test_an_old_journal_behind_a_link_of_another_user(self):
        """... is not removed."""
        self.unprivileged()
        theirs = self.dir / "theirs"
        theirs.mkdir()
        (theirs / "link").symlink_to(self.dir)
        os.chown(theirs, 65534, 65534)
        os.chown(theirs / "link", 65534, 65534, follow_symlinks=False)
        self.journal.touch()
        done = self.freeonce("--journal", theirs / "link" / self.journal.name, "--", "true", expect=125)
        self.assertIn("a symbolic link on its way may be another user's", done.stderr)
        self.assertTrue(self.journal.exists())


tools.main()
