"""ProFTPD on backend shm, where it must not run: its children set up the context that they inherited.  Is that refused
and reported, with the advice, instead of double frees that are none?
"""

import re

import fleet_clients
import fleet_servers
import harness

CLIENTS = 20


def test(stage, _):
    server = fleet_servers.Proftpd(stage)
    argv = server.argv()
    stage.log.touch()
    stage.log.chmod(0o666)  # its children are another user
    process = stage.start("proftpd", argv, server.port)
    server.started(process)
    for kind in ("good", "no certificate", "wrong CA"):
        seen = fleet_clients.visits(server.doors()[0], stage.certs, kind, CLIENTS)
        if kind != "good":
            stage.check(f"clients, {kind}, answered like good ones", 0, seen.get(server.good_answer, 0))
    stage.check("exit status", 0, stage.stop(process))
    stage.check_no_crash(process)
    findings = re.findall(r"^freeonce: (?!seen |findings of )(.*)$", stage.log.read_text(), re.M)
    changes = [line for line in findings if "which another process made, refused; a server that does so needs" in line]
    stage.check("changes of the parent's context that are reported", "at least 1", len(changes), len(changes) > 0)
    stage.check("other findings", [], [line for line in findings if line not in changes])
    harness.step(f"{len(changes)} kinds of change are refused and reported, and no double free")


if __name__ == "__main__":
    harness.main(test, __doc__)
