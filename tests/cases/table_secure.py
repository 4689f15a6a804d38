"""OpenSSL's secure heap: its blocks do not pass the hooks, but their wrong frees are reported, too."""

from model import EVERY, PRIVATE, Case

NOW = "  freed now    {now}  {main}\n"
HANDED = "free of {pointer}, which is in OpenSSL's secure heap, skipped\n" + NOW
REALLOC = (
    "realloc of {pointer}, which is in OpenSSL's secure heap, answered NULL\n  realloc      {now}  {main}\n"
)
TWICE = """
double free of secure block {block} (%s bytes), skipped
  freed first  {first}  {main}
  freed again  {now}  {main}
"""
INSIDE = "free of {pointer}, 16 bytes inside secure block {block} (128 bytes), skipped\n" + NOW
NO_BLOCK = "free of {pointer}, which is no live block of OpenSSL's secure heap, skipped\n" + NOW


def secure(name, report="", backends=EVERY, run="faults", **more):
    return Case(f"secure-{name}", f"{run} secure-{name.split('-to-libc')[0]}", report, backends, **more)


CASES = [
    secure("handed-to-free", HANDED),
    secure("handed-to-free-to-libc", HANDED, env={"FREEONCE_FOREIGN": "free"}),
    Case(
        "secure-handed-to-realloc",
        "faults --realloc secure-handed-to-free",
        REALLOC,
        EVERY,
        facts={"answer": "NULL"},
    ),
    secure("freed-twice", TWICE % 64),
    secure("clear-freed-twice", TWICE % 4096),
    secure("freed-inside", INSIDE),
    secure("freed-no-block", NO_BLOCK),
    secure("healthy"),
    # Private memory only: in shared memory, the processes share the heap's records, but each has a heap of its own.
    secure("healthy-after-fork", backends=PRIVATE),
]
