#!/usr/bin/env python3
"""Do the commands in the console blocks of README.md and docs/*.md print what these pages show?  Called by stories.sh, as mmdebstrap's hook.

A story is what follows a line `<!-- story: NAME -->`: a block of ```console, in which lines that begin
with "$ " or "# " are commands of a user or of root, and all others what they print (which must not begin so).  Numbers that
differ from run to run (addresses, pids, times, versions, how many processes there were) may differ.  With UPDATE_STORIES=1 the
page is written anew with what was seen.  STORIES=NAME,... limits the run to these.
"""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import booted

TREE = pathlib.Path(sys.argv[3])
STORY = re.compile(r"(<!-- story: (\w+) -->\n+```console\n)(.*?)(^```$)", re.M | re.S)
NUMBERS = (
    (re.compile(r"0x[0-9a-f]+"), "0x#"),
    (re.compile(r"\b(pid|from) \d+"), r"\1 #"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "TIME"),
    (re.compile(r"^( +)\d+ (?=\w+: )", re.M), r"\1# "),
    (re.compile(r"\b\d+\.\d+\.\d+\b"), "VERSION"),
    (re.compile(r"\d+ processes guarded"), "# processes guarded"),
    (re.compile(r"\(\d+ s\)$", re.M), "(# s)"),
    (re.compile(r"Reading database ... .*"), "Reading database"),
    (re.compile(r"^((?:Removing|Processing triggers for) \S+) \(.*\)", re.M), r"\1"),
    (re.compile(r" +"), " "),  # columns move with the numbers
)
MARK = "\x01"
SCRIPT = """
mark() { local status=$?; printf '\\001\\n'; return $status; }
exec 2>&1 </dev/null
cd "$HOME"
%s
"""
# package.build has built the packages, and to build them again takes a minute: in place of dpkg-buildpackage, and of the
# packages that it needs.
BUILDER = "#!/bin/sh\ncp /tmp/packages/*.deb ..\n"
CONTROL = "Package: {}\nVersion: 99\nArchitecture: all\nMaintainer: none <none@invalid>\nDescription: empty\n"
KAMAILIO = """#!KAMAILIO
debug=0
log_stderror=no
children=1
tcp_children=4
enable_tls=yes
auto_aliases=no
dns=no
rev_dns=no
listen=tls:127.0.0.1:5061
loadmodule "tls.so"
loadmodule "sl.so"
modparam("tls", "private_key", "/etc/kamailio/certs/server.key")
modparam("tls", "certificate", "/etc/kamailio/certs/server.pem")
request_route { sl_send_reply("200", "OK"); }
"""


class User:
    """Commands of a user, in a plain chroot."""

    def __init__(self, root):
        self.root = root
        home = root / "home/user"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        os.chown(home, 1000, 1000)

    def run(self, script):
        prefix = ["chroot", "--userspec=1000:1000", "--groups=", self.root]
        settings = ["PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC", "HOME=/home/user"]
        return [*prefix, "env", "-i", *settings, "bash", "-c", script]

    def close(self):
        pass


def build_packages():
    return re.search(r"^build_packages=\((.*)\)$", (TREE / "scripts/package").read_text(), re.M)[1].split()


class Tree:
    """Commands of root in a copy of the tree, of which only the scripts are needed, in a plain chroot."""

    def __init__(self, root):
        self.root = root
        shutil.copytree(TREE / "scripts", root / "root/freeonce/scripts")
        self.builder = root / "usr/local/bin/dpkg-buildpackage"
        self.builder.write_text(BUILDER)
        self.builder.chmod(0o755)
        self.empty = [name for name in build_packages() if not self.has(name)]
        for name in self.empty:
            control = root / "root/empty" / name / "DEBIAN/control"
            control.parent.mkdir(parents=True)
            control.write_text(CONTROL.format(name))
            self.do("dpkg-deb", "--build", f"/root/empty/{name}")
        self.do("sh", "-c", "dpkg --install /root/empty/*.deb")

    def do(self, *argv):
        return subprocess.run(["chroot", self.root, *argv], check=True, stdout=subprocess.DEVNULL)

    def has(self, package):
        info = self.root / "var/lib/dpkg/info"
        return (info / f"{package}.list").exists() or any(info.glob(f"{package}:*.list"))

    def run(self, script):
        settings = ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=/root/freeonce"]
        return ["chroot", self.root, "env", "-i", *settings, "bash", "-c", script]

    def close(self):
        self.do("dpkg", "--purge", *self.empty)
        self.builder.unlink()
        for folder in "freeonce", "empty":
            shutil.rmtree(self.root / "root" / folder)


class Machine(booted.Machine):
    """Commands of root, on a system that was booted."""

    def __init__(self, root):
        super().__init__(root)
        self.boot()

    def run(self, script):
        return self.enter("bash", "-c", script, HOME="/root", TZ="UTC")


def copy_packages(root, stage):
    (root / "tmp/packages").mkdir(exist_ok=True)
    for package in "freeonce", "libfreeonce0":
        (found,) = stage.glob(f"{package}_*.deb")
        shutil.copy(found, root / "tmp/packages")


def furnish(root):
    """The packages, if no story has installed them, a Kamailio that does TLS, and the service of docs/operations.md."""
    if not (root / "usr/bin/freeonce").exists():
        install = "apt-get -q -y --no-install-recommends install /tmp/packages/*.deb"
        subprocess.run(["chroot", root, "sh", "-c", install], check=True)
    folder = root / "etc/kamailio"
    certs = TREE / "tests/tools/make-certs.sh"
    subprocess.run([certs, folder / "certs"], check=True)
    (folder / "kamailio.cfg").write_text(KAMAILIO)
    subprocess.run(["chroot", root, "chown", "-R", "kamailio:", "/etc/kamailio/certs"], check=True)
    (root / "etc/ssl/certs").mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "certs/ca.pem", root / "etc/ssl/certs")
    examples = "/usr/share/doc/freeonce/examples/operations"
    build = f"cd {examples} && cc -g -o /usr/local/bin/certcheck certcheck.c -lcrypto"
    subprocess.run(["chroot", root, "sh", "-c", build], check=True)
    shutil.copy(f"{root}{examples}/certcheck.service", root / "etc/systemd/system")


def commands_of(block):
    return [line[2:] for line in block.splitlines() if line.startswith(("$ ", "# "))]


def run_story(surroundings, block):
    """The commands of a story with their output."""
    commands = commands_of(block)
    body = "\n".join(f"mark\n{command}" for command in commands)
    done = subprocess.run(
        surroundings.run(SCRIPT % body), stdout=subprocess.PIPE, text=True, timeout=120, check=False
    )
    prompts = [line[:2] for line in block.splitlines() if line.startswith(("$ ", "# "))]
    outputs = done.stdout.split(MARK + "\n")[1:]
    return "".join(
        f"{prompt}{command}\n{output}" for prompt, command, output in zip(prompts, commands, outputs)
    )


def plain(text):
    for pattern, put in NUMBERS:
        text = pattern.sub(put, text)
    return text


FIRST = {"install": Tree}
PLACES = {
    **FIRST,
    "finding": User,
    "ci": User,
    "runners": User,
    "operations": Machine,
    "crash": Machine,
    "removal": Machine,  # the last one: it removes the packages
}


def differences(root, stage, pages, names):
    """The names of stories with another output than the page shows; with UPDATE_STORIES the pages are written anew."""
    wanted = set(filter(None, os.environ.get("STORIES", "").split(","))) or set(PLACES)
    wanted &= set(names)
    stories = [(page, *story) for page in pages for story in STORY.findall(page.read_text())]
    for page, head, name, block, tail in sorted(stories, key=lambda story: list(PLACES).index(story[2])):
        if name in wanted:
            text = page.read_text()
            try:
                with contextlib.closing(PLACES[name](root)) as surroundings:
                    seen = run_story(surroundings, block)
            except booted.Impossible as reason:
                (stage / "skipped").write_text(f"the story {name}, no systemd can be booted here: {reason}\n")
                continue
            if plain(seen) != plain(block):
                print(f"--- {page.name}, the story {name}\n{block}--- what happened\n{seen}---", flush=True)
                yield name
            if os.environ.get("UPDATE_STORIES") == "1":
                page.write_text(text.replace(head + block + tail, head + seen + tail))


def main():
    root, stage = (pathlib.Path(argument) for argument in sys.argv[1:3])
    (stage / "reached").touch()
    pages = [TREE / "README.md", *sorted((TREE / "docs").glob("*.md"))]
    named = [name for page in pages for _, name, _, _ in STORY.findall(page.read_text())]
    assert sorted(named) == sorted(PLACES), named
    copy_packages(root, stage)
    wrong = list(differences(root, stage, pages, FIRST))
    furnish(root)
    wrong += differences(root, stage, pages, set(PLACES) - set(FIRST))
    sys.exit(bool(wrong))


main()
