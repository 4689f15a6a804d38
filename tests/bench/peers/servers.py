"""What does a real server cost?  nginx with one worker and real clients.

The competitor is in front of nginx only.  Handshakes per CPU second count the worker's CPU time
alone: how long the clients take does not matter.  Two servers run at the same time, stock and a
competitor, and their workers take turns on one processor: so what else the machine does in these
seconds is the same for both.  Memory is the worker's resident memory.
"""

import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import time
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "servers"))

# pylint: disable=wrong-import-position
import harness
import processes
import runner
from results import Group

CONNECTIONS = 2000
TURN = 0.05  # seconds: long enough that a cold cache is little of it
KEYS = ("ec", "rsa")

GROUPS = (
    Group(
        "nginx_ec",
        "nginx, full handshakes per CPU second of the worker, P-256",
        "per second",
        "more",
        note="TLS 1.3, no client certificate, one GET each; tests/tools/tlsload.",
    ),
    Group(
        "nginx_rsa",
        "nginx, full handshakes per CPU second of the worker, RSA-2048",
        "per second",
        "more",
    ),
    Group("nginx_idle", "nginx worker, resident memory with 2,000 idle TLS connections", "KiB"),
    Group("nginx_closed", "nginx worker, resident memory after those 2,000 were closed", "KiB"),
)

CONFIGURATION = """
daemon off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid {dir}/nginx.pid;
error_log {dir}/error.log crit;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_timeout 600s;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    ssl_protocols TLSv1.3;
{servers}
}}
"""
SERVER = """
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_certificate {certs}/server.pem;
        ssl_certificate_key {certs}/server.key;
        location / {{ return 200 "hello\\n"; }}
    }}
"""


class Stage(harness.Stage):
    """The tests' stage, on which the environment of a server is the competitor's."""

    def __init__(self, tlsload):
        unused = dict.fromkeys(("lib", "plant", "freeonce", "keep"))
        super().__init__(types.SimpleNamespace(tlsload=tlsload, **unused))
        self.certificates = {key: self.dir / f"certs-{key}" for key in KEYS}
        for key, folder in self.certificates.items():
            subprocess.run([harness.TOOLS / "make-certs.sh", folder, key], check=True)

    def environment(self, preload, verbose=False, **settings):
        return settings or super().environment(preload, verbose)


def is_socket(descriptor):
    try:
        return "socket:" in os.readlink(descriptor)
    except FileNotFoundError:
        return False  # closed since it was listed


class Nginx:
    """A running nginx with one worker and a port for each kind of key."""

    def __init__(self, stage, bench, row):
        self.stage, self.row = stage, row
        self.ports = {key: stage.port() for key in KEYS}
        folder = stage.folder(f"nginx-{self.ports['ec']}")
        servers = "".join(
            SERVER.format(port=port, certs=stage.certificates[key])
            for key, port in self.ports.items()
        )
        config = stage.file(
            f"{folder.name}/nginx.conf", CONFIGURATION.format(dir=folder, servers=servers)
        )
        argv = [harness.need("nginx"), "-p", folder, "-e", "stderr", "-c", config]
        self.server = stage.start("nginx", argv, self.ports["rsa"], **bench.environment(row))
        stage.wait_until("nginx has its worker", lambda: len(self.server.children()) == 1)
        (self.worker,) = self.server.children()
        self._require_in_front(bench)

    def _require_in_front(self, bench):
        maps = self._proc("maps")
        for library in filter(None, bench.preloads[self.row.name].split(":")):
            if pathlib.Path(library).resolve().name not in maps:
                raise runner.Failed(f"{pathlib.Path(library).name} is not in nginx's worker")

    def _proc(self, name):
        return pathlib.Path("/proc", str(self.worker), name).read_text()

    def load(self, key, count, *more):
        stage = self.stage
        argv = [
            stage.tlsload,
            "--connect",
            f"127.0.0.1:{self.ports[key]}",
            "--certs",
            stage.certificates[key],
            "--count",
            count,
            "--speak",
            "http",
            "--tls",
            "1.3",
            "--no-client-cert",
            *more,
        ]
        return stage.spawn(processes.Load, "tlsload", argv, stage.environment(preload=False))

    def served(self, load):
        result = self.stage.result_of(load)
        if result.served != result.good:
            raise runner.Failed(f"nginx served {result.served} of {result.good} clients")

    def cpu_seconds(self):
        return int(self._proc("schedstat").split()[0]) / 1e9

    def resident_kib(self):
        return int(re.search(r"^Rss:\s+(\d+) kB", self._proc("smaps_rollup"), re.M).group(1))

    def connections(self):
        """Sockets of the worker's, the listening ones and that to its master included."""
        return sum(is_socket(path) for path in pathlib.Path(f"/proc/{self.worker}/fd").iterdir())

    def settled(self, measure):
        """The value once it was equal three times: the last client has ended."""
        seen, since = measure(), 0
        deadline = time.monotonic() + 10
        while since < 3 and time.monotonic() < deadline:
            time.sleep(0.03)
            now = measure()
            since = since + 1 if now == seen else 0
            seen = now
        return seen

    def stop(self):
        self.stage.stop(self.server)
        if "freeonce:" in self.server.text():
            raise runner.Failed(
                "the library had something to say, see nginx's output:\n"
                + harness.tail(self.server.logs[0])
            )


def apart(workers, loads):
    """Workers on one processor, clients on the others: workers wait for each other alone."""
    processors = sorted(os.sched_getaffinity(0))
    for pid in workers:
        os.sched_setaffinity(pid, processors[-1:])
    for load in loads:
        os.sched_setaffinity(load.pid, processors[:-1] or processors)


def take_turns(workers, loads):
    """Until all clients were served, each worker is stopped while another one has its turn."""
    waiting = dict(zip(workers, loads))
    try:
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        while waiting:
            for pid, load in list(waiting.items()):
                os.kill(pid, signal.SIGCONT)
                time.sleep(TURN)
                os.kill(pid, signal.SIGSTOP)
                if not load.running():
                    del waiting[pid]
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)


def burst(fleet, key, count):
    """Processor time of each worker for so many clients of each, in turns."""
    before = [nginx.settled(nginx.cpu_seconds) for nginx in fleet]
    workers = [nginx.worker for nginx in fleet]
    loads = [nginx.load(key, count, "--parallel", 8, "--io-timeout", 60) for nginx in fleet]
    apart(workers, loads)
    take_turns(workers, loads)
    for nginx, load in zip(fleet, loads):
        nginx.served(load)
    return [nginx.settled(nginx.cpu_seconds) - then for nginx, then in zip(fleet, before)]


def handshakes_per_second(fleet, key, count):
    """Those in front do not count: the first handshakes of a server are not like its later ones."""
    burst(fleet, key, count // 4)
    return [count / spent for spent in burst(fleet, key, count)]


def _explained(sample):
    """What goes wrong on the stage concerns this competitor alone."""

    def explained(*rows):
        try:
            return sample(*rows)
        except (harness.Failed, OSError) as reason:
            titles = " and ".join(row.title for row in rows)
            raise runner.Failed(f"nginx with {titles}: {reason}".replace("\n", " ")) from reason

    return explained


def throughput(bench, stage):
    """Servers start anew every few rounds: where their memory happens to lie must not decide."""
    counts = {"ec": 300, "rsa": 200} if bench.quick else {"ec": 800, "rsa": 500}
    rounds, renewed_after = (3, 3) if bench.quick else (10, 2)
    fleet, uses = {}, {}

    def running(row):
        nginx = fleet.pop(row.name, None)  # back in its place when all went well
        if uses.get(row.name, 0) % renewed_after == 0:
            if nginx is not None:
                nginx.stop()
            nginx = Nginx(stage, bench, row)
        uses[row.name] = uses.get(row.name, 0) + 1
        return nginx

    def sample(*rows):
        both = [running(row) for row in rows]
        rates = {key: handshakes_per_second(both, key, counts[key]) for key in KEYS}
        fleet.update(zip((row.name for row in rows), both))
        return [
            {f"nginx_{key}": rate for key, rate in zip(KEYS, each)}
            for each in zip(*rates.values())
        ]

    bench.rounds(
        "nginx_ec",
        rounds,
        _explained(sample),
        companions=("nginx_rsa",),
        paired="turns",
        checkers=3,
    )
    for nginx in fleet.values():
        nginx.stop()


def idle_connections(bench, stage):
    def sample(row):
        nginx = Nginx(stage, bench, row)
        before = nginx.connections()
        load = nginx.load("ec", CONNECTIONS, "--parallel", 8, "--hold", CONNECTIONS)
        nginx.served(load)
        seen = nginx.connections() - before
        if seen < CONNECTIONS:
            raise runner.Failed(f"nginx has {seen} connections open, not {CONNECTIONS}")
        values = {"nginx_idle": nginx.settled(nginx.resident_kib)}
        load.send(signal.SIGTERM)
        load.wait(60)
        stage.wait_until("the worker has closed all", lambda: nginx.connections() <= before)
        values["nginx_closed"] = nginx.settled(nginx.resident_kib)
        nginx.stop()
        return values

    count = 1 if bench.quick else 2
    companions = ("nginx_closed",)
    bench.rounds("nginx_idle", count, _explained(sample), companions=companions, checkers=1)


def on_stage(measure):
    def run(bench):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < 2 * CONNECTIONS + 100:
            raise runner.Failed(f"the limit of open files is {hard}: ulimit -Hn 8192")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
        stage, failed = Stage(bench.tlsload), True
        try:
            harness.need("nginx")
            measure(bench, stage)
            failed = False
        except (harness.Failed, harness.Skipped) as reason:
            raise runner.Failed(str(reason)) from reason
        finally:
            stage.close(failed)

    return run


nginx_handshakes = on_stage(throughput)
nginx_memory = on_stage(idle_connections)
