"""freeonce metrics: the numbers are those of heap and status, the text is Prometheus's, the file is whole or not there."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess

import tools

HELP = re.compile(r"# HELP (\S+) (.+)")
TYPE = re.compile(r"# TYPE (\S+) (gauge|counter)")
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+)\} (\d+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"')
ESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def parse(text):
    """{name: {labels: value}}; each line has to be one of the format, and each metric's samples follow its help and type."""
    metrics, current, types = {}, None, {}
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# Made by freeonce metrics "):
            continue
        if head := HELP.fullmatch(line):
            current = head[1]
            assert current not in metrics, line
            metrics[current] = {}
        elif head := TYPE.fullmatch(line):
            assert head[1] == current and current not in types, line
            types[current] = head[2]
            assert (head[2] == "counter") == current.endswith("_total"), line
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample and sample[1] == current and current in types, line
            labels = tuple(
                (name, re.sub(r"\\.", lambda found: ESCAPED[found[0]], value)) for name, value in LABEL.findall(sample[2])
            )
            assert labels not in metrics[current], line
            metrics[current][labels] = int(sample[3])
    return metrics


class Case(tools.Case):
    def start(self, program, *argv, **settings):
        env = {f"FREEONCE_{name}": str(value) for name, value in settings.items()}
        process = subprocess.Popen(
            [program, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=tools.clean_environment(LD_PRELOAD=tools.arguments.lib, **env))
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def inspected(self, *argv, **settings):
        process = self.start(tools.arguments.inspected, *argv, **settings)
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        self.assertTrue(os.WIFSTOPPED(status), f"the program ended: {status}")
        return process

    def planted_pause(self, *actions, **settings):
        here = self.dir / "here"
        process = self.start(tools.arguments.planted, *actions, f"touch={here}", "pause", **settings)
        self.wait_until("the program has begun to wait", here.exists)
        return process

    def metrics(self, *argv, expect=0):
        text = self.freeonce("metrics", *argv, expect=expect).stdout
        metrics = parse(text)
        return {name: {tuple(v for n, v in labels if n != "unit"): value for labels, value in rows.items()}
                for name, rows in metrics.items()}


class Numbers(Case):
    def check(self, process):
        shown = json.loads(self.freeonce("heap", "--json", process.pid, expect=0).stdout)
        files = {}
        for row in shown["rows"]:
            for what in ("blocks", "bytes"):
                files[row["file"] or "?", what] = files.get((row["file"] or "?", what), 0) + row[what]
        metrics = self.metrics(process.pid)
        for what in ("blocks", "bytes"):
            live = metrics[f"freeonce_live_{what}"]
            self.assertEqual(shown["blocks"]["live"][what], sum(live.values()))
            self.assertLessEqual(len(live), 21)
            for (file,), value in live.items():
                if file != "other":
                    self.assertEqual(files[file, what], value, file)
            self.assertEqual([shown["blocks"]["waiting"][what]], list(metrics[f"freeonce_quarantine_{what}"].values()))
        self.assertEqual(465, metrics["freeonce_live_blocks"]["known.c",])
        self.assertEqual({("guarded",): 1, ("unused",): 0, ("unprotected",): 0}, metrics["freeonce_processes"])
        self.assertEqual([0], list(metrics["freeonce_incomplete_processes"].values()))
        return metrics

    def test_arena(self):
        process = self.inspected("known")
        metrics = self.check(process)
        self.assertIn(("other",), metrics["freeonce_live_bytes"])  # there are more files than are shown
        heap = json.loads(self.freeonce("status", "--json", process.pid, expect=0).stdout)["heap"]
        self.assertEqual({("arena",): heap["committed"]}, metrics["freeonce_heap_committed_bytes"])
        self.assertEqual({("arena",): heap["in_pages_of_blocks"]}, metrics["freeonce_heap_used_bytes"])
        self.assertEqual({}, metrics["freeonce_shm_size_bytes"])

    def test_objects(self):
        process = self.inspected("known")
        shown = json.loads(self.freeonce("heap", "--by", "object", "--json", process.pid, expect=0).stdout)
        known = {row["object"]: (row["blocks"], row["bytes"]) for row in shown["rows"] if row["object"]}
        metrics = self.metrics(process.pid)
        blocks, sizes = metrics["freeonce_live_objects"], metrics["freeonce_live_object_bytes"]
        self.assertLessEqual(len(blocks), 21)
        if known:  # the command knows the lines of this OpenSSL
            self.assertGreaterEqual(blocks["SSL_CTX",], 1)
        named = {name: (value, sizes[name,]) for (name,), value in blocks.items() if name != "other"}
        self.assertEqual({name: known[name] for name in named}, named)
        self.assertEqual(sum(count for count, _ in known.values()), sum(blocks.values()))

    def test_other_backends(self):
        for backend in ("libc", "shm"):
            self.check(self.inspected("known", BACKEND=backend))

    def test_shared_memory_is_counted_once(self):
        process = self.start(tools.arguments.inspected, "child", BACKEND="shm")
        child = int(process.stdout.readline().split()[1])
        self.addCleanup(os.kill, child, signal.SIGKILL)
        self.wait_until("the child stops", lambda: ") T " in open(f"/proc/{child}/stat", encoding="ascii").read())
        metrics = self.metrics(process.pid, child)
        self.assertEqual({("parent.c",): 1, ("child.c",): 1}, metrics["freeonce_live_blocks"])
        self.assertEqual({("parent.c",): 100, ("child.c",): 200}, metrics["freeonce_live_bytes"])
        self.assertEqual(2, metrics["freeonce_processes"]["guarded",])
        heap = json.loads(self.freeonce("status", "--json", child, expect=0).stdout)["heap"]
        self.assertEqual([heap["used"]], list(metrics["freeonce_shm_filled_bytes"].values()))
        self.assertEqual([heap["most"]], list(metrics["freeonce_shm_size_bytes"].values()))

    def test_findings_by_kind(self):
        process = self.planted_pause("bugs=3", "bug", "bug", "object", JOURNAL=self.journal)
        report = self.report("--format", "json", self.journal)
        kinds = {}
        for line in map(json.loads, report.stdout.splitlines()):
            if line["type"] == "finding":
                kinds[line["kind"],] = kinds.get((line["kind"],), 0) + line["count"]
        self.assertEqual(6, sum(kinds.values()))
        metrics = self.metrics(process.pid, "--journal", self.journal)
        found = metrics["freeonce_findings_total"]
        self.assertEqual(kinds, {labels: value for labels, value in found.items() if value})
        self.assertGreater(len(found), 30)  # those of 0, too
        journal = {labels[1:]: value for labels, value in metrics["freeonce_journal_findings_total"].items()}
        self.assertEqual(found, journal)

    def test_all(self):
        """Others may be guarded on this machine, too."""
        process = self.inspected("known")
        metrics = parse(self.freeonce("metrics", expect=0).stdout)
        self.assertGreaterEqual(sum(metrics["freeonce_processes"].values()), 1)
        files = {dict(labels)["file"] for labels in metrics["freeonce_live_bytes"]}
        self.assertIn("known.c", files)
        self.assertEqual(metrics.keys(), parse(self.freeonce("metrics", "all", expect=0).stdout).keys())
        self.assertEqual(metrics["freeonce_live_bytes"].keys() - metrics["freeonce_live_blocks"].keys(), set())
        del process

    def test_the_unit_of_a_process(self):
        text = open("/proc/self/cgroup", encoding="utf-8").read()
        process = self.inspected("known")
        units = {dict(labels)["unit"] for labels in parse(self.freeonce("metrics", process.pid, expect=0).stdout)[
            "freeonce_processes"]}
        self.assertEqual(1, len(units))
        if text.strip() == "0::/":
            self.assertEqual({"none"}, units)

    def test_labels_are_escaped(self):
        path = self.dir / 'a "quoted"\\back\nline'
        self.planted("alloc", journal=path)
        metrics = parse(self.freeonce("metrics", self.inspected("known").pid, "--journal", path, expect=0).stdout)
        self.assertEqual({str(path)}, {dict(labels)["journal"] for labels in metrics["freeonce_journal_findings_total"]})

    def test_promtool(self):
        promtool = shutil.which("promtool")
        if promtool is None:
            self.skipTest("needs promtool (Debian: prometheus); the text was read by a parser all the same")
        text = self.freeonce("metrics", self.inspected("known", BACKEND="shm").pid, expect=0).stdout
        done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        self.assertEqual((0, "", ""), (done.returncode, done.stdout, done.stderr))


class Errors(Case):
    def test_what_cannot_be_read(self):
        for argv, status, words in (
            (("999999999",), 66, "no process 999999999"),
            ((str(os.getpid()),), 65, "has no libfreeonce"),
            (("nginx",), 64, '"nginx" is no number of a process'),
            (("all", "1"), 64, "processes, or all of them"),
            (("1", "all"), 64, "processes, or all of them"),
            (("--journal", "/nowhere"), 66, "/nowhere"),
        ):
            done = self.freeonce("metrics", *argv, expect=status)
            self.assertIn(words, done.stderr)

    def test_processes_of_others_are_counted(self):
        self.inspected("known")
        prefix = self.unprivileged()
        done = self.run_program(*prefix, tools.arguments.freeonce, "metrics", expect=0)
        self.assertEqual("", done.stderr)
        unread = parse(done.stdout)["freeonce_unreadable_processes"]
        self.assertGreaterEqual(unread[("reason", "permission"),], 1)


class Textfile(Case):
    def setUp(self):
        super().setUp()
        self.file = self.dir / "freeonce.prom"
        self.temporary = self.dir / "freeonce.prom.tmp"
        self.pid = self.inspected("known").pid

    def write(self, expect=0):
        return self.freeonce("metrics", self.pid, "--textfile", self.dir, expect=expect)

    def test_written(self):
        self.temporary.write_text("what a killed one has left, and " + "longer " * 100000)
        done = self.write()
        self.assertEqual(("", ""), (done.stdout, done.stderr))
        self.assertEqual(["freeonce.prom"], os.listdir(self.dir))
        self.assertEqual(0o644, self.file.stat().st_mode & 0o7777)
        self.assertEqual(self.freeonce("metrics", self.pid).stdout, self.file.read_text())
        before = self.file.stat().st_ino
        self.write()
        self.assertNotEqual(before, self.file.stat().st_ino)  # renamed, not written over

    def test_no_link_is_followed(self):
        victim = self.dir / "victim"
        victim.write_text("precious")
        for link in (os.symlink, os.link):
            link(victim, self.temporary)
            done = self.write(expect=73)
            self.assertIn("freeonce.prom.tmp", done.stderr)
            self.assertEqual("precious", victim.read_text())
            self.assertFalse(self.file.exists())
            self.temporary.unlink()

    def test_another_one_writes(self):
        with open(self.temporary, "w", encoding="ascii") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            self.assertIn("another freeonce metrics is writing", self.write(expect=73).stderr)
        self.write()

    def test_not_whole(self):
        """A limit of the size of files stands for a full disk: the file of before stays."""
        self.write()
        before = self.file.read_text()
        done = self.freeonce("metrics", self.pid, "--textfile", self.dir, expect=73, preexec_fn=limit_files)
        self.assertIn("File too large", done.stderr)
        self.assertEqual(before, self.file.read_text())
        self.assertEqual(["freeonce.prom"], os.listdir(self.dir))

    def test_no_folder(self):
        self.file = self.dir / "none"
        done = self.freeonce("metrics", self.pid, "--textfile", self.file, expect=73)
        self.assertIn("No such file or directory", done.stderr)


class Units(tools.Case):
    """freeonce systemd --metrics, below a root folder."""

    def setUp(self):
        super().setUp()
        self.folder = self.dir / "var/lib/prometheus/node-exporter"
        self.units = self.dir / "etc/systemd/system"

    def systemd(self, *argv, expect=0):
        return self.freeonce("systemd", "--metrics", "--root", self.dir, *argv, expect=expect)

    def files(self):
        return sorted(str(path.relative_to(self.units)) for path in self.units.rglob("*") if not path.is_dir())

    def test_installed_and_removed(self):
        self.folder.mkdir(parents=True)
        for words in ("Wrote", "Already there:"):
            done = self.systemd("--install")
            self.assertEqual(2, done.stdout.count(words), done.stdout)
            self.assertEqual(["freeonce-metrics.service", "freeonce-metrics.timer",
                              "timers.target.wants/freeonce-metrics.timer"], self.files())
        printed = self.systemd().stdout
        for name in "service", "timer":
            self.assertIn((self.units / f"freeonce-metrics.{name}").read_text(), printed)
        metrics, other = self.folder / "freeonce.prom", self.folder / "other.prom"
        metrics.write_text("# Made by freeonce metrics 0.1.0.\n")
        other.write_text("other\n")
        self.assertEqual(4, self.systemd("--remove").stdout.count("Removed"))
        self.assertEqual([], self.files())
        self.assertEqual(["other.prom"], os.listdir(self.folder))
        self.assertIn("nothing to remove", self.systemd("--remove").stdout)

    def test_what_others_made_is_left_alone(self):
        self.folder.mkdir(parents=True)
        self.systemd("--install")
        (self.folder / "freeonce.prom").write_text("of somebody else\n")
        timer = self.units / "freeonce-metrics.timer"
        timer.write_text("[Timer]\n")
        for action in "--install", "--remove":
            self.assertIn("was not made by freeonce", self.systemd(action, expect=73).stderr)
        self.assertEqual("[Timer]\n", timer.read_text())
        timer.unlink()
        self.systemd("--remove")
        self.assertEqual(["freeonce.prom"], os.listdir(self.folder))

    def test_a_folder_is_needed(self):
        done = self.systemd("--install", expect=66)
        self.assertIn("node_exporter has no folder here", done.stderr)
        self.assertIn("--textfile DIR", done.stderr)
        self.assertFalse(self.units.exists())
        self.assertIn("is no folder", self.systemd("--textfile", "/metrics", expect=66).stderr)
        for name in "a b", "%n", "$x", "a\nExecStart=x":
            (self.dir / name).mkdir()
            self.assertIn("an absolute path is needed", self.systemd("--textfile", f"/{name}", expect=66).stderr)
        (self.dir / "metrics").mkdir()
        self.assertIn(" metrics --textfile /metrics\n", self.systemd("--textfile", "/metrics").stdout)

    def test_wrong_usage(self):
        for argv, words in (
            (("nginx",), "name no unit"),
            (("--install", "--remove"), "not both"),
        ):
            self.assertIn(words, self.systemd(*argv, expect=64).stderr)
        self.assertIn("belongs to --metrics", self.freeonce("systemd", "--textfile", "/", "nginx", expect=64).stderr)

    def test_systemd_understands_them(self):
        if shutil.which("systemd-analyze") is None:
            self.skip_or_fail("needs systemd-analyze")
        self.folder.mkdir(parents=True)
        self.systemd("--install")
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *map(str, self.units.glob("freeonce-metrics.*"))],
            capture_output=True, text=True, check=False)
        own = [line for line in done.stderr.splitlines() if "freeonce" in line]  # it also speaks of this machine's units
        self.assertEqual((0, []), (done.returncode, own))


def limit_files():
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


if __name__ == "__main__":
    tools.main(lambda parser: parser.add_argument("--inspected", required=True))
