"""What all servers of the fleet have in common: how one is configured, queried and reloaded."""

import itertools
import re
import signal
import subprocess

import fleet_clients
import harness
from fleet_clients import Door


def unpack(stage, *packages):
    """A folder with the files of Debian's packages, which are not installed."""
    folder = stage.folder("-".join(("unpacked", *packages)))
    folder.chmod(0o755)
    commands = [["apt-get", "-q", "download", *packages]]
    for package in packages:
        commands.append(["sh", "-c", f'dpkg-deb -x {package}_*.deb .'])
    for command in commands:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise harness.Skipped(f"{' '.join(command)}: {done.stderr.strip()[-200:]}")
    return folder


class Server:
    """A server of the fleet on a stage; one object is one run of it."""

    program = None  # as in PATH
    good_answer = None  # what each good client is answered
    reload_line = None  # the server has reloaded when it has logged this once more
    stop_number = signal.SIGTERM
    more_each = None  # kB that each process may take more, where there are several; None: see fleet.limit_of()
    at_a_time = 8  # number of clients
    left = False  # does a process execute a program that the library cannot follow?

    def __init__(self, stage):
        self.stage = stage
        self.path = self.find()
        self.port = stage.port()
        self.folder = stage.folder(f"{self.name()}-{self.port}")
        self.certs = stage.certs
        self.numbers = itertools.count()

    @classmethod
    def name(cls):
        return cls.__name__.lower().replace("_", "-")

    def find(self):
        return harness.need(self.program)

    def configure(self, text, name="conf"):
        """A file of the server: {port}, {dir}, {certs} and what else the object has are filled in."""
        values = {**vars(self), "dir": self.folder}
        return self.stage.file(f"{self.folder.name}/{name}", text.format(**values))

    def argv(self):
        raise NotImplementedError

    def doors(self):
        return [Door("TLS", self.port, fleet_clients.speak_http)]

    def started(self, process):
        """Waits for more than a connection, where a server needs it."""

    def reload(self, process):
        """Returns when the reload is done."""
        seen = len(re.findall(self.reload_line, process.text()))
        self.ask_to_reload(process)
        self.stage.wait_until(
            f"{self.name()} logs {self.reload_line}",
            lambda: len(re.findall(self.reload_line, process.text())) > seen,
        )

    def ask_to_reload(self, process):
        process.send(signal.SIGHUP)

    def can_reload(self):
        return self.reload_line is not None

    def close(self):
        """Ends what is not a process."""
