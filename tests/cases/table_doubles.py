"""Blocks freed twice, damaged headers, and calls that OpenSSL's contract allows."""

import re
import signal

from model import EVERY, UNGUARDED, Case, fill, totals

RECORDED = tuple(name for name in UNGUARDED if name not in ("arena", "shm"))  # records outside the blocks

GIVEN_BACK = {"FREEONCE_QUARANTINE": "0"}


def double(size, allocated="{main}", first="{main}", again="{main}"):
    return f"""
double free of block {{block}} ({size} bytes), skipped
  allocated    {{alloc}}  {allocated}
  freed first  {{first}}  {first}
  freed again  {{now}}  {again}
"""


OVERWRITTEN = """
free of block {block}, whose header was overwritten, skipped
  freed first  {first}  {main}
  freed now    {now}  {main}
"""


def stale_realloc(size):
    return f"""
realloc of freed block {{block}} ({size} bytes), answered NULL
  allocated    {{alloc}}  {{main}}
  freed first  {{first}}  {{main}}
  realloc      {{now}}  {{main}}
"""


def damaged(operation="free"):
    answer = "skipped" if operation == "free" else "answered NULL"
    label = "freed now" if operation == "free" else "realloc"
    return f"""
{operation} of block {{block}}, whose header was overwritten, {answer}
  {label}    {{now}}  {{main}}
"""


def seen(times, report):
    return f"\nseen {times} times in all processes:{report}"


def exactly_one_frees(outcome):
    """Of each two frees one succeeds and the other is reported: as many findings as rounds."""
    rounds, found = int(outcome.facts["rounds"]), totals(outcome.errors)
    if sum(found.values()) != rounds:
        return f"{rounds} blocks were freed twice, and reported: {found}"
    odd = [key for key in found if key[0] != "double"]
    return f"other findings: {odd}" if odd else None


def the_write_is_reported(outcome):
    # memset() writes the bytes in an order of its own.
    wanted = (
        r"freeonce: write to freed block {block} \(40 bytes\) (at byte \d+|16 bytes in front of it), the program ends\n"
        r"  allocated    {alloc} +{main}\n"
        r"  freed first  {first} +{main}\n"
        r"  accessed     by faults\+0x[0-9a-f]+ +{main}\n"
    )
    escaped = {name: re.escape(str(value)) for name, value in outcome.values.items()}
    return None if re.fullmatch(fill(wanted, escaped), outcome.errors) else f"expected {wanted}"


def both_processes_are_named(outcome):
    problem = exactly_one_frees(outcome)
    pids = set(re.findall(r"freed \w+ .*pid (\d+)", outcome.errors))
    both = {outcome.facts["parent"], outcome.facts["child"]}
    if problem is None and (not pids or not pids <= both):
        problem = f"the frees are by {both}, the report names {pids}"
    return problem


CASES = [
    Case("double-free", "faults double-free", double(40), EVERY),
    Case("double-free-given-back", "faults double-free", double(40), EVERY, GIVEN_BACK),
    Case("double-free-large", "faults double-free-large", double(1 << 20), EVERY),
    Case("double-free-of-written", "faults double-free-written", double(40), RECORDED),
    # The header stays in front of the freed block.  After a write over it, the free is still known.
    Case("double-free-of-overwritten", "faults double-free-written", OVERWRITTEN, ("arena", "shm")),
    Case(
        "write-to-freed",  # guarded: the write ends the program, before the second free
        "faults double-free-written",
        backends=("guard",),
        status=-signal.SIGSEGV,
        check=the_write_is_reported,
    ),
    Case("double-free-long-after", "faults double-free-long-after", double(2000), EVERY),
    Case(
        "double-free-long-after-given-back",
        "faults double-free-long-after",
        double(2000),
        # Private pools use malloc, which would give the memory to another block.
        ("shared",),
        GIVEN_BACK,
    ),
    Case(
        "double-free-thrice",
        "faults double-free-thrice",
        double(40) + seen(3, double(40)),
        EVERY,
    ),
    Case(
        "double-free-1234-times",
        "faults double-free-1234-times",
        double(40) + "".join(seen(times, double(40)) for times in (10, 100, 1000, 1234)),
        EVERY,
    ),
    Case(
        "double-free-first-on-thread",
        "faults double-free-first-on-thread",
        double(40, first="{threaded}"),
        EVERY,
    ),
    Case(
        "double-free-again-on-thread",
        "faults double-free-again-on-thread",
        double(40, again="{threaded}"),
        EVERY,
    ),
    Case("realloc-of-freed", "faults --realloc double-free", stale_realloc(40), EVERY),
    Case(
        "realloc-of-given-back",
        "faults --realloc double-free",
        stale_realloc(40),
        EVERY,
        GIVEN_BACK,
    ),
    Case(
        "realloc-of-freed-large",
        "faults --realloc double-free-large",
        stale_realloc(1 << 20),
        EVERY,
    ),
    Case("free-of-realloced", "faults stale-after-realloc", double(40), EVERY),
    Case("free-of-shrunk", "faults stale-after-shrink", double(4000), EVERY),
    Case("realloc-of-realloced", "faults --realloc stale-after-realloc", stale_realloc(40), EVERY),
    Case("realloc-of-shrunk", "faults --realloc stale-after-shrink", stale_realloc(4000), EVERY),
    Case(
        "free-of-reused-by-libc",
        "faults stale-reused-by-libc",
        double(80),
        ("libc",),
        GIVEN_BACK,
    ),
    Case("realloc-to-0-frees", "faults realloc-zero-frees", double(40), EVERY),
    Case(
        "damaged-header-byte-by-byte",
        "faults damaged-header",
        damaged() + seen(10, damaged()) + seen(16, damaged()),
        EVERY,
        chance=True,
    ),
    Case(
        "damaged-header-realloc",
        "faults --realloc damaged-header",
        damaged("realloc") + seen(10, damaged("realloc")) + seen(16, damaged("realloc")),
        chance=True,
    ),
    Case("damaged-state", "faults damaged-state", damaged() + seen(3, damaged()), EVERY),
    Case("damaged-zeroed", "faults damaged-zeroed", damaged(), EVERY),
    Case(
        "damaged-zeroed-twice", "faults damaged-zeroed-twice", damaged() + seen(2, damaged()), EVERY
    ),
    Case("damaged-copied", "faults damaged-copied", damaged(), EVERY),
    Case("healthy", "faults healthy", backends=EVERY),
    Case("size-zero-is-null", "faults size-zero", facts={"malloc0": "NULL"}, backends=EVERY),
    Case(
        "null-pointer",
        "faults null-pointer",
        facts={"realloc0": "NULL", "realloc-null-0": "NULL"},
        backends=EVERY,
    ),
    Case("contents-are-kept", "faults contents", backends=EVERY),
    Case("blocks-are-aligned-and-apart", "faults alignment", backends=EVERY),
    Case("huge-sizes-are-null", "faults huge", backends=EVERY),
    Case("huge-sizes-are-null-without", "faults huge", backends=("auto",), preload=False),
    Case("errno-is-kept", "faults keeps-errno", backends=EVERY),
    Case("errno-is-kept-by-report", "faults report-keeps-errno", double(40), EVERY),
    Case(
        "file-is-null",
        "faults no-file",
        """
double free of block {block} (40 bytes), skipped
  allocated    ?  {main}
  freed first  ?  {main}
  freed again  ?  {main}
""",
        EVERY,
    ),
    Case(
        "file-is-no-file",
        "faults not-a-file",
        """
double free of block {block} (40 bytes), skipped
  allocated    ?  {main}
  freed first  ?  {main}
  freed again  ?  {main}
""",
    ),
    Case(
        "file-was-unloaded",
        "faults unloaded-file",
        """
double free of block {block} (40 bytes), skipped
  allocated    ?  {main}
  freed first  {first}  {main}
  freed again  {now}  {main}
""",
    ),
    Case(
        "line-beyond-65535",
        "faults long-file",
        """
double free of block {block} (40 bytes), skipped
  allocated    long.c:65535  {main}
  freed first  long.c:65535  {main}
  freed again  long.c:65535  {main}
""",
    ),
    Case("race-of-threads", "faults race-of-threads", backends=EVERY, check=exactly_one_frees),
    Case(
        "race-of-threads-given-back",
        "faults race-of-threads",
        backends=EVERY,
        env=GIVEN_BACK,
        check=exactly_one_frees,
    ),
    Case(
        "race-of-processes",
        "faults race-of-processes",
        backends=("shared", "shm"),
        check=both_processes_are_named,
    ),
    Case(
        "race-of-processes-given-back",
        "faults race-of-processes",
        backends=("shared", "shm"),
        env=GIVEN_BACK,
        check=both_processes_are_named,
    ),
    Case("threads-pass-blocks-on", "faults healthy-threads", backends=UNGUARDED),
    Case("threads-pass-few-blocks-on", "faults healthy-threads-short", backends=("guard",)),
]
