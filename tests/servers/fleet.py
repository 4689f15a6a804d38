"""Do the servers of Debian behave with the library preloaded as they do without it?

Each is run twice, plain and with the library, and goes through the same: good clients, bad ones of each kind, a
reload, good clients again, and a stop with connections open.  What the clients see and the exit status must be the
same, the library silent, and the memory within its limit (limit_of()) beside that of the plain run.

The tests of one commit take three servers, by turns: which ones follows from the commit.  All: scripts/check fleet.
"""

import json
import os
import pathlib
import subprocess
import time

import fleet_clients
import fleet_languages
import fleet_servers
import harness
import processes

SERVERS = {server.name(): server for server in fleet_servers.ALL + fleet_languages.ALL}
A_TURN = 3
SOURCE = pathlib.Path(__file__).resolve().parents[2]


# --- memory --------------------------------------------------------------------------------------


def program_pages(lines, most):
    """Raises most, kB by place in a file, to what /proc/PID/smaps shows of programs and libraries."""
    place = resident = None
    for line in lines:
        name, *rest = line.split(maxsplit=5)
        if not name.endswith(":"):  # START-END FLAGS OFFSET DEVICE INODE PATH
            path = rest[4] if len(rest) == 5 else ""
            place = (path, rest[1]) if path.startswith("/") and (".so" in path or "x" in rest[0]) else None
        elif name == "Rss:":
            resident = int(rest[0])
        elif name == "Anonymous:" and place:
            most[place] = max(most.get(place, 0), resident - int(rest[0]))


def memory_of(process):
    """What a process and all below it have in memory, in kB; and how many they are.

    Its own pages are divided by the processes that share them.  Pages of programs and libraries count once: it makes
    no difference which other programs of the machine have them, too.
    """
    own = count = 0
    programs = {}
    for pid in {process.pid} | processes.descendants(process.pid):
        folder = pathlib.Path(f"/proc/{pid}")
        try:
            rows = [row.split() for row in (folder / "smaps_rollup").read_text().splitlines()]
            program_pages((folder / "smaps").read_text().splitlines(), programs)
        except OSError:
            continue  # it has ended
        own += sum(int(row[1]) for row in rows if row[0] in {"Pss_Anon:", "Pss_Shmem:"})
        count += 1
    return own + sum(programs.values()), count


def limit_of(server, plain, processes_seen):
    """In kB.  What is shipped as one process may take 1.4 times as much and 1 MB; one that forks, so much for each."""
    if server.more_each is not None:
        return plain + server.more_each * processes_seen
    return 1.4 * plain + 1024


def compared(plain, seen):
    return f"{plain} kB plain, {seen} kB with the library: {100 * (seen - plain) / plain:+.0f} %, {seen - plain:+d} kB"


# --- one run -------------------------------------------------------------------------------------


class Run:
    """One run of a server from start to stop: what was seen of it, by name."""

    def __init__(self, stage, kind, count, preload):
        self.stage, self.count, self.preload = stage, count, preload
        self.seen = {}
        self.memory = self.processes = 0
        self.server = kind(stage)
        self.journal = self.server.folder / "journal"
        try:
            self.play()
        finally:
            self.server.close()

    def expected(self, door):
        answer = self.server.good_answer
        return answer[door.name] if isinstance(answer, dict) else answer

    def visits(self, door, kind, count):
        return fleet_clients.visits(door, self.stage.certs, kind, count, self.server.at_a_time)

    def good_clients(self, when, count):
        for door in self.server.doors():
            for kind in fleet_clients.GOOD:
                what = f"{when}: {door.name}, {kind}"
                self.seen[what] = self.visits(door, kind, count)
                self.stage.check(f"{self.server.name()}, {what}", {self.expected(door): count}, self.seen[what])

    def bad_clients(self):
        for door in self.server.doors():
            for kind in fleet_clients.BAD if door.mutual else fleet_clients.BAD[2:]:
                what = f"{door.name}, {kind}"
                self.seen[what] = self.visits(door, kind, 5)
                admitted = self.seen[what].get(self.expected(door), 0)
                self.stage.check(f"{self.server.name()}, {what}: answered like good ones", 0, admitted)

    def play(self):
        server, stage = self.server, self.stage
        settings = {"FREEONCE_JOURNAL": str(self.journal)} if self.preload else {}
        argv = server.argv()
        stage.log.touch()
        stage.log.chmod(0o666)  # also for servers that start as another user
        process = stage.start(server.name(), argv, server.port, preload=self.preload, **settings)
        server.started(process)
        self.good_clients("first", self.count)
        self.bad_clients()
        if server.can_reload():
            server.reload(process)
            self.good_clients("after a reload", self.count // 4)
        with fleet_clients.held(server.doors()[0], stage.certs, 4):
            self.memory, self.processes = memory_of(process)
            self.seen["exit status"] = stage.stop(process, server.stop_number)
        stage.check_no_crash(process)
        said = [line for line in process.text().splitlines() if "freeonce:" in line]
        stage.check(f"freeonce's lines in what {server.name()} printed", [], said)


# --- a server, plain and with the library -----------------------------------------------------------


def check_journal(stage, run):
    """No finding; and the library was loaded in every process in which it can be."""
    if stage.freeonce is None:
        return "no command"
    argv = [stage.freeonce, "report", run.journal, "--format", "json"]
    status, text = stage.run("freeonce-report", argv, preload=False)
    stage.check("exit status of freeonce report", 0, status if status == 0 else text)
    lines = [json.loads(line) for line in text.splitlines()]
    guarded = lines[0]["guarded"]
    stage.check(f"{run.server.name()}: guarded processes", "at least 1", guarded, guarded > 0)
    left = [line["program"] for line in lines if line.get("guard") == "left"]
    if run.server.left:
        stage.check(f"{run.server.name()}: processes that left", "at least 1", left, len(left) > 0)
    return f"{guarded} guarded"


def compare(stage, name, count):
    began = time.monotonic()
    plain = Run(stage, SERVERS[name], count, preload=False)
    if stage.lib is None:
        harness.step(f"{name}: {plain.seen['exit status']}, {plain.memory} kB")
        return
    with_library = Run(stage, SERVERS[name], count, preload=True)
    for what, seen in plain.seen.items():
        stage.check(f"{name} as without the library, {what}", seen, with_library.seen.get(what))
    stage.check_silent()
    guarded = check_journal(stage, with_library)
    seconds = time.monotonic() - began
    memory = compared(plain.memory, with_library.memory)
    limit = limit_of(SERVERS[name], plain.memory, with_library.processes)
    stage.check(f"{name}'s memory", f"at most {limit:.0f} kB", memory, with_library.memory <= limit)
    harness.step(f"{name}: no difference, no finding, {guarded}; {memory}; {seconds:.0f} s")


# --- the servers of this commit --------------------------------------------------------------------


def turn():
    """The servers of this commit: a number that every machine finds alike, and why."""
    argv = ["git", "-C", SOURCE, "rev-parse", "HEAD"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        number, why = int(done.stdout[:8], 16), f"commit {done.stdout[:12]}"
    else:
        number = int(time.time() // 86400)
        why = f"day {number} since 1970, as there is no commit"
    names = list(SERVERS)
    turns = -(-len(names) // A_TURN)
    first = number % turns
    return names[first::turns], f"turn {first + 1} of {turns}, by {why}"


def test(stage, arguments):
    if arguments.servers:
        names, why = arguments.servers, "as asked for"
    elif arguments.all:
        names, why = list(SERVERS), "all"
    else:
        names, why = turn()
    print(f"servers: {', '.join(names)} ({why})", flush=True)
    if os.geteuid() != 0:
        raise harness.Skipped("needs root: the servers change to users of their own")
    missing = []
    for name in names:
        try:
            compare(stage, name, arguments.count)
        except harness.Skipped as reason:
            missing.append(name)
            print(f"skipped  {name}: {reason}", flush=True)
    if missing and not arguments.all and os.environ.get("CI") == "true":
        raise harness.Failed(f"missing where CI=true: {', '.join(missing)}")
    if missing == names:
        raise harness.Skipped("none of them is on this machine")


def add_options(parser):
    parser.add_argument("--all", action="store_true", help="all servers, not those whose turn it is")
    parser.add_argument("--count", type=int, default=40, help="good clients of each kind (default 40)")
    parser.add_argument("servers", nargs="*", help=f"only these: {', '.join(SERVERS)}")


if __name__ == "__main__":
    harness.main(test, __doc__, add_options)
