"""A systemd of a test's own, in namespaces, on a root that the test has furnished.

It needs root, a cgroup2 to make a group in, and mounts; Impossible tells what is missing.  Of the root,
/dev, /run, /tmp, /proc and /sys are mounted anew; with usr=True /usr is this machine's.
"""

import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess
import time

MANAGER = "/lib/systemd/systemd"
BOOT = """
root=$1
mount --make-rprivate /
mount --bind "$root" "$root"
test "$2" = no || mount --bind -o ro /usr "$root/usr"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for folder in dev run tmp; do mount -t tmpfs tmpfs "$root/$folder"; done
for node in null zero full random urandom tty; do
    touch "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir -p "$root/dev/shm" "$root/old"
mount -t tmpfs tmpfs "$root/dev/shm"
cd "$root"
pivot_root . old
umount -l /old
exec env -i container=freeonce PATH=/usr/sbin:/usr/bin %s --unit=test.target \\
    --log-target=console --show-status=no </dev/null
""" % MANAGER


class Impossible(Exception):
    """What this machine lacks to boot a systemd."""


def cgroup_root():
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return pathlib.Path(where)
    return None


class Machine:
    """Booted by boot(), ended by close()."""

    def __init__(self, root, usr=False, log=None):
        self.root = pathlib.Path(root)
        self.usr = "yes" if usr else "no"
        self.log = log
        self.group = None
        self.process = None
        self.pid = 0

    def unit(self, name, text):
        (self.root / "etc/systemd/system" / name).write_text(text)

    def make_group(self):
        if os.geteuid() != 0 or cgroup_root() is None:
            raise Impossible("needs root and a cgroup2")
        group = cgroup_root() / f"freeonce-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError as error:
            raise Impossible(f"no cgroup can be made: {error}") from error
        self.group = group

    def boot(self):
        self.unit("test.target", "[Unit]\nDefaultDependencies=no\n")
        self.make_group()
        self.process = subprocess.Popen(
            ["unshare", "-mpfuiC", "--kill-child", "sh", "-ec", BOOT, "sh", self.root, self.usr],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
            preexec_fn=self.prepare,
        )
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError, ValueError):
                self.pid = int(children.read_text())
                argv = self.enter("systemctl", "is-system-running")
                seen = subprocess.run(argv, capture_output=True, text=True, check=False)
                if seen.stdout.strip() in ("running", "degraded"):
                    return
            time.sleep(0.1)
        self.close()
        raise Impossible("systemd does not come up")

    def prepare(self):
        """In the child: into the group, and to die with the test (PR_SET_PDEATHSIG)."""
        (self.group / "cgroup.procs").write_text(str(os.getpid()))
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)

    def enter(self, *argv, **environment):
        """The command line that runs argv inside."""
        given = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **environment}
        pairs = [f"{name}={value}" for name, value in given.items()]
        enter = ["nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "-C"]
        return [*enter, "env", "-i", *pairs, *argv]

    def close(self):
        if self.process is not None:
            with contextlib.suppress(OSError):
                os.kill(self.pid or self.process.pid, signal.SIGKILL)
            self.process.wait(30)
        deadline = time.monotonic() + 30
        while self.group is not None and self.group.exists() and time.monotonic() < deadline:
            for folder, _, _ in os.walk(self.group, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
