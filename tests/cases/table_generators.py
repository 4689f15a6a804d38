"""Random generators in shared memory: seeded anew where a process could go on with another one's,
and only there."""

from model import Case

GOES_ON = {"primary": "goes on", "parent": "goes on", "child": "goes on"}
EACH_TURN = {name: "is seeded anew" for name in GOES_ON}


def seeded_after_a_kill(outcome):
    if "was left locked for writing by thread" not in outcome.errors:
        return f"the lock is not reported: {outcome.errors!r}"
    seen = [outcome.facts.get(when) for when in ("before", "after")]
    return None if seen == ["goes on", "is seeded anew"] else f"the primary one: {seen}"


def on_shm(name, facts, env=None):
    fault = f"faults generators-{name}"
    how = f"-{env['FREEONCE_CURES'].replace(',', '-')}" if env else ""
    return Case(f"generators-{name}{how}", fault, "", ("shm",), env or {}, facts=facts)


CASES = [
    on_shm("in-turns", GOES_ON),
    *(
        on_shm("in-turns", EACH_TURN, {"FREEONCE_CURES": cures})
        for cures in ("state,exit,locks", "state,exit,identity")
    ),
    # What the program's own functions do with each block is not known.
    Case(
        "generators-in-turns-host",
        "faults generators-in-turns",
        backends=("shared",),
        facts=EACH_TURN,
    ),
    on_shm("of-raw-clone", {"public": "is seeded anew"}),
    on_shm("used-before-fork", {"public": "is seeded anew"}),
    on_shm("in-secure-heap", {"children": "differ"}),
    on_shm("of-the-program", {"programs": "is seeded anew"}),
    Case(
        "generators-after-a-kill",
        "faults generators-after-a-kill",
        backends=("shm",),
        check=seeded_after_a_kill,
    ),
]
