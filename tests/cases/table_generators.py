"""Random generators in shared memory: reseeded where a process could use the generator of another
one, and only there."""

import kernel
from model import Case

NAMES = ("primary", "parent", "child")
EACH_TURN = {name: "is seeded anew" for name in NAMES}


def in_turns(outcome):
    """OpenSSL 3.6 and later call getpid() before they acquire the lock, and behave as without the library."""
    go_on = outcome.facts.get("asks") == "under its lock"
    expected = "goes on" if go_on else "is seeded anew"
    seen = {name: outcome.facts.get(name) for name in NAMES}
    return None if set(seen.values()) == {expected} else f"expected: {expected}; seen: {seen}"


def seeded_after_a_kill(outcome):
    if "was left locked for writing by thread" not in outcome.errors:
        return f"the lock is not reported: {outcome.errors!r}"
    seen = [outcome.facts.get(when) for when in ("before", "after")]
    return None if seen == ["goes on", "is seeded anew"] else f"the primary one: {seen}"


def on_shm(name, facts, env=None, needs=None):
    fault = f"faults generators-{name}"
    how = f"-{env['FREEONCE_CURES'].replace(',', '-')}" if env else ""
    return Case(f"generators-{name}{how}", fault, "", ("shm",), env or {}, facts=facts, needs=needs)


CASES = [
    Case("generators-in-turns", "faults generators-in-turns", "", ("shm",), check=in_turns),
    *(
        on_shm("in-turns", EACH_TURN, {"FREEONCE_CURES": cures})
        for cures in ("state,exit,locks", "state,exit,identity")
    ),
    # The library does not know what the program's own functions do with a block.
    Case(
        "generators-in-turns-host",
        "faults generators-in-turns",
        backends=("shared",),
        facts=EACH_TURN,
    ),
    on_shm("of-raw-clone", {"public": "is seeded anew"}, needs=kernel.wipes_nothing),
    on_shm("used-before-fork", {"public": "is seeded anew"}),
    on_shm("in-secure-heap", {"primary": "is seeded anew"}),
    on_shm("of-the-program", {"programs": "is seeded anew"}),
    on_shm("unseen", {"first": "is seeded anew", "second": "is seeded anew"}),
    Case(
        "generators-after-a-kill",
        "faults generators-after-a-kill",
        backends=("shm",),
        check=seeded_after_a_kill,
    ),
]
