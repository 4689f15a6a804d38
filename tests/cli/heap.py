"""freeonce heap and status: what is read from outside equals what the process counts itself; a process that lies, moves or
may not be read makes no trouble."""

import datetime
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import struct
import subprocess

import tools

BACKENDS = ("arena", "shm", "libc", "guard")


class Case(tools.Case):
    def start(self, *argv, stopped=True, lib=None, program=None, cwd=None, cores=False, **settings):
        """The program, stopped; its output is in self.printed."""
        env = {f"FREEONCE_{name}": str(value) for name, value in settings.items()}
        self.printed = self.dir / "printed"
        with open(self.printed, "w", encoding="ascii") as out:
            process = subprocess.Popen(
                [program or tools.arguments.inspected, *argv], stdin=subprocess.DEVNULL, stdout=out, cwd=cwd,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (-1, -1) if cores else (0, 0)),
                env=tools.clean_environment(LD_PRELOAD=lib or tools.arguments.lib, **env))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        if stopped:
            self.wait_for_stop(process.pid)
        return process

    def wait_for_stop(self, pid):
        _, status = os.waitpid(pid, os.WUNTRACED)
        self.assertTrue(os.WIFSTOPPED(status), f"the program ended: {status}")

    def heap(self, process, *more, expect=0, **options):
        done = self.freeonce("heap", "--json", *more, str(process.pid), expect=expect, **options)
        return json.loads(done.stdout)

    def lines(self, shown, file):
        return {row["line"]: (row["blocks"], row["bytes"]) for row in shown["rows"] if row["file"] == file}


class Equal(Case):
    """A stopped process: each number is correct."""

    def check(self, shown):
        self.assertTrue(shown["blocks"]["complete"], shown["blocks"])
        for doubt in ("held", "unclear", "unread"):
            self.assertEqual(0, shown["blocks"][doubt], shown["blocks"])
        self.assertEqual({n: (n, n * n * n * 40) for n in range(1, 31)}, self.lines(shown, "known.c"))
        self.assertEqual({}, self.lines(shown, "freed.c"))
        classes = re.search(r"^classes (\d+) (\d+)$", self.printed.read_text(), re.MULTILINE)
        self.assertEqual({1: (int(classes[1]), int(classes[2]))}, self.lines(shown, "classes.c"))
        # A file name in memory that can be written may have changed since.
        self.assertEqual([(1, 7)], [(row["blocks"], row["bytes"]) for row in shown["rows"] if row["file"] is None])
        for what in ("blocks", "bytes"):
            self.assertEqual(shown["blocks"]["live"][what], sum(row[what] for row in shown["rows"]))

    def test_the_librarys_own_count(self):
        for backend in ("arena", "shm", "guard"):
            with self.subTest(backend):
                process = self.start("known", BACKEND=backend, GUARD_MAX=24000)
                walk = re.search(r"^walk (\d+) (\d+) 0$", self.printed.read_text(), re.MULTILINE)
                shown = self.heap(process)
                self.check(shown)
                self.assertEqual({"blocks": int(walk[1]), "bytes": int(walk[2])}, shown["blocks"]["live"])

    def test_every_backend_the_same(self):
        """One program, with the same blocks on each; those of guard as arena's with its canaries, too."""
        seen = {}
        settings = [{"BACKEND": backend} for backend in BACKENDS]
        settings += [{"BACKEND": "arena", "CANARY": 1, "FILL": 1}, {"GUARD": "1/10"}]
        for setting in settings:
            process = self.start("known", **setting)
            shown = self.heap(process)
            self.check(shown)
            seen[str(setting)] = shown["blocks"]["live"]
        self.assertEqual(1, len({str(live) for live in seen.values()}), seen)

    def test_the_programs_own_functions(self):
        process = self.start("own", "known")
        own = re.search(r"^own (\d+)$", self.printed.read_text(), re.MULTILINE)
        shown = self.heap(process)
        self.check(shown)
        waiting = shown["blocks"]["waiting"]["blocks"]
        self.assertEqual(int(own[1]), shown["blocks"]["live"]["blocks"] + waiting)

    def test_a_plugins_own_count(self):
        """What a plug-in has given and not got back, at the same instant."""
        for quarantine in (0, "1M"):
            process = self.start("known", BACKEND=tools.arguments.plugin, QUARANTINE=quarantine, cwd=self.dir)
            blocks, size = struct.unpack("QQ", (self.dir / "counted").read_bytes()[:16])
            shown = self.heap(process, "--by", "size")
            self.check(self.heap(process))
            live, waiting = (shown["blocks"][key]["blocks"] for key in ("live", "waiting"))
            self.assertEqual(blocks, live + waiting)
            if quarantine == 0:
                self.assertEqual((size, 0), (sum(row["blocks"] * (16 + (row["size"] + 15) // 16 * 16) for row in shown["rows"]), waiting))
            (self.dir / "counted").unlink()

    def test_what_waits(self):
        """Freed blocks are in quarantine, and counted apart."""
        for backend in ("arena", "shm", "libc"):
            shown = self.heap(self.start("known", BACKEND=backend, QUARANTINE="64M"))
            self.assertGreater(shown["blocks"]["waiting"]["blocks"], 1000, backend)
            self.assertGreater(shown["blocks"]["waiting"]["bytes"], 500000, backend)

    def test_sizes(self):
        shown = self.heap(self.start("known"), "--by", "size")
        rows = {row["size"]: row["blocks"] for row in shown["rows"]}
        self.assertEqual(30, rows[30 * 30 * 40])
        self.assertEqual(29, rows[29 * 29 * 40])

    def test_processes(self):
        for backend in BACKENDS:
            process = self.start("child", stopped=False, BACKEND=backend)
            self.wait_until("the child is known", lambda: self.printed.read_text().endswith("\n"))
            child = int(re.fullmatch(r"child (\d+)\n", self.printed.read_text())[1])
            self.addCleanup(os.kill, child, signal.SIGKILL)
            state = pathlib.Path(f"/proc/{child}/stat")
            self.wait_until("the child stops", lambda: state.read_text().rpartition(")")[2].split()[0] == "T")
            done = self.freeonce("heap", "--json", "--by", "process", child, expect=0)
            rows = {row["pid"]: row for row in json.loads(done.stdout)["rows"]}
            self.assertEqual({child, process.pid}, set(rows), done.stdout)
            self.assertEqual((1, 200), (rows[child]["blocks"], rows[child]["bytes"]))
            self.assertEqual("inspected", rows[child]["name"])

    def test_many(self):
        process = self.start("many=1000000")
        self.assertEqual({1: (1000000, 64000000)}, self.lines(self.heap(process), "many.c"))

    def test_text(self):
        process = self.start("known")
        done = self.freeonce("heap", process.pid, expect=0)
        lines = done.stdout.splitlines()
        self.assertRegex(lines[0], rf"^process {process.pid} \(inspected\): [\d,]+ live blocks of OpenSSL, [\d,]+ bytes$")
        self.assertRegex(lines[2], r"^ +[\d,]+ +[\d,]+  classes\.c:1$")
        self.assertRegex(lines[-1], r"\d+ others \(--rows 0 shows all\)$")
        self.assertEqual(23, len(lines))
        self.assertEqual(7, len(self.freeonce("heap", "--rows=4", process.pid, expect=0).stdout.splitlines()))
        every = self.freeonce("heap", "--rows=0", process.pid, expect=0).stdout.splitlines()
        self.assertGreater(len(every), 50)
        self.assertNotIn("others", every[-1])

    def test_before_the_first_block(self):
        """A process that has the library and has not used OpenSSL."""
        environment = tools.clean_environment(LD_PRELOAD=tools.arguments.lib)
        process = subprocess.Popen(["cat"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(process.communicate)
        process.stdin.write(b"it has started\n")
        process.stdin.flush()
        process.stdout.readline()
        shown = self.heap(process)
        self.assertEqual({"blocks": 0, "bytes": 0}, shown["blocks"]["live"])
        self.assertEqual([], shown["rows"])


class Moving(Case):
    """A running process: what does not move is counted exactly, and what moves about."""

    def check(self, **settings):
        process = self.start("move", **settings)
        os.kill(process.pid, signal.SIGCONT)
        still = {n: (n, n * n * n * 40) for n in range(1, 21)}
        for _ in range(20):
            shown = self.heap(process)
            self.assertEqual(still, self.lines(shown, "known.c"))
            self.assertLess(sum(row["blocks"] for row in shown["rows"] if row["file"] == "move.c"), 6000)
            self.assertIsNone(process.poll())

    def test_arena(self):
        self.check(BACKEND="arena")

    def test_shm(self):
        self.check(BACKEND="shm")

    def test_libc(self):
        self.check(BACKEND="libc")


class Status(Case):
    """freeonce status: guarded or not and how, options, memory, findings, processes."""

    def status(self, process, expect=0):
        return json.loads(self.freeonce("status", "--json", process.pid, expect=expect).stdout)

    def test_each_backend(self):
        for backend, words in (("arena", "backend arena, memory private"), ("shm", "backend shm, memory shared"),
                               ("libc", "backend libc, memory private"), ("guard", "backend guard, memory private")):
            process = self.start("known", BACKEND=backend)
            shown = self.status(process)
            self.assertTrue(shown["guarded"])
            self.assertRegex(shown["how"], rf"^in front of OpenSSL [34]\.[\d.]+ \(linked\), .*{words}$")
            self.assertEqual((backend, "LD_PRELOAD"), (shown["options"]["BACKEND"], shown["loaded_by"]))
            self.assertEqual(self.heap(process)["blocks"], shown["blocks"])
            self.assertEqual([(process.pid, "inspected", None)],
                             [(row["pid"], row["name"], row["parent_pid"]) for row in shown["processes"]])
            if backend in ("arena", "shm"):
                heap = shown["heap"]
                self.assertEqual(backend == "shm", heap["shared"])
                self.assertLess(shown["blocks"]["live"]["bytes"], heap["in_pages_of_blocks"])
                self.assertLessEqual(heap["in_pages_of_blocks"], heap["used"])
                self.assertLessEqual(heap["used"], heap["committed"])
                self.assertLessEqual(heap["committed"], heap["most"])

    def test_text(self):
        """The text names the options that differ from the defaults, and no others."""
        process = self.start("known", CANARY=1, ON_ERROR="exit:3", SHM_CHANGES="allow", GUARD="1/500", CURES="locks")
        text = self.freeonce("status", process.pid, expect=0).stdout
        self.assertRegex(text, rf"^process {process.pid} \(inspected\): guarded\n")
        self.assertIn("  options        SHM_CHANGES=allow GUARD=1/500 ON_ERROR=exit:3 CANARY=1 CURES=locks\n", text)
        self.assertRegex(text, r"(?m)^  live           [\d,]+ blocks, [\d,]+ bytes$")
        self.assertRegex(text, rf"(?m)^  allocated by   pid {process.pid} \(inspected\): [\d,]+ blocks, [\d,]+ bytes$")
        self.assertIn("  findings       0, seen 0 times\n", text)
        text = self.freeonce("status", self.start("known").pid, expect=0).stdout
        self.assertIn("  options        as by default\n", text)

    def test_since(self):
        """The start time of the process is not before the start of this test, and not after its end."""
        before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=2)
        started = datetime.datetime.fromisoformat(self.status(self.start("known"))["started"][:19] + "+00:00")
        self.assertLess(before, started)
        self.assertLess(started, datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2))

    def test_findings(self):
        with open(os.devnull, "w", encoding="ascii") as none:
            process = subprocess.Popen([tools.arguments.planted, "bugs=3", "bugs=3", f"touch={self.dir}/done", "pause"],
                                       env=tools.clean_environment(LD_PRELOAD=tools.arguments.lib), stderr=none)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.wait_until("the frees are done", (self.dir / "done").exists)
        self.assertEqual({"distinct": 3, "seen": 6}, self.status(process)["findings"])

    def test_a_child(self):
        self.start("child", stopped=False)
        self.wait_until("the child is known", lambda: self.printed.read_text().endswith("\n"))
        child = int(re.fullmatch(r"child (\d+)\n", self.printed.read_text())[1])
        self.addCleanup(os.kill, child, signal.SIGKILL)
        state = pathlib.Path(f"/proc/{child}/stat")
        self.wait_until("the child stops", lambda: state.read_text().rpartition(")")[2].split()[0] == "T")
        text = self.freeonce("status", child, expect=0).stdout
        self.assertRegex(text, rf"pid {child} \(inspected\), forked from \d+ \(inspected\): 1 blocks, 200 bytes")

    def test_not_guarded(self):
        """A process without the library, and one that has not used OpenSSL yet."""
        for env, library in (({}, None), ({"LD_PRELOAD": tools.arguments.lib}, "0.1.0")):
            process = subprocess.Popen(["sh", "-c", "echo ready; read line"], env=tools.clean_environment(**env),
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for end in process.stdin.close, process.stdout.close, process.wait, process.kill:
                self.addCleanup(end)
            process.stdout.readline()  # its libraries are loaded
            shown = self.status(process, expect=78)
            self.assertEqual((False, library), (shown["guarded"], shown["library"]))
            self.assertIn("not guarded", self.freeonce("status", process.pid, expect=78).stdout)

    def test_another_version(self):
        self.assertIn("version 2", self.freeonce("status", self.start("version").pid, expect=65).stderr)


class Core(Case):
    """The core file of a process shows what the process did."""

    def core(self, process):
        """Of a process that was ended by a signal."""
        pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
        if pattern.startswith(("|", "/")):
            self.skip_or_fail(f"core files go elsewhere: {pattern}")
        os.kill(process.pid, signal.SIGSEGV)
        os.kill(process.pid, signal.SIGCONT)
        process.wait()
        (core,) = self.dir.glob("core*")
        return core

    def same(self, *more, **settings):
        with open("/proc/self/coredump_filter", "w", encoding="ascii") as file:
            file.write("0x33")
        process = self.start("known", cwd=self.dir, cores=True, **settings)
        before = self.heap(process, *more)
        core = self.core(process)
        done = self.freeonce("heap", "--json", *more, core, expect=0)
        after = json.loads(done.stdout)
        self.assertEqual(before["blocks"], after["blocks"])
        self.assertEqual(before, after)
        text = self.freeonce("heap", core, expect=0).stdout
        self.assertTrue(text.startswith(f"core of process {process.pid} (inspected): "), text)
        return core

    def test_backends(self):
        for backend in BACKENDS:
            with self.subTest(backend):
                self.same(BACKEND=backend).unlink()

    def test_by_process(self):
        self.same("--by", "process")

    def test_libraries_that_are_others_by_now(self):
        """A library that was replaced since gives no names: those of another file would be wrong."""
        program = self.dir / "inspected"
        shutil.copy(tools.arguments.inspected, program)
        process = self.start("known", program=program, cwd=self.dir, cores=True)
        core = self.core(process)
        self.assertIn("known.c", self.freeonce("heap", core, expect=0).stdout)
        program.write_bytes(program.read_bytes().replace(b"GNU\0", b"GNU\1"))
        done = self.freeonce("heap", "--rows=0", core, expect=0)
        self.assertNotIn("known.c", done.stdout)
        self.assertRegex(done.stdout, r"(?m)^ .*  \?$")
        self.assertIn("ssl/ssl_lib.c", done.stdout)

    def test_damaged(self):
        """A core file that is truncated, or has random contents, is read as far as it is intact, or refused."""
        core = self.same()
        data = core.read_bytes()
        rng = random.Random(7)
        for turn in range(60):
            damaged = bytearray(data[: rng.randrange(len(data))] if turn % 2 == 0 else data)
            for _ in range(rng.randrange(200)):
                damaged[rng.randrange(min(len(damaged), 1 << 14))] = rng.choice((0, 255, rng.randrange(256)))
            core.write_bytes(damaged)
            status = self.freeonce("heap", core).returncode
            self.assertIn(status, (0, 65), turn)
        files = data.index(struct.pack("<I8s", 0x46494C45, b"CORE")) + 12  # NT_FILE: how many there are
        for count in (1 << 20, 1 << 40, 1 << 60, (1 << 64) // 24 + 1, (1 << 64) - 1):
            core.write_bytes(data[:files] + struct.pack("<Q", count) + data[files + 8:])
            self.freeonce("heap", core, expect=65)

    def test_no_core(self):
        for path, status, words in ((self.dir / "none", 66, "No such file"), (tools.arguments.lib, 65, "is no core file"),
                                    (self.dir, 65, "is no core file"), ("/dev/null", 65, "is no core file")):
            self.assertIn(words, self.freeonce("heap", path, expect=status).stderr)


class Refused(Case):
    """What cannot be read is refused with the reason."""

    def test_no_library(self):
        process = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertIn("has no libfreeonce", self.freeonce("heap", process.pid, expect=65).stderr)

    def test_no_process(self):
        process = subprocess.Popen(["true"])
        process.wait()
        self.assertIn("there is no process", self.freeonce("heap", process.pid, expect=66).stderr)

    def test_command_line(self):
        for argv, words in (([], "which process"), (["0"], "no number"),
                            (["1", "2"], "one process"), (["--by", "lime", "1"], "did you mean line?"),
                            (["--rows=x", "1"], "needs a number"), (["99999999999"], "no number")):
            self.assertIn(words, self.freeonce("heap", *argv, expect=64).stderr)

    def test_another_version(self):
        process = self.start("version")
        done = self.freeonce("heap", process.pid, expect=65)
        self.assertIn("describes itself in version 3, and this command reads version 2", done.stderr)
        self.assertEqual("", done.stdout)

    def test_an_older_library(self):
        """An older library has no note."""
        data = pathlib.Path(tools.arguments.lib).read_bytes()
        note = struct.pack("<III12s", 9, 8, 1, b"freeonce")
        self.assertEqual(1, data.count(note))
        older = self.dir / "libfreeonce.so.0"
        older.write_bytes(data.replace(note, note.replace(b"freeonce", b"another\0")))
        process = self.start("known", lib=str(older))
        self.assertIn("is older than this command", self.freeonce("heap", process.pid, expect=65).stderr)

    def test_another_user(self):
        process = self.start("known")
        done = self.run_program(*self.unprivileged(), tools.arguments.freeonce, "heap", process.pid, expect=77)
        self.assertIn("it belongs to user root; only that user and root can read it", done.stderr)

    def test_a_process_that_changed_its_user(self):
        wrap = self.unprivileged()
        touched = self.dir / "touched"
        self.dir.chmod(0o777)
        process = subprocess.Popen([tools.arguments.planted, "alloc", "setuid=65534", f"touch={touched}", "pause"],
                                   env=tools.clean_environment(LD_PRELOAD=tools.arguments.lib))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.wait_until("the program is another user's", touched.exists)
        done = self.run_program(*wrap, tools.arguments.freeonce, "heap", process.pid, expect=77)
        self.assertRegex(done.stderr, "has changed its user since it started|ptrace_scope is")
        self.freeonce("heap", process.pid, expect=0)


class Hostile(Case):
    """A process that publishes random data: the command ends by itself, within limits of memory and time."""

    TIMES = int(os.environ.get("HOSTILE_TIMES", "50"))  # more: HOSTILE_TIMES=1000 ctest -R cli.heap

    def check(self, refused=10, **settings):
        """`refused`: so many times, and more, the command must say that the description is damaged."""
        process = self.start(f"hostile={self.TIMES}", **settings)
        statuses, bounds = {}, [0, 0]
        commands = [("heap", "--by", "object"), ("heap", "--json", "--by", "process"), ("status",)]
        if "SAMPLE" in settings:
            commands = [("heap", "--stacks", "--json"), ("heap", "--by", "object", "--stacks", "--rows=0")]
        for turn in range(self.TIMES):
            for command in commands:
                reader = subprocess.Popen([tools.arguments.freeonce, *command, str(process.pid)],
                                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (20, 20)))
                said = reader.stderr.read()
                reader.stderr.close()
                _, status, used = os.wait4(reader.pid, 0)
                reader.returncode = status
                self.assertTrue(os.WIFEXITED(status), f"turn {turn}: {status} {said}")
                code = os.WEXITSTATUS(status)
                self.assertIn(code, (0, 65, 78), f"turn {turn}: {said}")
                statuses[code] = statuses.get(code, 0) + 1
                bounds = [max(bounds[0], used.ru_utime + used.ru_stime), max(bounds[1], used.ru_maxrss)]
            os.kill(process.pid, signal.SIGCONT)
            if turn + 1 < self.TIMES:
                self.wait_for_stop(process.pid)
        print(f"{settings}: exit statuses {statuses}, at most {bounds[0]:.2f} s and {bounds[1]} kB")
        self.assertGreater(statuses.get(0, 0), 10)
        self.assertGreater(statuses.get(65, 0), refused)
        self.assertLess(bounds[1], 200 << 10)

    def test_arena(self):
        self.check(BACKEND="arena")

    def test_libc(self):
        self.check(BACKEND="libc")

    def test_stacks(self):
        self.check(BACKEND="arena", SAMPLE="1/2", refused=2)  # it reads few of the numbers


def add_arguments(parser):
    parser.add_argument("--inspected", required=True)
    parser.add_argument("--plugin", required=True)


tools.main(add_arguments)
