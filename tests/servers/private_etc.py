"""How does a program see an /etc of its own, with ld.so.preload and freeonce.conf in it?

In a mount namespace, in which a copy of /etc lies over /etc: the machine's own is never touched, and
what the test started is all that sees the copy.  Needs root.  Standard library only.
"""

import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import mounts  # noqa: E402

# Before the program there is only sh, which was started without the copy.
ENTER = 'mount --bind "$0" /etc && exec "$@"'


class PrivateEtc:
    def __init__(self, folder):
        """The copy is made in this folder, which is the caller's to remove."""
        self.dir = pathlib.Path(folder) / "etc"
        # Files may be made and removed in /etc during the copy, which cp(1) counts as a failure.
        copied = subprocess.run(["cp", "-a", "/etc", self.dir], stderr=subprocess.PIPE, check=False)
        if not (self.dir / "passwd").exists():
            raise RuntimeError(f"no copy of /etc: {copied.stderr.decode()}")
        self.clear()

    @property
    def conf(self):
        return self.dir / "freeonce.conf"

    def clear(self):
        for name in ("freeonce.conf", "ld.so.preload"):
            (self.dir / name).unlink(missing_ok=True)

    def write_conf(self, *lines, mode=0o644, uid=0):
        """As it should be installed: a new file replaces the old one at once."""
        new = self.dir / "freeonce.conf.new"
        new.write_text("".join(line + "\n" for line in lines))
        new.chmod(mode)
        os.chown(new, uid, 0)
        new.rename(self.conf)

    def write_preload(self, *libraries):
        new = self.dir / "ld.so.preload.new"
        new.write_text("".join(f"{library}\n" for library in libraries))
        new.rename(self.dir / "ld.so.preload")

    def argv(self, argv):
        """The command that runs this one with the copy in place; its pid is the program's."""
        return [*mounts.namespace(), "sh", "-c", ENTER, str(self.dir), *map(str, argv)]


def missing():
    """Why a private /etc is impossible here, or None."""
    if os.geteuid() != 0:
        return "needs root, for a mount namespace"
    if shutil.which("unshare") is None:
        return "no unshare on this machine"
    if mounts.namespace() is None:
        return "mount namespaces are not allowed here, or would be seen outside"
    return None
