"""Has the library reached the processes of a server that makes its workers' environment anew?

Shared by the tests of the recipes in docs/servers: what a recipe puts into the environment, which
processes have the library, and the finding that tests/tools/plant.c makes in one of them.
"""

import os
import pathlib

import findings
import harness


def variables(stage, verbose=False, plant=None, log=None):
    """What a recipe sets; plant names the program that is to make a finding.  Without --lib,
    nothing: the bare server."""
    if stage.lib is None:
        return {}
    values = {
        "LD_PRELOAD": str(stage.lib),
        "FREEONCE_LOG": str(log or stage.log),
        "FREEONCE_JOURNAL": str(pathlib.Path(log or stage.log).with_suffix(".journal")),
    }
    if verbose:
        values["FREEONCE_VERBOSE"] = "1"
    if plant is not None:
        values["LD_PRELOAD"] += f":{stage.plant}"
        values["PLANT_PROGRAM"] = plant
    return values


def maps(pid):
    try:
        return pathlib.Path("/proc", str(pid), "maps").read_text()
    except OSError:
        return ""  # it has ended since


def name(pid):
    """The program's file name: servers write what they like over their arguments."""
    try:
        return pathlib.Path("/proc", str(pid), "exe").resolve().name
    except OSError:
        return ""


def users_of(openssl, pids):
    """[(program, maps)] of the processes that have libssl, or libcrypto.  Each is looked at once: one that ends
    meanwhile uses neither."""
    seen = [(name(pid), maps(pid)) for pid in pids]
    return [(program, text) for program, text in seen if program and f"/{openssl}.so" in text]


def check_reached(stage, pids, programs, reached=True):
    """All processes that do TLS, among them each of these programs, have the library, or none."""
    tls = users_of("libssl", pids)
    seen = sorted({program for program, _ in tls})
    stage.check("programs with libssl", f"among them {programs}", seen, set(programs) <= set(seen))
    if stage.lib is None:
        return
    guarded = sorted({program for program, text in tls if stage.lib.name in text})
    missing = sorted({program for program, text in tls if stage.lib.name not in text})
    if reached:
        stage.check("programs with libssl and without the library", [], missing)
    else:
        stage.check("programs with the library, without the recipe", [], guarded)


def check_finding(stage, program, log=None, beside=None):
    """The planted double free has arrived, complete, made by this program, in another process
    than this one: its workers'."""
    if stage.lib is None:
        return

    def made():
        found = findings.parse(findings.read(log or stage.log))
        return [one for one in found if findings.is_complete(one)]

    stage.wait_until(f"a finding of {program} in the log", made)
    seen = {one.sites["freed again"].program for one in made()}
    stage.check("programs with a finding", {program}, seen)
    pids = {one.sites["freed again"].pid for one in made()}
    stage.check("processes with a finding", f"others than {beside}", pids, beside not in pids)


def check_silent(stage, server_log, log=None):
    """No word from the library: in its log, which is where words would have gone, nor in the
    server's, where its stderr leads."""
    if stage.lib is not None:
        path = pathlib.Path(log or stage.log)
        stage.check("freeonce's log was opened at start", True, path.exists())
        stage.check("freeonce's log", "", findings.read(path))
        words = [row for row in findings.read(server_log).splitlines() if "freeonce:" in row]
        stage.check("freeonce in the server's log", [], words)


def check_ended(stage, program, pid, status, log):
    """A daemon that the test has adopted ends with this status after it was told to stop."""
    seen = []

    def ended():
        found, raw = os.waitpid(pid, os.WNOHANG)
        seen.append(harness.named_status(os.waitstatus_to_exitcode(raw)))
        return found == pid

    stage.wait_until(f"{program} ends", ended)
    stage.check(f"exit status of {program}", status, seen[-1])
    stage.wait_until(f"no process of {program} is left", lambda: not stage.leftovers())
    crash = harness.CRASH_WORDS.search(pathlib.Path(log).read_text(errors="replace"))
    stage.check(f"{program} logs no crash", None, crash)


def step_planted(program):
    harness.step(f"a finding made in {program} is reported where the recipe says")
