"""One run of tests/prefork: a server of some flavour, its clients, a look at workers that hang, and the
sums.  It ends all processes that it started."""

import collections
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "servers"))
import findings  # noqa: E402
import processes  # noqa: E402
import stuck  # noqa: E402
from page import Page  # noqa: E402

# The kinds of OpenSSL's memory: options of prefork, and of the library (None: without it).
FLAVOURS = {
    "stock": ([], None),
    "bare": (["--pool", "1024"], None),  # shared, without cures
    "private": ([], {}),
    "host": (["--pool", "1024"], {}),
    "shm": ([], {"FREEONCE_BACKEND": "shm"}),
}
HANG_SECONDS = 30  # on a busy machine a healthy worker may wait for a processor
LEFT = re.compile(r"^freeonce: a lock of OpenSSL \(0x[0-9a-f]+\) was left locked for writing by thread", re.M)
LISTENING = re.compile(r"^prefork: listening on 127\.0\.0\.1:(\d+)$", re.M)


class Broken(Exception):
    """The test cannot continue."""


def sums(text):
    """{'good': 3, ...} from the last line of prefork or prefork_load."""
    for line in reversed(text.splitlines()):
        words = line.split()
        if words[:2] in (["prefork:", "accepted"], ["prefork_load:", "good"]):
            return {name: float(value) for name, value in zip(words[1::2], words[2::2])}
    return {}


class Run:
    """The results of one run."""

    def __init__(self, flavour):
        self.flavour = flavour
        self.load = self.server = collections.defaultdict(float)
        self.status = None
        self.findings = []
        self.left = 0  # locks that dead processes held for writing, as the library reported
        self.hangs = []  # (text, the owner of the lock is dead)
        self.walked = {}
        self.head = {}
        self.said = ""

    def problems(self):
        """All that went wrong; an empty list for a good run."""
        bad = []
        for name in ("broken", "hung"):
            if self.load[name]:
                bad.append(f"{self.load[name]:.0f} of the clients {name}")
        if not self.load or self.load["good"] == 0:
            bad.append("no client was answered")
        for name in ("crashed", "hung_at_stop"):
            if self.head.get(name):
                bad.append(f"{self.head[name]} workers {name}")
        if self.status != 0:
            bad.append(f"the server's exit status is {self.status}")
        if self.findings:
            bad.append(f"{len(self.findings)} findings, e.g. {self.findings[0]}")
        if self.left:
            bad.append(f"{self.left} locks were left locked, although nobody was killed")
        bad += [f"hangs: {text}" for text, _ in self.hangs[:2]]
        return bad


class Field:
    def __init__(self, arguments):
        self.programs = arguments.programs
        self.lib = arguments.lib
        self.freeonce = arguments.freeonce
        self.keep = arguments.keep
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="freeonce-prefork-"))
        self.numbers = 0
        self.certificates = {}
        processes.adopt_orphans()

    def certs(self, kind):
        if kind not in self.certificates:
            folder = self.dir / kind
            subprocess.run([HERE.parent / "tools/make-certs.sh", folder, kind], check=True)
            self.certificates[kind] = folder
        return self.certificates[kind]

    def close(self):
        if self.keep:
            print(f"kept: {self.dir}")
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    def environment(self, flavour, folder, more=None):
        settings = FLAVOURS[flavour][1]
        env = {
            name: value
            for name, value in os.environ.items()
            if name != "LD_PRELOAD" and not name.startswith("FREEONCE_")
        }
        if settings is not None:
            if self.lib is None:
                raise Broken(f"--lib is needed for {flavour}")
            env.update(LD_PRELOAD=str(self.lib), FREEONCE_LOG=str(folder / "log"))
            env.update(FREEONCE_JOURNAL=str(folder / "journal"), FREEONCE_REQUIRE="1")
            env.update(settings)
            env.update(more or {})
        return env

    def spawn(self, name, folder, argv, env):
        return processes.Process(name, argv, env, folder, folder / f"{name}.out", False)

    def folder(self):
        self.numbers += 1
        folder = self.dir / str(self.numbers)
        folder.mkdir()
        return folder

    def open_server(self, run, folder, kind, tls, options, env):
        argv = [self.programs / "prefork", "--certs", self.certs(kind), "--page", folder / "page"]
        argv += ["--tls", tls, *FLAVOURS[run.flavour][0], *options]
        server = self.spawn("prefork", folder, argv, self.environment(run.flavour, folder, env))
        deadline = time.monotonic() + 120
        while not LISTENING.search(server.text()):
            if not server.running() or time.monotonic() > deadline:
                text = server.text() + findings.read(folder / "log")
                end(server)
                raise Broken(f"prefork ({run.flavour}) does not start: {text[:400]}")
            time.sleep(0.02)
        return server, int(LISTENING.search(server.text()).group(1))

    def open_load(self, folder, port, kind, tls, options):
        argv = [self.programs / "prefork_load", "--port", port, "--certs", self.certs(kind)]
        argv += ["--tls", tls, *options]
        return self.spawn("prefork_load", folder, argv, self.environment("stock", folder))

    def run(self, flavour, kind, tls, count, server=(), load=(), env=None, seconds=None,
            watch=None, limit=HANG_SECONDS):
        """One server and its clients.  `watch(page)` may end the traffic by answering True."""
        seconds = seconds or max(600, count // 50)
        run, folder = Run(flavour), self.folder()
        prefork, port = self.open_server(run, folder, kind, tls, server, env)
        page = Page(folder / "page")
        clients = None
        try:
            clients = self.open_load(folder, port, kind, tls, ["--count", count, *load])
            self.attend(run, page, prefork, clients, seconds, watch, limit)
            if clients.running():
                clients.send(signal.SIGTERM)
                clients.wait(60)
            run.load.update(sums(clients.text()))
            stop(run, page, prefork)
        finally:
            for process in (clients, prefork):
                end(process)
        run.server = collections.defaultdict(float, sums(prefork.text()))
        run.head, run.walked = page.head(), page.walked()
        run.head["hung_at_stop"] = run.head.pop("hung")
        run.said = prefork.text() + clients.text()
        run.findings = self.findings_of(folder)
        run.left = len(LEFT.findall(findings.read(folder / "log")))
        if not self.keep:
            shutil.rmtree(folder, ignore_errors=True)
        return run

    def attend(self, run, page, prefork, clients, seconds, watch, limit):
        """Wait until the traffic is over, or a worker hangs."""
        deadline = time.monotonic() + seconds
        while clients.running() and prefork.running():
            if watch is not None and watch(page):
                return
            late = [p for p in page.late(limit) if not stuck.waits_for_client(p["pid"])]
            if late:
                page.stop_kills()
                for place in late:
                    text, dead = stuck.look(place["pid"])
                    text = f"worker {place['number']} in {place['phase']}: {text}"
                    run.hangs.append((text, dead))
                return
            if time.monotonic() > deadline:
                run.hangs.append((f"the traffic was not over after {seconds} s", False))
                return
            time.sleep(0.05)

    def findings_of(self, folder):
        """Headlines of findings, or else other messages of the library, which count as findings."""
        text = findings.read(folder / "log")
        found = [finding.headline for finding in findings.parse(text)]
        more = [line for line in text.splitlines() if not LEFT.search(line)]
        if not found and more:
            found = more[:3]
        journal = folder / "journal"
        if self.freeonce is not None and journal.exists():
            report = subprocess.run(
                [self.freeonce, "report", "--no-symbols", journal],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            )
            if report.returncode != 0 and not found:
                found = [f"the journal, status {report.returncode}: {report.stdout[:300]}"]
        return found


def stop(run, page, prefork):
    """Stop the server by SIGTERM, and note the workers that hang."""
    if prefork.running():
        prefork.send(signal.SIGTERM)
    deadline = time.monotonic() + 120
    while prefork.running() and time.monotonic() < deadline:
        for place in page.late(HANG_SECONDS):
            if len(run.hangs) < 3 and not any(f"{place['pid']} " in t for t, _ in run.hangs):
                text, dead = stuck.look(place["pid"])
                text = f"pid {place['pid']} at the stop, in {place['phase']}: {text}"
                run.hangs.append((text, dead))
        time.sleep(0.05)
    run.status = prefork.wait(0)


def end(process):
    """End the process and all its descendants."""
    if process is None:
        return
    family = processes.descendants(process.pid)
    if process.running():
        process.kill()
    for pid in family | processes.descendants(os.getpid(), direct=True):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0] > 0:
            pass
