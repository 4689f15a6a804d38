"""Pointers that start no live block, passed to free and to realloc, on every backend."""

from model import EVERY, MAIN, Case

# The operation in a report: verb, answer, label of the line for "now".
OPERATIONS = {
    "free": ("free", "skipped", "freed now", ""),
    "realloc": ("realloc", "answered NULL", "realloc", "--realloc "),
}

ALLOCATED = "  allocated    {{alloc}}  {{main}}\n"
NOW = "  {label}    {{now}}  {{main}}\n"
FOREIGN = "{verb} of {{pointer}}, which OpenSSL never allocated (%s), {answer}\n" + NOW
INSIDE = "{verb} of {{pointer}}, %d bytes inside block {{block}} (%d bytes), {answer}\n"
BEFORE = "{verb} of {{pointer}}, %d bytes before block {{block}} (%d bytes), {answer}\n"

POINTERS = {
    "inside-1": INSIDE % (1, 100) + ALLOCATED + NOW,
    "inside-8": INSIDE % (8, 100) + ALLOCATED + NOW,
    "inside-16": INSIDE % (16, 100) + ALLOCATED + NOW,
    "inside-99": INSIDE % (99, 100) + ALLOCATED + NOW,
    "inside-large": INSIDE % (1 << 19, 1 << 20) + ALLOCATED + NOW,
    "inside-freed": (
        "{verb} of {{pointer}}, 16 bytes inside freed block {{block}} (100 bytes), {answer}\n"
        + ALLOCATED
        + "  freed first  {{first}}  {{main}}\n"
        + NOW
    ),
    "header-8": BEFORE % (8, 100) + ALLOCATED + NOW,
    "header-16": BEFORE % (16, 100) + ALLOCATED + NOW,
    "header-freed": (
        "{verb} of {{pointer}}, 8 bytes before freed block {{block}} (100 bytes), {answer}\n"
        + ALLOCATED
        + "  freed first  {{first}}  {{main}}\n"
        + NOW
    ),
    "stack-main": FOREIGN % "the stack",
    "stack-thread": (FOREIGN % "the stack").replace("{{main}}", "{{threaded}}"),
    "static-data": FOREIGN % "static data",
    "static-constant": FOREIGN % "static data",
    "code": FOREIGN % "static data",
    "first-page-1": FOREIGN % "the first page",
    "first-page-8": FOREIGN % "the first page",
    "first-page-16": FOREIGN % "the first page",
    "first-page-4095": FOREIGN % "the first page",
    "deadbeef": FOREIGN % "unmapped memory",
    "all-ones": FOREIGN % "unmapped memory",
    "top-bit": FOREIGN % "unmapped memory",
    "last-address": FOREIGN % "unmapped memory",
    "kernel-address": FOREIGN % "unmapped memory",
    "unmapped": FOREIGN % "unmapped memory",
    "no-access": FOREIGN % "unmapped memory",
    "page-behind-no-access": FOREIGN % "memory of the program",
    "malloced": FOREIGN % "memory of the program",
    "malloced-page": FOREIGN % "memory of the program",
}


def pointer_case(name, report, operation):
    verb, answer, label, option = OPERATIONS[operation]
    return Case(
        name=f"{operation}-of-{name}",
        run=f"faults {option}{name}",
        report=report.format(verb=verb, answer=answer, label=label),
        facts={"answer": "NULL"} if operation == "realloc" else {},
        backends=EVERY if operation == "free" else MAIN,
    )


CASES = [
    pointer_case(name, report, operation)
    for operation in OPERATIONS
    for name, report in POINTERS.items()
] + [
    # The place decides: none of 65,536 headers in a block's content makes a block of the memory behind it.
    Case(
        name="free-of-forged-header",
        run="faults forged-header",
        report="".join(
            (f"seen {times} times in all processes:\n" if times > 1 else "")
            + (INSIDE % (48, 240) + ALLOCATED + NOW).format(
                verb="free", answer="skipped", label="freed now"
            )
            for times in (1, 10, 100, 1000, 10000, 65536)
        ),
        backends=EVERY,
    ),
    Case(
        name="foreign-passed-to-libc",
        run="faults malloced-freed",
        env={"FREEONCE_FOREIGN": "free"},
        facts={"freed": "yes"},
        report="""
free of {pointer}, which OpenSSL never allocated (memory of the program), passed to libc
  freed now    {now}  {main}
""",
    ),
    Case(
        name="report-with-large-quarantine-touches-little",
        run="faults malloced-peak",
        env={"FREEONCE_QUARANTINE": "32M"},
        facts={"peak": "small"},
        backends=("libc", "arena", "shm", "shared"),
        report="""
free of {pointer}, which OpenSSL never allocated (memory of the program), skipped
  freed now    {now}  {main}
""",
    ),
    Case(
        name="foreign-kept",
        run="faults malloced-freed",
        env={"FREEONCE_FOREIGN": "report"},
        facts={"freed": "no"},
        report="""
free of {pointer}, which OpenSSL never allocated (memory of the program), skipped
  freed now    {now}  {main}
""",
    ),
    Case(
        name="foreign-realloc-passed-to-libc",
        run="faults malloced-realloced",
        env={"FREEONCE_FOREIGN": "free"},
        report="""
realloc of {pointer}, which OpenSSL never allocated (memory of the program), passed to libc
  realloc      {now}  {main}
""",
    ),
]
