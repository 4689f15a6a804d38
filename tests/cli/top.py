"""freeonce top: the table, its order, and the terminal's settings after every way out."""

import fcntl
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time

import tools

# What a row says of a process: blocks, bytes, growth, growth since the start.
ROW = r"(?m)^ *{} guarded +([\d,]+) +([\d,]+) +([+-]?[\d,]+) +([+-]?[\d,]+) +\d+  "


class Case(tools.Case):
    def setUp(self):
        super().setUp()
        self.name = f"t{os.getpid()}x{id(self) % 1000}"[:14]  # of no other process

    def start(self, count):
        """A stopped process with so many blocks of 64 bytes."""
        program = self.dir / self.name
        if not program.exists():
            shutil.copy(tools.arguments.inspected, program)
        process = subprocess.Popen([program, f"many={count}"], env=tools.clean_environment(LD_PRELOAD=tools.arguments.lib))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        self.assertTrue(os.WIFSTOPPED(status))
        return process.pid

    def row(self, text, pid):
        found = re.search(ROW.format(pid), text)
        self.assertIsNotNone(found, text)
        return [int(number.replace(",", "")) for number in found.groups()]


class Once(Case):
    def test_the_order(self):
        few, many = self.start(100), self.start(5000)
        for sort in "bytes", "blocks":
            text = self.freeonce("top", "--once", "--sort", sort, self.name, expect=0).stdout
            self.assertRegex(text, rf"^name {self.name}: 2 processes, 2 guarded, at \d\d:\d\d:\d\d, sorted by {sort}\n")
            self.assertLess(text.index(f" {many} guarded"), text.index(f" {few} guarded"))
        blocks, size, *growth = self.row(text, few)
        self.assertGreaterEqual(blocks, 100)
        self.assertGreaterEqual(size, 6400)
        self.assertEqual([0, 0], growth)
        self.assertNotIn("\033", text)

    def test_one_process(self):
        pid = self.start(100)
        text = self.freeonce("top", "--once", "--sort=growth", "--interval=0.1", pid, expect=0).stdout
        self.assertRegex(text, rf"^process {pid}: 1 process, 1 guarded, ")
        self.assertEqual(0, self.row(text, pid)[2])

    def test_none(self):
        self.assertIn("no process of the name", self.freeonce("top", "--once", self.name, expect=66).stderr)

    def test_command_line(self):
        for argv, words in ((["--sort", "bites", "--once"], "did you mean bytes?"), (["--interval=0", "--once"], "from 0.1 to 86400"),
                            (["--interval=nan", "--once"], "from 0.1"), ([], "use --once"), (["--once", "1", "2"], "one process")):
            self.assertIn(words, self.freeonce("top", *argv, expect=64).stderr)


class Terminal(Case):
    def open(self, *argv, shell=(), rows=24, columns=100):
        """The command on a terminal of its own, and what that had before."""
        self.master, slave = pty.openpty()
        self.addCleanup(os.close, self.master)
        self.addCleanup(os.close, slave)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.slave, self.seen = slave, ""
        self.before = termios.tcgetattr(slave)
        process = subprocess.Popen(
            [*shell, tools.arguments.freeonce, "top", *map(str, argv)], stdin=slave, stdout=slave, stderr=slave,
            env=tools.clean_environment(TERM="xterm"), start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def see(self, pattern, seconds=60):
        """Read until the pattern was there; the reading begins anew behind it."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen)):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                self.fail(f"{pattern!r} is not in {self.seen[-2000:]!r}")
            self.seen += os.read(self.master, 65536).decode()
        self.seen = self.seen[found.end():]
        return found

    def key(self, key):
        os.write(self.master, key.encode())

    def restored(self):
        now = termios.tcgetattr(self.slave)
        self.assertEqual(self.before, now)

    def changed(self):
        self.assertNotEqual(self.before, termios.tcgetattr(self.slave))

    def test_keys(self):
        pid = self.start(100)
        process = self.open("--interval=3600", self.name)
        self.see(rf"sorted by bytes\033\[K[\s\S]*{pid} guarded[\s\S]*\033\[J")
        self.changed()
        for key, by in ("g", "growth"), ("n", "blocks"), ("b", "bytes"):
            self.key(key)
            self.see(f"sorted by {by}")
        self.key("q")
        self.assertEqual(0, process.wait(60))
        self.restored()

    def test_growth(self):
        """... since the last look and since the first; the key looks at once."""
        program = shutil.copy(tools.arguments.inspected, self.dir / self.name)
        process = subprocess.Popen([program, "grow=1000"], env=tools.clean_environment(LD_PRELOAD=tools.arguments.lib))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        os.waitpid(process.pid, os.WUNTRACED)
        self.open("--interval=3600", self.name)
        self.see(rf"{process.pid} guarded +[\d,]+ +[\d,]+ +0 +0 ")
        for total in "64,000", "128,000":
            self.see(r"\033\[J")
            os.kill(process.pid, signal.SIGCONT)
            os.waitpid(process.pid, os.WUNTRACED)
            self.key(" ")
            self.see(rf"{process.pid} guarded +[\d,]+ +[\d,]+ +\+64,000 +\+{total} ")

    def test_the_size(self):
        """Rows and columns beyond the terminal's are cut."""
        pids = [self.start(10 * n) for n in range(1, 5)]
        process = self.open("--interval=3600", self.name, rows=6, columns=40)
        drawn = self.see(r"\033\[H([\s\S]*?)\033\[J")[1]
        lines = drawn.replace("\033[K", "").split("\r\n")[:-1]
        self.assertEqual(5, len(lines), lines)
        self.assertLessEqual(max(map(len, lines)), 40)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
        os.kill(process.pid, signal.SIGWINCH)
        drawn = self.see(r"\033\[H([\s\S]*?)\033\[J")[1]
        for pid in pids:
            self.assertIn(f" {pid} guarded", drawn)

    def test_signals(self):
        pid = self.start(10)
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGSEGV:
            process = self.open("--interval=3600", pid)
            self.see(r"\033\[J")
            self.changed()
            os.kill(process.pid, number)
            self.assertEqual(-number, process.wait(60))
            self.restored()

    def test_the_key_for_sigint(self):
        process = self.open("--interval=3600", self.start(10))
        self.see(r"\033\[J")
        self.key("\x03")
        self.assertEqual(-signal.SIGINT, process.wait(60))
        self.restored()

    def test_stopped(self):
        """Ctrl-Z gives the shell its terminal back; fg goes on."""
        process = self.open("--interval=3600", self.start(10), shell=("bash", "-c", 'set -m; "$@"; read -r word; fg', "bash"))
        self.see(r"\033\[J")
        self.changed()
        self.key("\x1a")
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        state = pathlib.Path(f"/proc/{children.read_text().split()[0]}/stat")
        self.wait_until("top stops", lambda: state.read_text().rpartition(")")[2].split()[0] == "T")
        self.restored()
        self.key("word\n")
        self.see(r"\033\[J")
        self.changed()
        self.key("q")
        self.assertEqual(0, process.wait(60))
        self.restored()

    def test_the_process_ends(self):
        pid = self.start(10)
        process = self.open("--interval=3600", pid)
        self.see(r"\033\[J")
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self.key(" ")
        self.assertEqual(66, process.wait(60))
        self.see(f"process {pid} has ended")
        self.restored()

    def test_without_keys(self):
        """stdin is no terminal: it looks again and again, until a signal."""
        self.start(10)
        process = self.open("--interval=0.1", self.name, shell=("sh", "-c", '"$@" </dev/null', "sh"))
        self.see(r"\033\[J")
        self.see(r"\033\[J")
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
        self.restored()


def add(parser):
    parser.add_argument("--inspected", required=True, help="a program with blocks that are known")


tools.main(add)
