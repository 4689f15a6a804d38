"""Does memory stay flat over hours?

Without --reloads: two nginx with the library. One is reloaded every 20 seconds and loses a worker to SIGKILL every 30; the other
keeps its workers. Clients with mutual TLS come to both all the time. Each minute their memory, findings and latency become
lines of soak.csv, and at the end soak.svg.

With --handshakes N: one nginx with the library, and so many clients with mutual TLS, each of which must be served.

With --reloads N: nginx, Apache and HAProxy are each reloaded N times, with a few clients between, without the library and with
it. Their memory after 10 reloads and after all of them is compared.

Exit status: 0 flat, nothing found, and no client lost but those of killed workers; 1 not; 2 wrong use; 77 a server is missing.
"""

import argparse
import collections
import csv
import os
import pathlib
import random
import signal
import socket
import ssl
import statistics
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "servers"))
# pylint: disable=wrong-import-position
import apache
import haproxy
import harness
import nginx
import plot
import processes

AT_ONCE = 16  # clients; as many may be lost with a worker that is killed
BATCH = 400  # clients of one tlsload
PORTION = 50000  # the same of --handshakes
WARM = 10  # reloads before memory is first looked at
GROWTH = 1.05  # flat: not more than this, and
SLACK = 1 << 10  # this number of KiB

Memory = collections.namedtuple("Memory", "processes rss pss vmsize")  # KiB, of all processes together


def numbers(path, *fields):
    """Values of `Field:  123 kB` lines; 0 of a process that has ended."""
    try:
        text = pathlib.Path(path).read_text()
    except OSError:
        return [0] * len(fields)
    found = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return [int(found.get(field, "0").split()[0]) for field in fields]


def memory(pid):
    """Of a server's master and all its processes."""
    pids = {pid} | processes.descendants(pid)
    sums = [0, 0, 0]
    for one in pids:
        row = numbers(f"/proc/{one}/smaps_rollup", "Rss", "Pss") + numbers(f"/proc/{one}/status", "VmSize")
        sums = [total + value for total, value in zip(sums, row)]
    return Memory(len(pids), *sums)


def is_flat(before, after):
    return after <= before * GROWTH + SLACK


# --- nginx for hours --------------------------------------------------------------------------------


class Probe(threading.Thread):
    """Measures one handshake and request twice a second: milliseconds."""

    def __init__(self, stage, port):
        super().__init__(daemon=True)
        self.context = ssl.create_default_context(cafile=stage.certs / "ca.pem")
        self.context.check_hostname = False
        self.context.load_cert_chain(stage.certs / "client.pem", stage.certs / "client.key")
        self.port, self.ended, self.times, self.lock = port, threading.Event(), [], threading.Lock()

    def run(self):
        while not self.ended.wait(0.5):
            begun = time.monotonic()
            try:
                with socket.create_connection(("127.0.0.1", self.port), 30) as plain, self.context.wrap_socket(plain) as one:
                    one.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    while one.recv(4096):
                        pass
            except OSError:
                continue  # a killed worker's; tlsload counts those
            with self.lock:
                self.times.append((time.monotonic() - begun) * 1000)

    def take(self):
        """(median, 99th percentile) since the last time."""
        with self.lock:
            times, self.times = sorted(self.times), []
        return (statistics.median(times), times[min(len(times) - 1, len(times) * 99 // 100)]) if times else (0.0, 0.0)


class Instance:
    """An nginx, its clients and what was counted of them."""

    def __init__(self, stage, name, clients):
        self.stage, self.name, self.served, self.lost, self.kills, self.reloads = stage, name, 0, 0, 0, 0
        self.pause, self.due = BATCH / clients if clients else 0, 0
        journal = stage.dir / f"{name}.journal"
        self.server, self.port, _ = nginx.start(stage, FREEONCE_JOURNAL=str(journal))
        stage.wait_until("nginx has its workers", lambda: len(self.server.children()) == 2)
        self.probe, self.load = Probe(stage, self.port), None
        self.probe.start()

    def keep_traffic(self):
        """Counts clients that are done, and starts the next when it is time for them."""
        if self.load is not None:
            result = self.load.result()
            if result is None:
                self.stage.check(f"{self.name}: tlsload runs", True, self.load.running() or self.load.result() is not None)
                return
            self.count(result)
        now = time.monotonic()
        if now >= self.due:
            self.load, self.due = self.stage.load(self.port, BATCH, "http", "mixed", "--parallel", AT_ONCE), now + self.pause

    def count(self, result):
        self.served, self.lost, self.load = self.served + result.served, self.lost + result.good - result.served, None
        self.stage.check(f"{self.name}: bad clients answered like good ones", 0, result.admitted)

    def settle(self):
        """Waits for the workers of the last reload alone, so that samples are comparable."""
        self.stage.wait_until("nginx has two workers", lambda: len(self.server.children()) == 2)

    def reload(self):
        self.settle()
        before = self.server.children()
        self.server.send(signal.SIGHUP)
        self.stage.wait_for_new_workers(self.server, before)
        self.reloads += 1

    def kill(self):
        self.settle()
        worker = random.choice(sorted(self.server.children()))
        os.kill(worker, signal.SIGKILL)
        self.stage.wait_until("nginx has another worker", lambda: worker not in self.server.children())
        self.kills += 1

    def sample(self, minute, findings):
        self.settle()
        now, (median, most) = memory(self.server.pid), self.probe.take()
        return dict(minute=round(minute, 2), nginx=self.name, processes=now.processes, rss_kib=now.rss, pss_kib=now.pss,
                    vmsize_kib=now.vmsize, findings=findings, reloads=self.reloads, kills=self.kills, served=self.served,
                    lost=self.lost, median_ms=round(median, 1), p99_ms=round(most, 1))


def findings_in(log):
    return sum(line.startswith("freeonce: ") for line in log.read_text().splitlines()) if log.exists() else 0


def write(folder, rows):
    with open(folder / "soak.csv", "w", newline="", encoding="ascii") as out:
        table = csv.DictWriter(out, rows[0].keys(), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    plot.write(folder / "soak.svg", rows)


def judge(rows, names):
    """Complaints: growth from the second quarter to the last, findings, and clients lost without a kill."""
    for name in names:
        own = [row for row in rows if row["nginx"] == name]
        quarter, last = len(own) // 4, own[-1]
        for field in ("rss_kib", "pss_kib", "vmsize_kib"):
            if quarter == 0:
                print(f"{name}: {field}: too few samples to tell whether it is flat")
                continue
            before = statistics.median(row[field] for row in own[quarter : 2 * quarter])
            after = statistics.median(row[field] for row in own[-quarter:])
            print(f"{name}: {field} {before:.0f} in the second quarter, {after:.0f} in the last ({after / before - 1:+.2%})")
            if not is_flat(before, after):
                yield f"{name}: {field} grows"
        if last["findings"] != 0:
            yield f"{name}: {last['findings']} findings"
        if last["lost"] > last["kills"] * AT_ONCE:
            yield f"{name}: {last['lost']} good clients lost, by {last['kills']} kills"
        if last["served"] == 0:
            yield f"{name}: no client was served"


def soak(stage, arguments):
    restless, steady = instances = [Instance(stage, name, arguments.clients) for name in ("restless", "steady")]
    begun = time.monotonic()
    end, rows = begun + arguments.minutes * 60, []
    due = {"reload": begun + 20, "kill": begun + 30, "sample": begun + arguments.every}
    while time.monotonic() < end or not rows:
        for one in instances:
            one.keep_traffic()
        now = time.monotonic()
        if now >= due["sample"]:
            rows += [one.sample((now - begun) / 60, findings_in(stage.log)) for one in instances]
            write(arguments.output, rows)
            shown = ", ".join(f"{row['nginx']} PSS {row['pss_kib']} KiB, p99 {row['p99_ms']} ms" for row in rows[-2:])
            print(f"{rows[-1]['minute']:7.1f} min  {shown}, {steady.served + restless.served} served", flush=True)
            due["sample"] = now + arguments.every
        if now >= due["reload"]:
            restless.reload()
            due["reload"] = now + 20
        if now >= due["kill"]:
            restless.kill()
            due["kill"] = now + 30
        time.sleep(0.05)
    for one in instances:
        one.probe.ended.set()
        if one.load is not None:
            one.count(stage.result_of(one.load))
        stage.check("exit status of nginx", 0, stage.stop(one.server))
    complaints = list(judge(rows, [one.name for one in instances]))
    print(f"{restless.reloads} reloads, {restless.kills} kills, {restless.served + steady.served} clients served,"
          f" {restless.lost + steady.lost} lost; {arguments.output}/soak.csv, soak.svg")
    stage.check("memory is flat, nothing is found, no client is lost", [], complaints)


# --- many handshakes --------------------------------------------------------------------------------


def handshakes(stage, arguments):
    server, port, _ = nginx.start(stage)
    begun, served, first = time.monotonic(), 0, None
    while served < arguments.handshakes:
        count = min(PORTION, arguments.handshakes - served)
        result = stage.result_of(stage.load(port, count, "http", "good", "--parallel", AT_ONCE))
        stage.check("clients served", count, result.served)
        served += count
        now = memory(server.pid)
        first = first or now
        print(f"{time.monotonic() - begun:7.0f} s  {served} of {arguments.handshakes} verified handshakes served, PSS {now.pss} KiB", flush=True)
    stage.check("memory is flat", True, is_flat(first.pss, now.pss))
    stage.check("exit status of nginx", 0, stage.stop(server))
    stage.check_silent()


# --- many reloads -----------------------------------------------------------------------------------


def start_nginx(stage, preload):
    server, port, _ = nginx.start(stage, preload=preload)
    return server, port, lambda: server.send(signal.SIGHUP)


def start_apache(stage, preload):
    server, port, _ = apache.start(stage, preload=preload)
    return server, port, lambda: server.send(signal.SIGUSR1)


def start_haproxy(stage, preload):
    values = stage.environment(True) if preload else {}
    server, port = haproxy.start(stage, {name: values[name] for name in values if name.startswith("FREEONCE_")})
    return server, port, lambda: haproxy.reload(stage, server)


SERVERS = {"nginx": start_nginx, "apache2": start_apache, "haproxy": start_haproxy}


def reload_often(stage, name, preload, arguments):
    """Memory after WARM reloads, and after all of them."""
    server, port, reload = SERVERS[name](stage, preload)
    first = None
    for number in range(arguments.reloads + WARM):
        stage.check_served(name, stage.result_of(stage.load(port, 8, "http")))
        before = server.children()
        reload()
        if name != "haproxy":
            stage.wait_for_new_workers(server, before)
        if number == WARM - 1:
            first = settled(stage, server, port, name)
    last = settled(stage, server, port, name)
    stage.stop(server)
    return first, last


def settled(stage, server, port, name):
    """After a reload and 40 clients: when two looks agree on the number of processes."""
    stage.check_served(name, stage.result_of(stage.load(port, 40, "http")))
    seen = []

    def is_still():
        seen.append(memory(server.pid))
        return len(seen) > 4 and len({one.processes for one in seen[-4:]}) == 1

    stage.wait_until(f"{name} has its processes", is_still)
    return seen[-1]


def reloads(stage, arguments):
    complaints = []
    print(f"KiB of PSS of all processes, after {WARM} and after {arguments.reloads + WARM} reloads")
    print(f"{'':10}{'glibc':>20}{'':>8}{'freeonce':>21}{'':>8}{'freeonce/glibc':>20}")
    for name in arguments.servers:
        rows = [reload_often(stage, name, preload, arguments) for preload in (False, True)]
        (a, b), (c, d) = [[one.pss for one in row] for row in rows]
        print(f"{name:10}{a:10}{b:10}{b / a - 1:+8.1%} {c:10}{d:10}{d / c - 1:+8.1%} {c / a:10.2f}{d / b:10.2f}", flush=True)
        # Servers grow by themselves; the library must not add to that.
        if d - c > (b - a) * GROWTH + c * (GROWTH - 1) + SLACK:
            complaints.append(f"{name} grows by {d - c} KiB with the library, by {b - a} without")
        vm = [one.vmsize for one in rows[1]]
        if not is_flat(*vm):
            complaints.append(f"{name}: VmSize grows from {vm[0]} to {vm[1]} KiB")
    stage.check_silent()
    stage.check("memory is flat relative to glibc", [], complaints)


def main():
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-dir", type=pathlib.Path, default="build/release", help="must come first (default build/release)")
    parser.add_argument("--minutes", type=float, default=120, help="how long (default 120)")
    parser.add_argument("--every", type=float, default=60, help="seconds between samples (default 60)")
    parser.add_argument("--clients", type=float, metavar="N", help="a second, of each nginx, good and bad (default: all that it can serve)")
    parser.add_argument("--output", type=pathlib.Path, default="build/soak", help="folder (default build/soak)")
    parser.add_argument("--backend", help="FREEONCE_BACKEND; default: the library's own choice")
    parser.add_argument("--handshakes", type=int, metavar="N", help="serve N clients as fast as they come instead")
    parser.add_argument("--reloads", type=int, metavar="N", help="compare memory over N reloads instead")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    parser.add_argument("servers", nargs="*", help=f"for --reloads: of {' '.join(SERVERS)}; default: all")
    arguments = parser.parse_args()
    arguments.servers = arguments.servers or list(SERVERS)
    if set(arguments.servers) - set(SERVERS):
        parser.error(f"servers are {' '.join(SERVERS)}")
    for name in ("clients", "handshakes"):
        value = getattr(arguments, name)
        if value is not None and value <= 0:
            parser.error(f"--{name} must be greater than 0")
    build = arguments.build_dir.resolve()
    arguments.lib, arguments.tlsload = build / "src/libfreeonce.so", build / "tests/tools/tlsload"
    arguments.plant = arguments.freeonce = None
    arguments.output.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped by SIGTERM"))
    function = reloads if arguments.reloads is not None else handshakes if arguments.handshakes is not None else soak
    sys.exit(harness.run_on_stage(function, arguments))


if __name__ == "__main__":
    main()
