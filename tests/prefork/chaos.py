"""Does the server still answer while workers are killed at random instants?  The parent kills them, in
rounds; the sums may be kept in a file, so that ten thousand kills can be spread over several runs."""

import json
import pathlib
import re
import time

from modes import combinations, keep, say

HANG_SECONDS = 20  # on a busy machine a healthy worker may wait for a processor
ROUND = 500  # kills by one server
COUNTERS = (
    "rounds kills good broken client_hung hangs excused crashed findings left sick walks wrong lost restless"
).split()


def load_state(path):
    state = dict.fromkeys(COUNTERS, 0)
    state["notes"] = []
    if path is not None and path.exists():
        state.update(json.loads(path.read_text()))
    return state


def save_state(path, state):
    if path is not None:
        new = path.with_suffix(".new")
        new.write_text(json.dumps(state, indent=1) + "\n")
        new.replace(path)


def note(state, text):
    say(f"  {text}")
    if len(state["notes"]) < 100:
        state["notes"].append(text)


def play(field, options, state, kind, tls, deadline):
    """One server, at most ROUND kills; clients connect until the kills are done."""
    wanted = min(ROUND, options.kills - state["kills"])

    def over(page):
        head, walks = page.head(), page.walked()["count"]
        done = head["kills"] >= wanted and walks >= wanted // options.walk_every
        return done or head["restless"] != 0 or time.monotonic() > deadline

    seed = state["rounds"] + 1
    more = ["--hand-over"] if options.flavour != "stock" and state["rounds"] % 2 else []
    run = field.run(
        options.flavour, kind, tls, 100000000,
        server=["--workers", options.workers, "--kills", wanted, "--kill-every",
                options.kill_every, "--walk-every", options.walk_every, "--seed", seed,
                "--timeout", 1500, "--verbose", *more, *keep(options)],
        load=["--deadline", 2000, "--resume", 30, "--lines", 2], watch=over, limit=HANG_SECONDS,
    )
    add(state, run, f"round {seed} ({kind}, TLS 1.{tls - 10}{', hand-over' if more else ''})")


def add(state, run, name):
    state["rounds"] += 1
    state["kills"] += run.head["kills"]
    state["good"] += int(run.load["good"])
    state["broken"] += int(run.load["broken"])
    state["client_hung"] += int(run.load["hung"])
    state["crashed"] += run.head["crashed"]
    state["findings"] += len(run.findings)
    state["left"] += run.left
    state["lost"] += run.walked["lost"]
    state["walks"] += run.walked["count"] if run.walked["state"] == "done" else 0
    state["wrong"] += run.walked["wrong"]
    state["restless"] += run.head["restless"] != 0
    state["hangs"] += bool(run.hangs)
    state["excused"] += bool(run.hangs) and all(dead for _, dead in run.hangs)
    sick = run.load["broken"] > run.load["good"] + 10 * run.head["kills"]
    state["sick"] += sick
    walked = run.walked
    say(
        f"{name}: kills {run.head['kills']} good {run.load['good']:.0f} broken"
        f" {run.load['broken']:.0f} hung {run.load['hung']:.0f} crashed {run.head['crashed']}"
        f" walk {walked['state']} live {walked['live']} lost {walked['lost']}"
        f" wrong {walked['wrong']} {walked['text']} locks left {run.left}"
    )
    if sick:
        note(state, f"{name}: most clients fail: " + "; ".join(sorted(set(
            re.sub(r"worker \d+", "a worker", line) for line in run.said.splitlines()
            if line.startswith("prefork: worker")))[:8]))
    for text, dead in run.hangs:
        note(state, f"{name}: hangs{' on a dead owner' if dead else ''}: {text}")
    for headline in run.findings[:3]:
        note(state, f"{name}: {headline}")
    if run.head["restless"]:
        note(state, f"{name}: worker {run.head['restless'] - 1} did not come to rest for a walk")
    for line in run.said.splitlines():
        if "crashed in phase" in line:
            note(state, f"{name}: {line}")


def chaos(field, options):
    """Workers are killed and replaced under traffic: no hang, no crash, no finding."""
    path = pathlib.Path(options.state) if options.state else None
    state = load_state(path)
    deadline = time.monotonic() + options.seconds
    rows = combinations(options)
    while state["kills"] < options.kills and time.monotonic() < deadline:
        before = state["kills"]
        play(field, options, state, *rows[state["rounds"] % len(rows)], deadline)
        save_state(path, state)
        if state["kills"] == before:
            note(state, "a round without a kill")
            break
    say("chaos: " + " ".join(f"{name} {state[name]}" for name in COUNTERS))
    bad = [
        f"{state[name]} {name}"
        for name in ("crashed", "findings", "sick", "wrong", "restless")
        if state[name]
    ]
    if state["hangs"] > state["excused"]:
        bad.append(f"{state['hangs']} rounds ended in a hang, {state['excused']} of them because"
                   " a killed process had a lock")
    if state["lost"] > state["kills"]:
        bad.append(f"{state['lost']} blocks lost, more than the {state['kills']} kills may cost")
    if state["good"] == 0:
        bad.append("no client was answered")
    if state["kills"] < options.kills:
        say(f"{state['kills']} of {options.kills} kills in {options.seconds} s;"
            " call again with the same --state to go on")
    return bad
