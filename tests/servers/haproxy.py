"""Does the recipe for HAProxy work: master-worker mode, re-execution, chroot and another user?

The master executes itself anew when it has started and at every reload, and hands on its
environment; but `resetenv` in the configuration takes away what it does not name.  Since HAProxy 3.1
the worker alone reads that, and the master keeps its environment.
"""

import os
import pathlib
import re
import signal
import subprocess
import time

import findings
import harness
import recipes

USER = "haproxy"
LOADED = "Loading success."  # a worker started; and what the master says then

CONFIGURATION = """
global
    {resetenv}
    chroot {dir}/jail
    user {user}
    group {user}
    nbthread 2
    stats socket {dir}/admin.sock mode 600 level admin expose-fd listeners
defaults
    mode http
    timeout connect 10s
    timeout client 30s
    timeout server 30s
frontend tests
    bind 127.0.0.1:{port} ssl crt {dir}/server.pem ca-file {certs}/ca.pem verify required
    http-request return status 200 content-type text/plain string "hello"
"""


def start(stage, values, resetenv=""):
    port = stage.port()
    folder = stage.folder(f"haproxy-{port}")
    (folder / "jail").mkdir()
    both = [(stage.certs / name).read_text() for name in ("server.pem", "server.key")]
    stage.file(f"{folder.name}/server.pem", "".join(both))
    text = CONFIGURATION.format(
        dir=folder, certs=stage.certs, port=port, user=USER, resetenv=resetenv
    )
    config = stage.file(f"{folder.name}/haproxy.cfg", text)
    argv = [harness.need("haproxy"), "-W", "-f", config, "-p", folder / "pid"]
    server = stage.start("haproxy", argv, port, preload=bool(values), **values)
    stage.wait_until("haproxy's worker is there", server.children)
    return server, port


def reload(stage, server):
    """SIGUSR2: the master executes itself anew, and starts another worker.  One that comes while it
    still does so from the time before is lost."""
    before = server.children()
    told = server.text().count(LOADED)

    def loaded():
        server.send(signal.SIGUSR2)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and server.text().count(LOADED) == told:
            time.sleep(0.05)
        return server.text().count(LOADED) > told

    stage.wait_until("haproxy has loaded its configuration anew", loaded)
    stage.wait_for_new_workers(server, before)


def check_processes(stage, what, server, guarded):
    """The master, and a worker that has changed its root and its user."""
    (worker,) = server.children()
    uid = recipes.uid_of(USER)  # it accepts before it has changed
    stage.wait_until(f"the worker's user is {uid}", lambda: recipes.status_of(worker, "Uid") == uid)
    root = pathlib.Path(os.readlink(f"/proc/{worker}/root"))
    stage.check("root of the worker", "jail", root.name)
    recipes.check_guarded(stage, what, {server.pid, worker}, 2, guarded)


def stop(stage, server):
    status = stage.stop(server)
    stage.check("exit status of haproxy", "0 or 143", status, status in (0, 143))
    stage.check_no_crash(server)
    stage.check("'signal' in haproxy's log", False, "by signal" in server.text())


def version():
    said = subprocess.run([harness.need("haproxy"), "-v"], capture_output=True, text=True, check=True).stdout
    return tuple(int(number) for number in re.search(r"version (\d+)\.(\d+)", said).groups())


def test_without(stage):
    server, port = start(stage, {})
    stage.check_served("bare haproxy", stage.result_of(stage.load(port, 20, "http")))
    check_processes(stage, "without the recipe", server, guarded=False)
    stop(stage, server)

    server, port = start(stage, recipes.variables(stage), resetenv="resetenv PATH")
    reload(stage, server)
    stage.check_served("after resetenv", stage.result_of(stage.load(port, 20, "http")))
    keeps = version() >= (3, 1)
    check_processes(stage, "with resetenv, after a reload", server, guarded=keeps)
    stop(stage, server)
    recipes.forget(stage)
    harness.step(f"without the recipe{'' if keeps else ', or with a bare resetenv,'} no process has the library")


def test_finding(stage):
    """In the worker of the second generation; resetenv names what must stay."""
    values = recipes.variables(stage, "haproxy", USER, verbose=True)
    server, port = start(stage, values, resetenv=" ".join(["resetenv PATH", *values]))
    check_processes(stage, "at first", server, guarded=True)
    reload(stage, server)
    check_processes(stage, "after a reload", server, guarded=True)
    (worker,) = server.children()
    stage.check_served("clients", stage.result_of(stage.load(port, 20, "http", "mixed")))
    stop(stage, server)
    if stage.lib is not None:
        found = findings.parse(findings.read(stage.log))
        pids = [one.sites["freed again"].pid for one in found if findings.is_complete(one)]
        stage.check("processes with a finding", f"among them {worker}", pids, worker in pids)
    recipes.check_journal(stage, True)
    stage.check_in_first()
    recipes.forget(stage)
    harness.step("a finding in a worker after re-execution, chroot and change of user arrives")


def test_reloads(stage):
    server, port = start(stage, recipes.variables(stage))
    stage.check_refused(port, "http")
    load = stage.load(port, 1500, "http", "mixed")
    during = stage.reload_under_traffic(load, lambda: reload(stage, server))
    stage.check_served("traffic while haproxy reloads", stage.result_of(load))
    check_processes(stage, "after the reloads", server, guarded=True)
    harness.step(f"{during} reloads under traffic, no client lost")

    load = stage.load(port, 40, "http", "good", "--hold", 8)
    stage.check_served("traffic after the reloads", stage.result_of(load))
    stop(stage, server)
    stage.check_silent()
    recipes.check_journal(stage, False)
    harness.step("a stop with connections open, in silence")


def test(stage, _):
    recipes.need_root("haproxy changes root and user")
    harness.need("haproxy")
    recipes.uid_of(USER)
    test_without(stage)
    test_finding(stage)
    test_reloads(stage)


if __name__ == "__main__":
    harness.main(test, __doc__)
