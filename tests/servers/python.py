"""Does Python work with the library preloaded: mutual TLS in forked workers, reload and stop, and in
children that are forked for one connection each?

Debian's python3 opens libcrypto with dlopen, through its extension module _ssl.
"""

import pathlib
import signal
import sys

import harness

PROGRAM = pathlib.Path(__file__).resolve().with_name("python_tls.py")
INTERPRETER = "/usr/bin/python3"  # Debian's, whichever python3 comes first in PATH
WORKERS = 4


def start(stage, role="server", **settings):
    port = stage.port()
    argv = [harness.need(INTERPRETER), PROGRAM, role, port, stage.certs, WORKERS]
    return stage.start("python3", argv, port, **settings), port


def run_client(stage, port, count, **settings):
    argv = [INTERPRETER, PROGRAM, "client", port, stage.certs, count]
    status, text = stage.run("python3-client", argv, seconds=120, **settings)
    stage.check("exit status of the Python client", 0, f"{status}: {text}", status == 0)


def test_load_line(stage):
    """Server and client each print the line."""
    server, port = start(stage, verbose=True)
    stage.check_served("first clients", stage.result_of(stage.load(port, 20, "echo")))
    stage.check("exit status of the Python server", 0, stage.stop(server))
    stage.check_in_first()
    server, port = start(stage)
    run_client(stage, port, 5, verbose=True)
    stage.check_in_first()
    stage.check("exit status of the Python server", 0, stage.stop(server))
    harness.step("the library is in first, in server and client")


def test_a_child_for_each_connection(stage):
    if stage.backend == "shm" and sys.version_info >= (3, 12):
        print("skipped  a_child_for_each_connection: the parent's close() marks the SSL that it shares with the child"
              " as shut down, since Python 3.12")
        return
    server, port = start(stage, "forking")
    stage.check_served("a child each", stage.result_of(stage.load(port, 200, "echo", "mixed")))
    stage.check_served("and more", stage.result_of(stage.load(port, 200, "echo", "mixed")))
    stage.check("exit status of the Python server", 0, stage.stop(server))
    stage.check_no_crash(server)
    stage.check_silent()
    harness.step("a child for each connection, which its parent made and closes, in silence")


def test(stage, _):
    test_load_line(stage)
    server, port = start(stage)
    stage.check_refused(port, "echo")
    stage.check_served("mutual TLS", stage.result_of(stage.load(port, 400, "echo", "mixed")))
    run_client(stage, port, 50)
    harness.step("mutual TLS: clients with a certificate are served, others are refused")

    def reload():
        before, done = server.children(), server.text().count("reloaded")
        server.send(signal.SIGHUP)
        stage.wait_until("Python has reloaded", lambda: server.text().count("reloaded") > done)
        stage.wait_for_new_workers(server, before)

    load = stage.load(port, 1500, "echo", "mixed")
    during = stage.reload_under_traffic(load, reload)
    stage.check_served("traffic while workers are replaced", stage.result_of(load))
    harness.step(f"{during} reloads under traffic, no client lost")

    # Fewer held connections than workers: each occupies one.
    load = stage.load(port, 40, "echo", "good", "--hold", WORKERS - 1)
    stage.check_served("traffic after the reloads", stage.result_of(load))
    stage.check("exit status of the Python server", 0, stage.stop(server))
    stage.check_no_crash(server)
    stage.check_silent()
    harness.step("a stop with connections open, in silence")
    test_a_child_for_each_connection(stage)


if __name__ == "__main__":
    harness.main(test, __doc__)
