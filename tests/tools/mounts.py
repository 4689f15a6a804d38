"""A mount namespace for a test: what is mounted there, no other process sees."""

import functools
import pathlib
import subprocess
import tempfile


def works(command, folder):
    """Can the test mount in that namespace, and does no other process see it?"""
    answer = subprocess.run(
        [*command, "mount", "--bind", folder, folder],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if f" {folder} " in pathlib.Path("/proc/self/mountinfo").read_text():
        subprocess.run(["umount", folder], check=True)
        return False
    return answer.returncode == 0


@functools.lru_cache(maxsize=None)
def namespace():
    """The command that enters one, or None.  In a chroot unshare(1) cannot cut the mounts off from
    those outside; if they are not shared anyway, that need not be."""
    commands = (["unshare", "-m"], ["unshare", "-m", "--propagation", "unchanged"])
    with tempfile.TemporaryDirectory(prefix="freeonce-mount-") as folder:
        return next((command for command in commands if works(command, folder)), None)
