"""What the tests of the recipes share beyond workers.py: the user that a server changes to, a log
that is a pipe, the journal, and servers that go on without the process that was started.
"""

import os
import pathlib
import pwd
import subprocess

import harness
import processes
import workers

PLANTED_IN = "tests/tools/plant.c"
REPORTED = 99  # exit status of freeonce report when there are findings


def need_root(why):
    if os.geteuid() != 0:
        raise harness.Skipped(f"needs root: {why}")


def uid_of(user):
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise harness.Skipped(f"no user {user} on this machine") from None


def variables(stage, plant=None, user=None, **more):
    """workers.variables; plant names the program that is to make a finding once it is `user`."""
    values = workers.variables(stage, plant=plant, **more)
    if user is not None and stage.lib is not None:
        values["PLANT_UID"] = str(uid_of(user))
    return values


def status_of(pid, field):
    """A number in /proc/PID/status (real uid, mode of seccomp); None if the process has ended."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{field}:"))


def check_guarded(stage, what, pids, least, guarded=True):
    """At least this number of processes have libcrypto, and all of these have the library, or none has."""
    seen = []

    def there():
        seen[:] = workers.users_of("libcrypto", pids)
        return len(seen) >= least

    # A master that executes itself anew (haproxy, when it has started) has it a moment later.
    stage.wait_until(f"{what}: at least {least} processes have libcrypto", there)
    if stage.lib is None:
        return
    have = [text for _, text in seen if stage.lib.name in text]
    stage.check(f"{what}: of these with the library", len(seen) if guarded else 0, len(have))


def journal_of(stage, log=None):
    """It lies beside the log, as workers.variables says."""
    return pathlib.Path(log or stage.log).with_suffix(".journal")


def check_journal(stage, planted, log=None):
    """What `freeonce report` says of the journal: the finding of plant.c and no other, or none,
    and that processes were guarded at all."""
    if stage.lib is None:
        return
    argv = [stage.freeonce, "report", "--no-symbols", journal_of(stage, log)]
    status, text = stage.run("freeonce", argv, preload=False)
    stage.check("exit status of freeonce report", REPORTED if planted else 0, status)
    stage.check("the journal names plant.c", planted, PLANTED_IN in text)
    stage.check("processes in the journal", "some guarded", text, " guarded" in text)


def forget(stage, log=None):
    """The next part of a test starts with neither log nor journal."""
    pathlib.Path(log or stage.log).unlink(missing_ok=True)
    journal_of(stage, log).unlink(missing_ok=True)


class Daemon:
    """A server that has left the process that started it; it is our child (adopt_orphans)."""

    def __init__(self, stage, name, pid_file, log):
        self.stage, self.name, self.pid_file, self.log = stage, name, pathlib.Path(pid_file), log
        stage.daemon_logs.append(log)
        stage.wait_until(f"{name} writes {self.pid_file.name}", self.pid_in_file)
        self.pid = self.pid_in_file()

    def pid_in_file(self):
        """None: there is no such file, or nothing in it yet."""
        try:
            text = self.pid_file.read_text().strip()
        except FileNotFoundError:
            return None
        return int(text) if text.isdigit() else None

    def children(self):
        return processes.descendants(self.pid, direct=True)

    def everybody(self):
        return {self.pid} | processes.descendants(self.pid)

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def send(self, number):
        os.kill(self.pid, number)

    def wait(self, seconds=120):
        """The exit status of a server that was told to stop."""
        ended = {}

        def has_ended():
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid != 0:
                ended["status"] = os.waitstatus_to_exitcode(status)
            return pid != 0

        self.stage.wait_until(f"{self.name} stops", has_ended, seconds)
        return harness.named_status(ended["status"])


def command(stage, name, argv, env, seconds=120):
    """Runs a command with exactly this environment: (exit status, output)."""
    process = stage.spawn(processes.Process, name, argv, {key: str(env[key]) for key in env})
    try:
        status = process.popen.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise harness.Failed(f"{name} did not end within {seconds} seconds") from None
    return status, process.text()
