"""Programs that register memory functions of their own."""

from model import ANY, Case
from programs_openssl import openssl_version

POOL = {"served": "by the pool"}
OTHERS = {"served": "by others"}


def waits_for_itself():
    if openssl_version() >= (3, 2):
        return "OpenSSL 3.2 and later wait for ever if the first allocation fails, also without the library"
    return None


CASES = [
    Case("hook-ask-only", "faults hook-ask-only", backends=ANY, same_without=True),
    Case(
        "hook-before-first-allocation",
        "faults hook-before",
        facts={"answer": "1", **POOL},
        backends=ANY,
        same_without=True,
    ),
    Case(
        "hook-after-first-allocation",
        "faults hook-after",
        facts={"answer": "0", **OTHERS},
        backends=ANY,
        same_without=True,
    ),
    # A pool that allocates and never frees is refused; OpenSSL alone accepts it.
    Case(
        "hook-malloc-only",
        "faults hook-malloc-only",
        facts={"answer": "0", **OTHERS},
        backends=ANY,
    ),
    Case(
        "hook-nothing",
        "faults hook-nothing",
        facts={"answer": "1", **OTHERS},
        backends=ANY,
        same_without=True,
    ),
    Case(
        "hook-defaults-back",
        "faults hook-defaults-back",
        facts={"answer": "1", **OTHERS},
        backends=ANY,
        same_without=True,
    ),
    Case(
        "hook-twice-before",
        "faults hook-twice-before",
        facts={"answer": "1", **POOL},
        backends=ANY,
        same_without=True,
    ),
    Case(
        "hook-again-after",
        "faults hook-again-after",
        facts={"same": "1", "other": "0", **POOL},
        backends=ANY,
    ),
    Case(
        "hook-through-dlsym",
        "faults hook-through-dlsym",
        facts={"answer": "1", **POOL},
        backends=ANY,
        same_without=True,
    ),
    Case(
        "hook-through-dlsym-default",
        "faults hook-through-default",
        facts={"answer": "1", **POOL},
        backends=ANY,
        same_without=True,
    ),
    Case(
        "hook-lines-are-passed-on",
        "faults hook-lines-passed-on",
        env={"FREEONCE_QUARANTINE": "0"},
        facts={"seen-malloc": "{alloc}", "seen-free": "{free}"},
        backends=ANY,
        same_without=True,
    ),
    Case(
        "hook-late-pool",
        "faults hook-late-pool",
        facts={"answer": "1", **POOL},
        backends=ANY,
        same_without=True,
        needs=waits_for_itself,
    ),
    Case("hook-align-to-8", "faults hook-align-to-8", facts=POOL, backends=ANY),
    # Functions that only call libc's have no pool: they are refused, as OpenSSL does after its first
    # allocation.  Their counts would include a test block or headers.
    Case(
        "hook-forwards",
        "faults hook-forwards",
        facts={"answer": "0", **OTHERS},
        backends=ANY,
    ),
    Case(
        "hook-forwards-wanted",
        "faults hook-forwards",
        env={"FREEONCE_BACKEND": "host"},
        facts={"answer": "1"},
        backends=ANY,
    ),
]
