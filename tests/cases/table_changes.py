"""Objects that another process made: in the shared heap they cannot be changed; other memory is not checked."""

import re

from model import PRIVATE, Case

ADVICE = "a server that does so needs FREEONCE_BACKEND=arena"
OPTION = "FREEONCE_SHM_CHANGES"


def reported(function, kind, answer, count=1):
    """So many findings, each once, with the maker, the caller and the address of the call."""
    pattern = (
        rf"freeonce: {function} of {kind} 0x[0-9a-f]+ \(\d+ bytes\), which another process made, {answer}; {ADVICE}\n"
        r"  allocated    [\w./-]+\.c:\d+ +pid (\d+) \(faults\)(?:, forked from .*)?\n"
        r"  called       by faults\+0x[0-9a-f]+ +pid (\d+) \(faults\), forked from .*\n"
    )

    def check(outcome):
        found = re.findall(pattern, outcome.errors)
        if outcome.status != 0 or len(found) != count or len(re.sub(pattern, "", outcome.errors)) != 0:
            return f"status {outcome.status}, expected {count} findings, got\n{outcome.errors}"
        for name, value in outcome.case.facts.items():
            if outcome.facts.get(name) != value:
                return f"{name} is {outcome.facts.get(name)}, not {value}"
        if "child" in outcome.facts and found[0][1] != outcome.facts["child"]:
            return f"the child is {outcome.facts['child']}, not {found[0][1]}"
        return "maker and caller are one" if any(maker == caller for maker, caller in found) else None

    return check


def every_function(outcome):
    """The arguments are nonsense: a call that is not refused crashes."""
    if outcome.status != 0 or outcome.facts.get("enough") != "yes" or outcome.facts.get("all") != "refused":
        return f"status {outcome.status}, {outcome.facts}"
    return None if f"refused; {ADVICE}" in outcome.errors else f"not reported:\n{outcome.errors}"


def what_is_held(outcome):
    """Five calls, and a finding for each."""
    kinds = {
        "X509_STORE_set_flags": "X509_STORE",
        "X509_VERIFY_PARAM_set_flags": "X509_VERIFY_PARAM",
        "X509_add1_reject_object": "X509",
        "X509_CRL_set_version": "X509_CRL",
        "EVP_PKEY_set_type": "EVP_PKEY",
    }
    pattern = rf"freeonce: (\w+) of (\w+) 0x[0-9a-f]+ \(\d+ bytes\), which another process made, refused; {ADVICE}\n"
    found = re.findall(pattern, outcome.errors)
    if outcome.status != 0 or found != list(kinds.items()):
        return f"status {outcome.status}, got {found} in\n{outcome.errors}"
    return next((f"{k} is {outcome.facts.get(k)}" for k, v in HELD.items() if outcome.facts.get(k) != v), None)


HELD = {"before": "1", "refused": "5", "verified": "1", "rejects": "nothing", "version": "0", "key": "EC"}
REFUSED = reported("SSL_CTX_set_verify", "SSL_CTX", "refused")
LET_THROUGH = reported("SSL_CTX_set_verify", "SSL_CTX", "let through")
KEPT = {"in-child": "3", "in-parent": "3"}
CHANGED = {"in-child": "0", "in-parent": "0"}

CASES = [
    Case("change-in-child", "faults change-in-child", backends=("shm",), facts=KEPT, check=REFUSED),
    Case("change-in-child-refused", "faults change-in-child", backends=("shm",), env={OPTION: "refuse"}, facts=KEPT, check=REFUSED),
    Case("change-in-child-reported", "faults change-in-child", backends=("shm",), env={OPTION: "report"}, facts=CHANGED, check=LET_THROUGH),
    Case("change-in-child-allowed", "faults change-in-child", backends=("shm",), env={OPTION: "allow"}, facts=CHANGED),
    # Without the cures, too.
    Case("change-in-child-uncured", "faults change-by-a-sibling", backends=("shm",), env={"FREEONCE_CURES": "locks,identity,state"},
         facts={"in-maker": "3", "in-sibling": "3"}, check=REFUSED),
    Case("change-by-every-function", "faults change-by-every-function", backends=("shm",), check=every_function),
    Case("change-by-command", "faults change-by-command", backends=("shm",), facts=KEPT | {"answer": "0"},
         check=reported("SSL_CONF_cmd", "SSL_CONF_CTX", "refused")),
    Case("change-what-is-held", "faults change-what-is-held", backends=("shm",), check=what_is_held),
    Case("change-what-is-held-allowed", "faults change-what-is-held", backends=("shm",), env={OPTION: "allow"},
         facts={"before": "1", "refused": "0", "rejects": "some", "version": "1", "key": "changed"}),
    Case("change-what-is-passed", "faults change-what-is-passed", backends=("shm",)),
    Case("change-by-a-sibling", "faults change-by-a-sibling", backends=("shm",), facts={"in-maker": "3", "in-sibling": "3"}, check=REFUSED),
    Case("change-by-its-maker", "faults change-by-its-maker", backends=("shm",), facts={"own": "1", "parents": "1"}),
    Case("read-in-child", "faults read-in-child", backends=("shm", *PRIVATE)),
    Case("change-parameters", "faults change-parameters", backends=("shm",), facts={"of-connection": "1", "of-context": "0"},
         check=reported("X509_VERIFY_PARAM_set1_host", "X509_VERIFY_PARAM", "refused")),
    Case("change-in-background", "faults change-in-background", backends=("shm", "arena"), facts={"mode": "1"}),
    Case("change-beside-a-worker", "faults change-beside-a-worker", backends=("shm",), facts={"mode": "3"}, check=REFUSED),
    # In private memory and in a pool of the program: as without the library.
    Case("change-in-child-private", "faults change-in-child", backends=PRIVATE, facts={"in-child": "0", "in-parent": "3"}),
    Case("change-in-child-of-a-pool", "faults change-in-child", backends=("shared",), facts=CHANGED),
]
