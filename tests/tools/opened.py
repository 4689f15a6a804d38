"""Is a file opened?  (inotify; a descriptor of O_PATH is none.)"""

import ctypes
import os

IN_OPEN = 0x20
libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    def __init__(self, path):
        self.descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.descriptor < 0 or libc.inotify_add_watch(self.descriptor, os.fsencode(path), IN_OPEN) < 0:
            raise OSError(ctypes.get_errno(), f"inotify: {path}")

    def was_opened(self):
        """Since the last call."""
        try:
            return len(os.read(self.descriptor, 65536)) > 0
        except BlockingIOError:
            return False

    def close(self):
        os.close(self.descriptor)
