"""What the kernel can do here, or an emulator in its place."""

import functools
import mmap
import os

WIPE_ON_FORK = 18  # MADV_WIPEONFORK, which Python has no name for


@functools.cache
def wipes_nothing():
    """How the library sees a child of a raw clone(2), for which no handler runs.  qemu-user answers 0, and does nothing."""
    page = mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    page.madvise(WIPE_ON_FORK)
    page[0] = 1
    child = os.fork()
    if child == 0:
        os._exit(page[0])
    kept = os.waitpid(child, 0)[1] != 0
    page.close()
    return "madvise(MADV_WIPEONFORK) does nothing here, as in an emulator" if kept else None
