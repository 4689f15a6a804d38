"""How does a test of tests/servers start, watch, stop and check a real server?

Everything the tests share: a temporary folder with certificates, free ports, processes with or
without the library in front, waiting with a deadline, traffic by tests/tools/tlsload, and checks
that say what was expected and what was seen.  Standard library only; runs with Python 3.9.
"""

import argparse
import itertools
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import findings
import processes

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import reachable

EXIT_SKIPPED = 77  # SKIP_RETURN_CODE of ctest
TOOLS = pathlib.Path(__file__).resolve().parent.parent / "tools"
SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])

# What servers write when one of their processes died badly.
CRASH_WORDS = re.compile(
    r"exited by a signal|exited on signal|exit signal|Segmentation fault|core dumped"
    r"|double free or corruption|free\(\): invalid|malloc\(\): |corrupted"
    r"|Assertion|assertion failed"
)


class Failed(Exception):
    """A check did not hold: the test ends, with what was seen."""


class Skipped(Exception):
    """The machine lacks what the test needs."""


class OtherVersion(Skipped):
    """This system's server is not the one that the test is about; no failure in CI, either."""


def need(program):
    """The path of a program that a package provides; no program, no test."""
    path = shutil.which(program, path=SYSTEM_PATH)
    if path is None:
        raise Skipped(f"no {program} on this machine")
    return path


def tail(path, lines=30):
    """The end of a log, for people."""
    try:
        text = pathlib.Path(path).read_text(errors="replace")
    except OSError as error:
        return f"({error.strerror})"
    return "\n".join("    " + line[:300] for line in text.splitlines()[-lines:]) or "    (empty)"


class Stage:
    """One test's surroundings; everything started or made on it is gone afterwards."""

    def __init__(self, arguments):
        self.backend = getattr(arguments, "backend", None)
        self.keep = arguments.keep
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="freeonce-test-"))
        self.dir.chmod(0o755)  # servers that drop their privileges must be able to enter
        copy = argparse.Namespace(**vars(arguments))
        reachable.copy_under_test(copy, self.folder("under-test"))
        self.lib, self.tlsload, self.plant, self.freeonce = copy.lib, copy.tlsload, copy.plant, copy.freeonce
        self.certs = self.dir / "certs"
        self.log = self.dir / "freeonce.log"
        self.started = []
        self.daemon_logs = []  # of servers that left the process which started them
        self.numbers = itertools.count()  # of output files
        self.port_locks = []
        processes.adopt_orphans()
        subprocess.run([TOOLS / "make-certs.sh", self.certs], check=True)

    # --- surroundings ---

    def port(self):
        """A free port, ours until the test ends.

        Below the range that the kernel gives to clients (else any connection on the machine may
        take it before the server does), and reserved against tests that run at the same time.
        """
        low = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        for _ in range(1000):
            port = random.randrange(10000, max(low, 10100))
            lock = socket.socket(socket.AF_UNIX)
            try:
                lock.bind(f"\0freeonce-test-port-{port}")
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    with socket.socket(socket.AF_INET, kind) as probe:
                        probe.bind(("127.0.0.1", port))
            except OSError:
                lock.close()
                continue
            self.port_locks.append(lock)
            return port
        raise Failed("found no free port")

    def file(self, name, text):
        """A file in the test's folder."""
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def folder(self, name):
        path = self.dir / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    # --- processes ---

    def environment(self, preload, verbose=False, **settings):
        """Our own environment without what would disturb, plus the library and its settings."""
        env = {
            name: value
            for name, value in os.environ.items()
            if name != "LD_PRELOAD" and not name.startswith("FREEONCE_")
        }
        env.update(PATH=SYSTEM_PATH, LC_ALL="C.UTF-8", TZ="UTC")
        if preload and self.lib:
            env.update(LD_PRELOAD=str(self.lib), FREEONCE_LOG=str(self.log))
            if verbose:
                env["FREEONCE_VERBOSE"] = "1"
            if self.backend:
                env["FREEONCE_BACKEND"] = self.backend
            env.update(settings)
        return env

    def spawn(self, kind, name, argv, env, cores=False):
        output = self.dir / f"{name}-{next(self.numbers)}.out"
        process = kind(name, argv, env, self.dir, output, cores)
        self.started.append(process)
        return process

    def start(self, name, argv, port=None, preload=True, cores=False, log=None, **settings):
        """Starts a server in the foreground and waits until it accepts connections."""
        env = self.environment(preload, **settings)
        server = self.spawn(processes.Process, name, argv, env, cores)
        if log is not None:
            server.logs.append(pathlib.Path(log))
        if port is not None:
            self.wait_until(
                f"{name} accepts connections on port {port}",
                lambda: not server.running() or accepts(port),
            )
            status = named_status(server.wait(0))
            self.check(f"{name} started", "running", f"exit status {status}", status is None)
        return server

    def run(self, name, argv, seconds=120, preload=True, **settings):
        """Runs a command to its end: (exit status, output)."""
        process = self.spawn(processes.Process, name, argv, self.environment(preload, **settings))
        status = process.wait(seconds)
        if status is None:
            process.kill()
            raise Failed(f"{name} did not end within {seconds} seconds: {' '.join(map(str, argv))}")
        return status, process.text()

    def load(self, port, count, speak, mix="good", *more):
        """Starts traffic; see tlsload --help for what more there is."""
        argv = [self.tlsload, "--connect", f"127.0.0.1:{port}", "--certs", self.certs]
        argv += ["--count", count, "--speak", speak, "--mix", mix, *more]
        return self.spawn(processes.Load, "tlsload", argv, self.environment(preload=False))

    def result_of(self, load, seconds=900):
        """Waits for the result of traffic; held connections are still open afterwards."""
        self.wait_until(
            "the traffic is over", lambda: load.result() or not load.running(), seconds
        )
        result = load.result()
        self.check("tlsload ended", "with a result", "without", result is not None)
        return result

    def reload_under_traffic(self, load, reload, times=3):
        """Reloads several times, at least once from beginning to end while clients come: the
        number of those.  Reload is a function that returns when the reload is done."""
        during = 0
        for _ in range(times):
            reload()
            during += load.running() and load.result() is None
        self.check("reloads while clients came", "at least 1", during, during > 0)
        return during

    def stop(self, server, number=signal.SIGTERM, seconds=120):
        """Asks a server to stop, waits for it and for all its processes: its exit status."""
        if server.running():
            server.send(number)
        status = server.wait(seconds)
        stopped = status is not None
        self.check(f"{server.name} stops", f"within {seconds} s", "still running", stopped)
        self.wait_until(f"no process of {server.name} is left", lambda: not self.leftovers())
        return named_status(status)

    def leftovers(self):
        """Processes that the test started indirectly, and whose parent has ended."""
        known = {process.pid for process in self.started if process.running()}
        ours = processes.descendants(os.getpid(), direct=True)
        return ours - known

    def kill_all(self):
        """Ends all processes that still run; only descendants of the test, by their pid."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            left = processes.descendants(os.getpid())
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if not left:
                return
            time.sleep(0.05)

    def close(self, failed):
        if failed:
            for process in self.started[-6:]:
                for path in process.logs:
                    print(f"--- the end of {path.name}, {process.name}:\n{tail(path)}")
            for path in self.daemon_logs:
                print(f"--- the end of {path}:\n{tail(path)}")
            if self.lib:
                print(f"--- the end of freeonce's log:\n{tail(self.log)}")
        self.kill_all()
        for lock in self.port_locks:
            lock.close()
        if self.keep:
            print(f"kept: {self.dir}")
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    # --- checks ---

    def wait_until(self, what, condition, seconds=120):
        """Waits for a condition; the deadline is generous because it only matters on failure."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise Failed(f"{what}\n  expected: within {seconds} seconds\n  seen:     not yet")
            time.sleep(0.05)

    def check(self, what, expected, seen, holds=None):
        """Expected and seen are equal; or holds says whether it is well, and they are text."""
        if not (seen == expected if holds is None else holds):
            raise Failed(f"{what}\n  expected: {expected}\n  seen:     {seen}")

    def check_served(self, what, result):
        """Every good client was tried and served, and no bad one was taken for good."""
        self.check(f"{what}: good clients tried before the time was up", result.good, result.tried)
        self.check(f"{what}: good clients served", result.good, result.served)
        self.check(f"{what}: bad clients answered like good ones", 0, result.admitted)

    def check_refused(self, port, speak, count=8):
        """A client without a certificate gets no answer."""
        load = self.load(port, count, speak, "good", "--no-client-cert")
        self.check("clients without certificate served", 0, self.result_of(load).served)

    def check_no_crash(self, server):
        match = CRASH_WORDS.search(server.text())
        line = None
        if match:
            line = next(row for row in server.text().splitlines() if match.group() in row)
        self.check(f"{server.name} logs no crash", None, line)

    def check_in_first(self, also=""):
        """After a run with verbose=True: the library says that it came before OpenSSL's first
        allocation; the line contains the other word as well."""
        if self.lib:
            text = findings.read(self.log)
            words = ["before its first allocation", also]
            found = any(all(word in line for word in words) for line in text.splitlines())
            self.check("freeonce's line at load", f"one with {words}", text, found)
        self.log.unlink(missing_ok=True)

    def wait_for_new_workers(self, server, before):
        """Waits until none of these workers is left and there are others."""
        self.wait_until(
            f"{server.name} has new workers only",
            lambda: server.children() and not server.children() & before,
        )

    def check_silent(self):
        """The server is healthy: the library has written nothing, and so no finding."""
        if self.lib:
            self.check("freeonce's log", "", findings.read(self.log))


def named_status(status):
    """-11 is 'SIGSEGV', 0 is 0."""
    return signal.Signals(-status).name if status is not None and status < 0 else status


def accepts(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def step(text):
    print(f"ok: {text}", flush=True)


def main(test, description, add_options=lambda parser: None):
    """Runs test(stage, arguments) and turns the outcome into an exit status."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lib", type=pathlib.Path, help="libfreeonce.so; without: the bare server")
    parser.add_argument("--tlsload", type=pathlib.Path, required=True, help="the traffic client")
    parser.add_argument("--plant", type=pathlib.Path, help="plant.so, see tests/tools/plant.c")
    parser.add_argument("--freeonce", type=pathlib.Path, help="the command, to read journals")
    parser.add_argument("--backend", help="FREEONCE_BACKEND; default: the library's own choice")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    add_options(parser)
    arguments = parser.parse_args()
    for path in (arguments.lib, arguments.tlsload, arguments.plant, arguments.freeonce):
        if path is not None and not path.exists():
            parser.error(f"no such file: {path}")
    arguments.lib = arguments.lib and arguments.lib.resolve()
    arguments.tlsload = arguments.tlsload.resolve()
    arguments.plant = arguments.plant and arguments.plant.resolve()
    arguments.freeonce = arguments.freeonce and arguments.freeonce.resolve()
    if arguments.lib is None:
        print("no --lib: the bare server and its traffic, nothing of freeonce")
    # ctest and people end a test with SIGTERM; the servers must go then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped by SIGTERM"))
    sys.exit(run_on_stage(test, arguments))


def run_on_stage(test, arguments):
    stage, failed = None, True
    try:
        need("openssl")
        stage = Stage(arguments)
        test(stage, arguments)
        failed = False
        print("passed")
        return 0
    except Skipped as reason:
        failed = False
        print(f"SKIP: {reason}")
        may_skip = os.environ.get("CI") != "true" or isinstance(reason, OtherVersion)
        return EXIT_SKIPPED if may_skip else 1
    except Failed as reason:
        print(f"FAILED: {reason}")
        return 1
    finally:
        if stage is not None:
            stage.close(failed)
