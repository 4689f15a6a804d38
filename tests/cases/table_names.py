"""Each wrong pointer has one right report, on every backend, with the defaults and the options of `freeonce --ci`."""

import dataclasses
import re

from model import EVERY, UNGUARDED, Case, expected

CI = {
    "FREEONCE_QUARANTINE": "4M",
    "FREEONCE_FILL": "1",
    "FREEONCE_CANARY": "1",
}
SETTINGS = {"": {}, "-ci": CI}


def names_every_size(distance):
    """For blocks of 1 to 1,000 bytes, each with a source line of its own."""
    how_far = {0: "at", 1: "1 byte behind"}.get(distance, f"{distance} bytes behind")

    def check(outcome):
        line = (
            rf"freeonce: free of (0x[0-9a-f]+), {how_far} the end of block (0x[0-9a-f]+) \((\d+) bytes\), skipped\n"
            r"  allocated    alloc\.c:(\d+) .*\n  freed now    free\.c:(\d+) .*\n"
        )
        found = re.findall(line, outcome.log)
        for size, names in enumerate(found, start=1):
            pointer, block = int(names[0], 16), int(names[1], 16)
            if pointer != block + size + distance or {int(n) for n in names[2:]} != {size}:
                return f"size {size} is named {names}"
        return None if len(found) == 1000 and re.sub(line, "", outcome.log) == "" else f"{len(found)} are named"

    return check


# To a file: findings that do not fit into a pipe are not printed.
LOG = {"FREEONCE_LOG": "{dir}/log"}


def every_size(name, distance, env):
    check = names_every_size(distance)
    return Case(name, f"faults end-{distance}", backends=EVERY, env=env | LOG, log="{dir}/log", check=check)


END_REALLOC = """
realloc of {pointer}, at the end of block {block} (100 bytes), answered NULL
  allocated    {alloc}  {main}
  realloc      {now}  {main}
"""

BEHIND_FREED = """
free of {pointer}, at the end of freed block {block} (100 bytes), skipped
  allocated    {alloc}  {main}
  freed first  {first}  {main}
  freed now    {now}  {main}
"""

# Few tombstones, and no quarantine.
FORGETFUL = {"FREEONCE_QUARANTINE": "0", "FREEONCE_TOMBSTONES": "64"}
FORGOTTEN = """
double free of block {block}, first free no longer known%s, skipped
  freed again  {now}  {main}
"""
FORGOTTEN_REALLOC = """
realloc of freed block {block}, its free no longer known%s, answered NULL
  realloc      {now}  {main}
"""
OR_NOT = " (or the memory is the program's by now)"


FOREIGN = """
{verb} of {{pointer}}, which OpenSSL never allocated ({memory}), {answer}
  {label}    {{now}}  {who}
"""
UNUSED = "unused memory of its heap"


def never_allocated(name, run, backends, env, memory=UNUSED, who="{main}"):
    free = {"verb": "free", "answer": "skipped", "label": "freed now"}
    realloc = {"verb": "realloc", "answer": "answered NULL", "label": "realloc"}
    return [
        Case(
            f"{operation['verb']}-of-{name}",
            f"faults {option}{run}",
            FOREIGN.format(memory=memory, who=who, **operation),
            backends,
            env,
        )
        for option, operation in (("", free), ("--realloc ", realloc))
    ]


MEMBER = """
free of block 0x5555555555555555, read from a freed block (perhaps {block}, 40 bytes), skipped
  allocated    {alloc}  {main}
  freed first  {first}  {main}
  freed now    {now}  {main}
"""
PATTERN = """
free of block 0x5555555555555555, read from a freed block, skipped
  freed now    {now}  {main}
"""


def certificate_is_named(outcome):
    report = (
        r"freeonce: free of X509 0x5{16}, read from a freed block \(perhaps (0x[0-9a-f]+), 40 bytes\), skipped\n"
        r"  allocated    names\.c:.*\n  freed first  names\.c:.*\n  freed now    by faults.*\n"
    )
    found = re.fullmatch(report, outcome.errors)
    return None if found and found[1] == outcome.facts["block"] else "the block is not named"


def object_is_named(outcome):
    line = r"freeonce: double free of EVP_MD_CTX (0x[0-9a-f]+), first free no longer known, skipped\n  freed again  by faults.*\n"
    found = re.search(line, outcome.errors)
    return None if found and found[1] == outcome.facts["block"] else "the object is not named"


def forgotten(name, backends, env, run="forgotten", note=""):
    env = env | FORGETFUL
    return [
        Case(name, f"faults {run}", FORGOTTEN % note, backends, env),
        Case(f"{name}-kept-from-libc", f"faults {run}", FORGOTTEN % note, backends, env | {"FREEONCE_FOREIGN": "free"}),
        Case(f"realloc-of-{name}", f"faults --realloc {run}", FORGOTTEN_REALLOC % note, backends, env),
        Case(
            f"realloc-of-{name}-kept-from-libc",
            f"faults --realloc {run}",
            FORGOTTEN_REALLOC % note,
            backends,
            env | {"FREEONCE_FOREIGN": "free"},
        ),
    ]


def is_all_but_full(report):
    """For the error of a realloc, OpenSSL 4 loads its texts of errors: more than 1,000 blocks, of which few are guarded here."""

    def check(outcome):
        wanted = expected(report, outcome.values)
        full = r"(freeonce: guard: no more blocks may be guarded \(.*\n)?"
        rest = outcome.errors[len(wanted) :]
        return None if outcome.errors.startswith(wanted) and re.fullmatch(full, rest) else f"expected {wanted}"

    return check


CASES = [
    case
    for setting, env in SETTINGS.items()
    for case in (
        every_size(f"end-of-every-size{setting}", 0, env),
        every_size(f"behind-every-size{setting}", 1, env),
        Case(f"realloc-of-end{setting}", "faults --realloc end", END_REALLOC, EVERY, env),
        Case(f"end-of-freed{setting}", "faults end-of-freed", BEHIND_FREED, EVERY, env),
    )
] + [
    case
    for cases in (
        forgotten("forgotten", ("libc", "host", "host8", "shared", "plugin"), {}, note=OR_NOT),
        forgotten("forgotten-ci", ("libc", "host", "host8", "shared", "plugin"), CI, note=OR_NOT),
        forgotten("forgotten-ci", ("arena", "shm"), CI),
        # Addresses are used again after 64 blocks.
        [
            dataclasses.replace(case, check=is_all_but_full(case.report))
            for case in forgotten("forgotten", ("guard",), {"FREEONCE_GUARD_MAX": "16"}, "forgotten-large")
        ],
        never_allocated("never-out", "never-out", ("arena", "shm"), {}),
        never_allocated("never-out-ci", "never-out", ("arena", "shm"), CI),
        never_allocated("never-out-far", "never-out-far", ("arena", "shm", "guard"), {}),
        never_allocated("never-out-far-ci", "never-out-far", ("arena", "shm", "guard"), CI),
        *(
            never_allocated(
                f"block-of-parent{setting}",
                "block-of-parent",
                ("arena", "guard"),
                env,
                f"{UNUSED} here; perhaps a block of another process",
                "{forked}",
            )
            + never_allocated(
                f"block-of-parent-large{setting}",
                "block-of-parent-large",
                ("arena",),
                env,
                "unmapped memory here; perhaps a block of another process",
                "{forked}",
            )
            for setting, env in SETTINGS.items()
        ),
        # A read of a guarded block faults.
        [
            Case("member-of-freed", "faults member-of-freed", MEMBER, UNGUARDED, CI),
            Case("realloc-of-member-of-freed", "faults --realloc member-of-freed", re.sub(
                "free of(.*)skipped", r"realloc of\1answered NULL", MEMBER).replace("freed now", "realloc  "),
                 UNGUARDED, CI),
            Case("object-of-freed", "faults certificate-of-freed", backends=UNGUARDED, env=CI, check=certificate_is_named),
            Case("pattern", "faults pattern", PATTERN, env=CI),
            Case("member-of-freed-kept-from-libc", "faults member-of-freed", MEMBER, UNGUARDED,
                 CI | {"FREEONCE_FOREIGN": "free"}),
        ],
        # Only with these backends: elsewhere the object may be the program's by now.
        [
            Case("forgotten-object", "faults forgotten-object", backends=backends, env=env | FORGETFUL, check=object_is_named)
            for backends, env in ((("arena", "shm"), CI), (("guard",), {"FREEONCE_GUARD_MAX": "16"}))
        ],
    )
    for case in cases
]
