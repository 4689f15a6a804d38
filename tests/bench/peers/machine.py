"""On what was it measured?  Versions, the processor, and how busy the machine is.

No names of hosts and no paths: the results are published.
"""

import datetime
import os
import pathlib
import platform
import re
import subprocess

QUIET = 0.5  # load average above which a run is no measurement
QUIET_OTHERS = 0.1  # the same for the share of the processors that other processes used


def load_average():
    return os.getloadavg()[0]


class Others:
    """What all other processes did with the processors since it was made, the host of a virtual machine
    included: as share of all of them."""

    def __init__(self):
        self.busy, self.total = self._processors()
        self.own = self._own()

    @staticmethod
    def _processors():
        words = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        times = [int(word) / os.sysconf("SC_CLK_TCK") for word in words]
        idle = times[3] + times[4]
        return sum(times) - idle, sum(times)

    @staticmethod
    def _own():
        return sum(os.times()[:4])

    def share(self):
        busy, total = self._processors()
        others = (busy - self.busy) - (self._own() - self.own)
        return max(0.0, others / max(total - self.total, 1e-9))


def output(*argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return (done.stdout or done.stderr).strip()


def processor():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.*)$", text, re.M)
    return f"{model.group(1) if model else platform.machine()}, {os.cpu_count()} processors"


def memory():
    text = pathlib.Path("/proc/meminfo").read_text()
    kib = int(re.search(r"^MemTotal:\s+(\d+)", text, re.M).group(1))
    return f"{kib / 2**20:.0f} GiB"


def system():
    text = pathlib.Path("/etc/os-release").read_text()
    version = pathlib.Path("/etc/debian_version")
    name = re.search(r'^PRETTY_NAME="?([^"\n]*)', text, re.M).group(1)
    return f"{name} ({version.read_text().strip()})" if version.exists() else name


def package_version(names):
    for name in names:
        version = output("dpkg-query", "-W", "-f", "${Version}", name)
        if version:
            return f"{name} {version}"
    return ""


def versions(rows, root):
    found = {
        "OpenSSL": " ".join(output("openssl", "version").split()[1:2]),
        "glibc": os.confstr("CS_GNU_LIBC_VERSION").split()[-1],
        "valgrind": output("valgrind", "--version").removeprefix("valgrind-"),
        "nginx": output("nginx", "-v").rpartition("/")[2],
        "freeonce": output("git", "-C", str(root), "describe", "--always", "--dirty"),
    }
    for row in rows:
        if row.packages and row.name != "valgrind":
            found[row.title] = package_version(row.packages)
    return {name: version for name, version in found.items() if version}


def describe(rows, root, command, load_before, others):
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "command": command,
        "processor": processor(),
        "memory": memory(),
        "kernel": "Linux " + re.match(r"[\d.]*", platform.release()).group().rstrip("."),
        "system": system(),
        "versions": versions(rows, root),
        "load_before": round(load_before, 2),
        "others": round(others, 3),
        "quiet": load_before <= QUIET and others <= QUIET_OTHERS,
        "competitors": {row.name: {"title": row.title, "kind": row.kind} for row in rows},
    }
