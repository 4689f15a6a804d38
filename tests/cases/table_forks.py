"""Forks: the processes that a report names, and frees that must not be reported."""

import kernel
from model import EVERY, PRIVATE, Case
from table_doubles import double, seen

CASES = [
    Case("child-frees-its-copy", "faults child-frees-copy", backends=PRIVATE),
    Case(
        "double-free-in-child",
        "faults double-free-in-child",
        double(40, first="{forked}", again="{forked}"),
        EVERY,
    ),
    Case(
        "double-free-in-cloned-child",
        "faults double-free-in-clone",
        double(40, first="{cloned}", again="{cloned}"),
        EVERY,
        needs=kernel.wipes_nothing,
    ),
    Case(
        "double-free-in-child-of-thread",
        "faults double-free-in-child-of-thread",
        double(40, first="{forked}", again="{forked}"),
        EVERY,
    ),
    Case(
        "freed-before-fork-again-in-child",
        "faults freed-before-fork",
        double(40, again="{forked}"),
        EVERY,
    ),
    Case(
        "freed-in-child-again-in-grandchild",
        "faults freed-in-child-again-in-grandchild",
        double(40, first="{forked}", again="{grandforked}"),
        EVERY,
    ),
    Case("double-free-after-vfork", "faults double-free-after-vfork", double(40), EVERY),
    Case("double-free-after-spawn", "faults double-free-after-spawn", double(40), EVERY),
    Case("child-frees-thousands", "faults child-frees-thousands", "", PRIVATE),
    Case(
        "count-is-of-all-processes",
        "faults counted-over-processes",
        double(40) + seen(10, double(40)) + seen(12, double(40)),
        EVERY,
    ),
    Case(
        "count-is-of-all-terminals",
        "faults counted-over-terminals",
        double(40) + seen(10, double(40)) + seen(12, double(40)),
        EVERY,
    ),
    Case(
        "forks-of-threaded-process",
        "faults forks-of-threaded-process",
        backends=("libc", "arena", "shm", "host", "shared", "plugin"),
    ),
    Case(
        "forks-beyond-table-of-processes",
        "faults forks-beyond-table",
        double(40, first="{forked}", again="{forked}"),
        ("libc", "arena"),
    ),
]
