"""Which processes does a test start, and how did they end?

Process is anything that a test starts, Load the traffic client.  harness.py starts and ends them.
"""

import collections
import ctypes
import os
import pathlib
import re
import resource
import signal
import subprocess

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None)


def adopt_orphans():
    """Orphans become children of the test instead of init's, so that all that it started can be ended."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def table():
    """pid -> (parent, state) of everything that runs."""
    rows = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                text = pathlib.Path("/proc", entry, "stat").read_text(errors="replace")
            except OSError:
                continue  # it has ended since
            state, parent = text.rpartition(")")[2].split()[:2]
            rows[int(entry)] = (int(parent), state)
    return rows


def descendants(root, direct=False):
    """The living processes below root, or only its children."""
    rows = table()
    found, front = set(), {root}
    while front:
        front = {pid for pid, (parent, _) in rows.items() if parent in front} - found
        found |= front
        if direct:
            break
    return {pid for pid in found if rows[pid][1] != "Z"}


class Process:
    """A process that the test started; its output goes to a file."""

    def __init__(self, name, argv, env, folder, output, cores):
        def prepare():
            # If the test is killed, its servers go too.
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
            resource.setrlimit(resource.RLIMIT_CORE, (hard if cores else 0, hard))

        self.name = name
        self.logs = [output]
        with open(output, "wb") as sink:
            self.popen = subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=env,
                preexec_fn=prepare,
                start_new_session=True,
            )
        self.pid = self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def text(self):
        """Everything that it has logged so far."""
        return "\n".join(
            path.read_text(errors="replace") for path in self.logs if path.exists()
        )

    def children(self):
        return descendants(self.pid, direct=True)

    def send(self, number):
        self.popen.send_signal(number)

    def kill(self):
        self.popen.kill()
        self.popen.wait()

    def wait(self, seconds):
        """The exit status (negative: the signal), or None if it still runs."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


class Load(Process):
    """A running tlsload."""

    Result = collections.namedtuple("Result", "good tried served failed bad admitted seconds")
    line = re.compile(
        r"^tlsload: good (\d+) tried (\d+) served (\d+) failed (\d+) bad (\d+) admitted (\d+)"
        r" seconds ([\d.]+)$",
        re.M,
    )

    def result(self):
        """Its final line, or None if it is still at work (or died)."""
        match = self.line.search(self.text())
        if match is None:
            return None
        return self.Result(*(int(value) for value in match.groups()[:6]), float(match.group(7)))
