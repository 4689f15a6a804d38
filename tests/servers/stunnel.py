"""Does stunnel work with the library preloaded: mutual TLS, reload and stop, in silence?

stunnel links libcrypto and registers memory functions of its own before any allocation: they are
adopted as the backend "host".  It serves each client in a thread.
"""

import signal
import socket
import threading

import harness

CONFIGURATION = """
foreground = yes
pid =
debug = notice
[echo]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{backend}
cert = {certs}/server.pem
key = {certs}/server.key
CAfile = {certs}/ca.pem
verifyChain = yes
"""

RELOADED = "Configuration successful"


def echo(connection):
    with connection:
        try:
            while data := connection.recv(4096):
                connection.sendall(data)
        except OSError:
            pass  # the client's right


def start_backend():
    """Where stunnel sends the plain traffic: an echo, in threads of this test."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def start(stage, backend, **settings):
    port = stage.port()
    text = CONFIGURATION.format(certs=stage.certs, port=port, backend=backend)
    config = stage.file(f"stunnel-{port}.conf", text)
    return stage.start("stunnel", [harness.need("stunnel4"), config], port, **settings), port


def test(stage, _):
    harness.need("stunnel4")
    backend = start_backend()
    server, port = start(stage, backend, verbose=True)
    stage.check_served("first clients", stage.result_of(stage.load(port, 20, "echo")))
    stage.check("exit status of stunnel", 0, stage.stop(server))
    stage.check_in_first(also="host")
    harness.step("the library is in first, and has adopted stunnel's functions")

    server, port = start(stage, backend)
    stage.check_refused(port, "echo")
    stage.check_served("mutual TLS", stage.result_of(stage.load(port, 400, "echo", "mixed")))
    harness.step("mutual TLS: clients with a certificate are served, others are refused")

    def reload():
        before = server.text().count(RELOADED)
        server.send(signal.SIGHUP)
        stage.wait_until("stunnel has reloaded", lambda: server.text().count(RELOADED) > before)

    # A reload closes the listening socket and opens it again: clients that wait there are rejected
    # by every stunnel, and tries again.
    load = stage.load(port, 1500, "echo", "mixed", "--retry", 100)
    during = stage.reload_under_traffic(load, reload)
    stage.check_served("traffic while stunnel reloads", stage.result_of(load))
    harness.step(f"{during} reloads under traffic, every client served")

    load = stage.load(port, 40, "echo", "good", "--hold", 8)
    stage.check_served("traffic after the reloads", stage.result_of(load))
    stage.check("exit status of stunnel", 0, stage.stop(server))
    stage.check_no_crash(server)
    stage.check_silent()
    harness.step("a stop with connections open, in silence")


if __name__ == "__main__":
    harness.main(test, __doc__)
