#!/usr/bin/env python3
"""Does gcc for arm64 make of C11's atomic operations the instructions that arm.py says?  usage: compiled.py COMPILER.
Called by scripts/models.  Exit status: 0 yes, 1 no."""

import re
import subprocess
import sys

import arm
import program

FLAGS = {"lse": "-march=armv8.1-a", "llsc": "-mno-outline-atomics"}  # rcpc: this is gcc 13's, and never the baseline's
ACCESS = re.compile(r"^\s*((?:LDA?R|STL?R|LDA?XR|STL?XR|SWP\w*|CAS\w*|LDSET\w*|LDCLR\w*|LDADD\w*|DMB\s+ISH\w*)\b)", re.IGNORECASE)


def operations():
    """Statements of the models, one for each operation and order."""
    for order in ("relaxed", "acquire", "seq_cst"):
        yield f"r0 = atomic_load_explicit(x, memory_order_{order})"
    for order in ("relaxed", "release", "seq_cst"):
        yield f"atomic_store_explicit(x, 1, memory_order_{order})"
    for order in ("relaxed", "acquire", "release", "acq_rel", "seq_cst"):
        for operation in ("exchange", "fetch_or", "fetch_and", "fetch_add"):
            yield f"r0 = atomic_{operation}_explicit(x, 1, memory_order_{order})"
        yield (f"r0 = atomic_compare_exchange_strong_explicit(x, expected, 1, memory_order_{order}, "
               f"memory_order_{program.FAILURE.get(order, order)})")
    for order in ("acquire", "release", "seq_cst"):
        yield f"atomic_thread_fence(memory_order_{order})"


def accesses(lines):
    """The instructions that read or write memory, or order it."""
    return [" ".join(m[1].upper().split()) for m in map(ACCESS.match, lines) if m]


def compiled(compiler, statements, flag):
    """For each statement, the instructions of a function with it alone."""
    source = "#include <stdatomic.h>\n" + "".join(
        f"int f{i}(atomic_int *x, int *r) {{ int r0 = 0, value = 5, *expected = &value; (void)expected; {s}; "
        "return r0; }\n" for i, s in enumerate(statements))
    run = subprocess.run([compiler, "-O2", flag, "-w", "-S", "-x", "c", "-", "-o", "-"], input=source, capture_output=True,
                         text=True, check=True)
    parts = re.split(r"^f\d+:$", run.stdout, flags=re.MULTILINE)[1:]
    # the local variable lies on the stack
    return [accesses(line for line in part.splitlines() if "[sp" not in line and "sp," not in line) for part in parts]


def expected(statement, way):
    thread = arm.Thread(0, ["x"], way)
    thread.all([program.statement(statement, {"expected": 5})])
    return accesses(thread.lines)


def main():
    statements, faults = list(operations()), 0
    for way, flag in FLAGS.items():
        for statement, made in zip(statements, compiled(sys.argv[1], statements, flag)):
            wanted = expected(statement, way)
            if made != wanted:
                faults += 1
                print(f"{statement}, {way}: gcc makes {made}, arm.py says {wanted}")
    if not faults:
        print(f"gcc for arm64 makes of {len(statements)} operations what arm.py says")
    return 1 if faults else 0


sys.exit(main())
