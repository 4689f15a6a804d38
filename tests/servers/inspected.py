"""Does freeonce heap read nginx while it works: each look succeeds, no client is lost, and held connections are counted?"""

import collections
import json

import harness
import nginx

HELD = 12


def look(stage, pid):
    """The live blocks of a process: those of each line."""
    status, text = stage.run("heap", [stage.freeonce, "heap", "--json", pid], preload=False)
    stage.check("exit status of freeonce heap", 0, f"{status}: {text}", status == 0)
    shown = json.loads(text)
    stage.check("all of it was read", True, shown["blocks"], shown["blocks"]["complete"])
    return {(row["file"], row["line"]): row["blocks"] for row in shown["rows"]}


def look_at_all(stage, server):
    lines = collections.Counter()
    workers = sorted(server.children())
    for pid in workers[:1] if stage.backend == "shm" else workers:  # one heap for all
        lines.update(look(stage, pid))
    return lines


def test(stage, _):
    server, port, _ = nginx.start(stage)
    pids = {server.pid} | server.children()
    load = stage.load(port, 3000, "http", "mixed")
    looks = 0
    while load.running() and load.result() is None:
        for pid in pids:
            lines = look(stage, pid)
            stage.check("live blocks", "more than 1000", sum(lines.values()), sum(lines.values()) > 1000)
        looks += 1
    stage.check_served("traffic meanwhile", stage.result_of(load))
    stage.check("looks while clients came", "at least 5", looks, looks >= 5)
    harness.step(f"{looks} looks at {len(pids)} processes under traffic, no client lost")

    before = look_at_all(stage, server)
    load = stage.load(port, HELD, "http", "good", "--hold", HELD)
    stage.check_served("connections that stay", stage.result_of(load))
    after = look_at_all(stage, server)
    grown = {line for line in after if line[0] == "ssl/ssl_lib.c" and after[line] - before[line] == HELD}
    stage.check(f"a line of ssl/ssl_lib.c has {HELD} blocks more", True, after - before, bool(grown))
    for pid in sorted(pids):
        status, text = stage.run("status", [stage.freeonce, "status", pid], preload=False)
        stage.check("nginx is guarded", 0, f"{status}: {text}", status == 0 and "(nginx): guarded" in text)
    stage.check("exit status of nginx", 0, stage.stop(server))
    stage.check_no_crash(server)
    stage.check_silent()
    harness.step(f"{HELD} connections are {HELD} blocks; all processes are guarded, in silence")


if __name__ == "__main__":
    harness.main(test, __doc__)
