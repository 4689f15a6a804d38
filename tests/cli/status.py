"""freeonce status of several processes: those of a name, of a unit, all that can be read."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import booted
import tools


class Case(tools.Case):
    def setUp(self):
        super().setUp()
        self.name = f"s{os.getpid()}x{id(self) % 1000}"[:15]  # of no other process
        self.program = pathlib.Path(shutil.copy(tools.arguments.planted, self.dir / self.name))

    def start(self, *actions, program=None, argv0=None, before=None, **env):
        """A process that has done its actions, and waits."""
        ready = self.dir / f"ready{len(list(self.dir.iterdir()))}"
        program = str(program or self.program)
        process = subprocess.Popen([argv0 or program, *actions, f"touch={ready}", "pause"], executable=program,
                                   env=tools.clean_environment(**env), preexec_fn=before, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.wait_until("the process is ready", ready.exists)
        return process.pid

    def guarded(self, *actions, **more):
        return self.start(*actions, LD_PRELOAD=tools.arguments.lib, **more)

    def status(self, word, expect):
        said = json.loads(self.freeonce("status", "--json", word, expect=expect).stdout)
        self.assertEqual(expect == 0, said["guarded"])
        return said, {member["process"]["pid"]: member for member in said["members"]}


class Name(Case):
    def test_each_process(self):
        first, second = self.guarded("alloc", "bug"), self.guarded("alloc", FREEONCE_BACKEND="libc")
        said, members = self.status(self.name, expect=0)
        self.assertEqual({first, second}, set(members))
        self.assertEqual(("name", self.name), (said["kind"], said["name"]))
        self.assertEqual(["guarded"] * 2, [member["state"] for member in members.values()])
        self.assertEqual(1, said["findings"])
        for pid in first, second:
            alone = json.loads(self.freeonce("status", "--json", pid, expect=0).stdout)
            self.assertEqual(alone, {key: members[pid][key] for key in alone})
        self.assertEqual(said["own_bytes"], sum(m["blocks"]["live"]["bytes"] for m in members.values()))

    def test_the_first_argument(self):
        """... names it, too; the path in front of it does not count."""
        pid = self.guarded("alloc", argv0=f"/nowhere/{self.name}y", program=tools.arguments.planted)
        self.assertEqual({pid}, set(self.status(f"{self.name}y", expect=0)[1]))

    def fork(self, backend):
        """A parent with a block of 100 bytes, and its child that has one of 200 besides; both pids, and their name."""
        program = pathlib.Path(shutil.copy(tools.arguments.inspected, self.dir / f"{self.name[:14]}{backend[0]}"))
        told = self.dir / f"told-{backend}"
        with open(told, "w", encoding="ascii") as out:
            parent = subprocess.Popen([program, "child"], stdout=out, env=tools.clean_environment(
                LD_PRELOAD=tools.arguments.lib, FREEONCE_BACKEND=backend))
        self.addCleanup(parent.wait)
        self.wait_until("the child is known", lambda: told.read_text().endswith("\n"))
        child = int(told.read_text().split()[1])
        self.addCleanup(os.kill, child, signal.SIGKILL)
        state = pathlib.Path(f"/proc/{child}/stat")
        self.wait_until("the child stops", lambda: state.read_text().rpartition(")")[2].split()[0] == "T")
        return parent.pid, child, program.name

    def test_a_tree(self):
        """A forked child stands below its parent; what it got from it is counted once."""
        for backend in "arena", "shm":
            with self.subTest(backend):
                parent, child, name = self.fork(backend)
                said, members = self.status(name, expect=0)
                self.assertEqual((2, 300), (said["own_blocks"], said["own_bytes"]))
                self.assertEqual(parent, members[child]["parent_pid"])
                text = self.freeonce("status", name, expect=0).stdout
                has = "300" if backend == "shm" else "100"
                self.assertRegex(text, rf"(?m)^ +{parent}  guarded +\d +{has} +100 +0  {name}")
                self.assertRegex(text, rf"(?m)^ +{child}  guarded +2 +300 +200 +0    {name}")
                self.assertEqual(backend == "shm", "shared memory: " in text)
                self.assertIn("\nin all: 2 live blocks, 300 bytes, each counted once; findings seen 0 times\n", text)

    def test_the_parent_has_ended(self):
        """... as that of a daemon: its blocks are counted for the first process that has them."""
        for backend in "arena", "shm":
            with self.subTest(backend):
                parent, child, name = self.fork(backend)
                os.kill(parent, signal.SIGKILL)
                os.waitid(os.P_PID, parent, os.WEXITED | os.WNOWAIT)
                said, members = self.status(name, expect=0)
                self.assertEqual((2, 300, {child}), (said["own_blocks"], said["own_bytes"], set(members)))

    def test_only_a_zombie(self):
        process = subprocess.Popen([self.program])
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        self.assertIn("its processes have ended", self.freeonce("status", self.name, expect=66).stderr)
        process.wait()

    def test_findings(self):
        """... of a tree are counted once, those of another tree besides."""
        for number in 1, 2:
            ready = self.dir / f"forked-{number}"
            process = subprocess.Popen([self.program, "bug", "fork", "bug", f"touch={ready}", "pause"], stderr=subprocess.DEVNULL,
                                       env=tools.clean_environment(LD_PRELOAD=tools.arguments.lib), start_new_session=True)
            self.addCleanup(process.wait)
            self.addCleanup(os.killpg, process.pid, signal.SIGKILL)
            self.wait_until("the child is ready", ready.exists)
            said, members = self.status(self.name, expect=0)
            self.assertEqual((2 * number, 2 * number), (said["findings"], len(members)))

    def test_one_is_not_guarded(self):
        pids = self.guarded("alloc"), self.start("alloc")
        _, members = self.status(self.name, expect=78)
        self.assertEqual(["guarded", "not guarded"], [members[pid]["state"] for pid in pids])

    def test_no_openssl(self):
        """... is nothing that could be guarded."""
        sleep = shutil.copy(shutil.which("sleep"), self.dir / f"{self.name}z")
        process = subprocess.Popen([sleep, "1000"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        _, members = self.status(sleep.name, expect=78)
        self.assertEqual("no OpenSSL", members[process.pid]["state"])

    def test_nothing_of_that_name(self):
        done = self.freeonce("status", self.name, expect=66)
        self.assertIn(f"there is no process of the name {self.name}", done.stderr)
        self.freeonce("status", "x" * 1000, expect=66)
        self.assertNotIn("\033", self.freeonce("status", "a\033[31mb", expect=66).stderr)

    def test_not_itself(self):
        command = shutil.copy(tools.arguments.freeonce, self.program)
        self.run_program(command, "status", self.name, expect=66)

    def test_who_may_not_be_read(self):
        wrap = self.unprivileged()
        pid = self.guarded("alloc")
        done = self.run_program(*wrap, tools.arguments.freeonce, "status", self.name, expect=77)
        self.assertRegex(done.stdout, rf"(?m)^ +{pid}  unreadable")
        self.assertIn("1 process may not be read: 1 of user root; root can read them", done.stdout)


class Hostile(Case):
    """A process that publishes random data, beside one that does not: a row for each, and no crash."""

    TIMES = 15

    def test_status_and_top(self):
        good = self.guarded("alloc")
        program = shutil.copy(tools.arguments.inspected, self.program.parent / f"{self.name}h")
        bad = subprocess.Popen([program, f"hostile={self.TIMES}"], env=tools.clean_environment(LD_PRELOAD=tools.arguments.lib))
        self.addCleanup(bad.wait)
        self.addCleanup(bad.kill)
        for _ in range(self.TIMES):
            _, status = os.waitpid(bad.pid, os.WUNTRACED)
            self.assertTrue(os.WIFSTOPPED(status))
            for command in ("status",), ("status", "--json"), ("top", "--once"):
                done = self.freeonce(*command, program.name)
                self.assertIn(done.returncode, (0, 65, 78), done.stderr)
            done = self.freeonce("status", "all", expect=0)
            self.assertRegex(done.stdout, rf"(?m)^ +{good}  guarded ")
            self.assertRegex(done.stdout, rf"(?m)^ +{bad.pid}  (guarded|unknown|unprotected|not used yet) ")
            os.kill(bad.pid, signal.SIGCONT)


class All(Case):
    def test_all(self):
        guarded, bare = self.guarded("alloc"), self.start("alloc")
        _, members = self.status("all", expect=0)
        self.assertEqual(["guarded", "not guarded"], [members[pid]["state"] for pid in (guarded, bare)])
        self.assertNotIn(os.getpid(), [member["process"]["pid"] for member in members.values() if member["guarded"]])
        text = self.freeonce("status", "all", expect=0).stdout
        self.assertRegex(text, rf"(?m)^ +{guarded}  guarded ")
        self.assertRegex(text, r"(?m)^\d+ process(es)? without OpenSSL$")

    def test_as_another_user(self):
        """... it says whose processes it could not read."""
        wrap = self.unprivileged()
        self.guarded("alloc")
        done = self.run_program(*wrap, tools.arguments.freeonce, "status", "all")
        self.assertRegex(done.stdout, r"(?m)^\d+ process(es)? may not be read: .*\d+ of user root.*; root can read them$")


class Unit(Case):
    def group(self, *names):
        """A control group; its folder."""
        if os.geteuid() != 0 or booted.cgroup_root() is None:
            self.skipTest("needs root and a cgroup2")
        folder = booted.cgroup_root()
        for name in names:
            folder /= name
            try:
                folder.mkdir()
            except OSError as error:
                self.skipTest(f"no control group can be made: {error}")
            self.addCleanup(os.rmdir, folder)
        return folder

    def test_by_its_control_group(self):
        """The manager of a user has units that the system's does not know; and a group may have groups below it."""
        unit = f"{self.name}.service"
        folder = self.group(unit, "inner")
        before = lambda: (folder / "cgroup.procs").write_text(str(os.getpid()))
        pid, _ = self.guarded("alloc", before=before), self.guarded("alloc")
        said, members = self.status(unit, expect=0)
        self.assertEqual(("unit", unit, {pid}), (said["kind"], said["name"], set(members)))

    def test_no_such_unit(self):
        done = self.freeonce("status", f"{self.name}.service", expect=66)
        systemd = os.path.isdir("/run/systemd/system")
        self.assertIn("has no processes" if systemd else "systemd does not run here", done.stderr)


def add(parser):
    parser.add_argument("--inspected", required=True, help="a program with blocks that are known")


tools.main(add)
