"""Writes past the end of a block and after its free, and the call stacks in a report."""

import re

from model import EVERY, MAIN, UNGUARDED, Case

CANARY = {"FREEONCE_CANARY": "1"}
FILL = {"FREEONCE_FILL": "1"}
ALL = {"FREEONCE_CANARY": "1", "FREEONCE_FILL": "1", "FREEONCE_STACKS": "8"}
STACKS = {"FREEONCE_STACKS": "4"}


def overflow(size, at, operation="free"):
    answer, label = ("freed", "freed now") if operation == "free" else ("moved", "realloc")
    return f"""
{operation} of block {{block}} ({size} bytes), which was written past its end at byte {at}, {answer} all the same
  allocated    {{alloc}}  {{main}}
  {label}    {{now}}  {{main}}
"""


def after_free(size, at, what="write to freed block"):
    return f"""
{what} {{block}} ({size} bytes) at byte {at}, found when it left the quarantine
  allocated    {{alloc}}  {{main}}
  freed first  {{first}}  {{main}}
"""


NEIGHBOUR = """
free of block {block}, whose header was overwritten, skipped
  overwritten  from block {front} (24 bytes) in front, allocated {alloc}
  freed now    {now}  {main}

free of block {front} (24 bytes), which was written past its end at byte 24, freed all the same
  allocated    {alloc}  {main}
  freed now    {later}  {main}
"""

REFERENCE = "reference count dropped on a freed object in block"


def every_place_has_its_stack(outcome):
    """Three places, each followed by four frames of a module with its build-id."""
    frame = r"    #{} [^ +]+\+0x[0-9a-f]+ build-id [0-9a-f]{{8,}}\n"
    stack = "".join(frame.format(i) for i in range(4))
    places = "".join(rf"  {label} .*\n{stack}" for label in ("allocated ", "freed first ", "freed again "))
    if not re.fullmatch(rf"freeonce: double free of block .*, skipped\n{places}", outcome.errors):
        return "that is not a report with three stacks"
    # From OpenSSL 3.2 on CRYPTO_malloc() is no tail call, so it has a frame of its own.
    if len(re.findall(r"#0 faults\+0x|#0 libcrypto.*\n    #1 faults\+0x", outcome.errors)) != 3:
        return "the innermost frame of each stack is the program's"
    return None


CASES = [
    # Behind a guarded block the 8 bytes up to the page's end are canaries; a write behind a whole class faults.
    Case("overflow", "faults first-byte-behind", overflow(24, 24), EVERY, CANARY),
    Case("overflow-whole-class", "faults behind-a-whole-class", overflow(32, 33), UNGUARDED, CANARY),
    Case(
        "overflow-realloc", "faults --realloc first-byte-behind", overflow(24, 24, "realloc"), EVERY, CANARY
    ),
    # A large quarantine: libc would abort in the free of the block in front, because its own bytes are overwritten.
    Case(
        "overflow-neighbour",
        "faults into-the-neighbour",
        NEIGHBOUR,
        ("libc", "arena", "host"),
        CANARY | {"FREEONCE_QUARANTINE": "16M"},
    ),
    Case("no-overflow", "faults last-byte-inside", "", EVERY, CANARY),
    Case("write-after-free", "faults write-after-free", after_free(40, 7), UNGUARDED, FILL),
    Case(
        "reference-after-free", "faults reference-dropped", after_free(64, 16, REFERENCE), UNGUARDED, FILL
    ),
    Case(
        "write-after-free-pushed-out",
        "faults written-and-pushed-out",
        after_free(2000, 1999),
        UNGUARDED,
        FILL | {"FREEONCE_QUARANTINE": "64K"},
    ),
    Case(
        "write-after-free-used-again",
        "faults written-and-used-again",
        after_free(40, 39),
        ("libc", "arena"),
        FILL | {"FREEONCE_QUARANTINE": "64K"},
    ),
    Case("watched-healthy", "faults watched-healthy", "", EVERY, ALL),
    Case(
        "stacks", "faults double-free", backends=MAIN, env=STACKS, check=every_place_has_its_stack
    ),
    Case(
        "stacks-watched",
        "faults double-free",
        backends=MAIN,
        env=STACKS | CANARY | FILL,
        check=every_place_has_its_stack,
    ),
]
