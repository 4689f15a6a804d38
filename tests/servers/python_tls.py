"""What do Python programs do with OpenSSL?  Run by python.py, never by itself.

    python_tls.py server PORT CERTS WORKERS   a prefork echo server that demands certificates:
                                              SIGHUP forks new workers, SIGTERM ends it
    python_tls.py forking PORT CERTS ANY      forks for each client, once it has its certificate: the
                                              parent closes its copy of the connection, the child goes
                                              on with the other
    python_tls.py client PORT CERTS COUNT     COUNT clients in this process, COUNT in a child of it
"""

import os
import signal
import socket
import socketserver
import ssl
import sys


def make_context(purpose, certs, name):
    context = ssl.create_default_context(purpose, cafile=f"{certs}/ca.pem")
    context.load_cert_chain(f"{certs}/{name}.pem", f"{certs}/{name}.key")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


# --- server ---


def wait_for_end(client, stopping):
    """Waits until the client closes the connection, or the worker is to stop."""
    client.settimeout(0.2)
    while not stopping:
        try:
            client.recv(1)
            return
        except socket.timeout:
            pass


def serve(listener, context, stopping):
    """A worker: one client after the other, until it is told to stop."""
    listener.settimeout(0.2)
    while not stopping:
        try:
            plain, _ = listener.accept()
        except socket.timeout:
            continue
        plain.settimeout(10)
        try:
            with context.wrap_socket(plain, server_side=True) as client:
                if line := client.recv(4096):
                    client.sendall(line)
                    wait_for_end(client, stopping)
        except OSError:
            pass  # of ssl.SSLError too: bad clients are expected


def fork_workers(listener, context, count):
    """The pids of new workers; the context is made before the fork, as servers do."""
    workers = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            stopping = []
            signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            serve(listener, context, stopping)
            sys.exit(0)  # with all exit handlers
        workers.append(pid)
    return workers


def end_workers(workers):
    """True if all of them ended well."""
    for pid in workers:
        os.kill(pid, signal.SIGTERM)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers]
    if any(statuses):
        print(f"workers died, exit status {statuses}", flush=True)
    return not any(statuses)


SIGNALS = {signal.SIGTERM, signal.SIGHUP}


def server(port, certs, count):
    # Delivered only to sigwait below: a signal during the fork must not get lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    context = make_context(ssl.Purpose.CLIENT_AUTH, certs, "server")
    workers = fork_workers(listener, context, count)
    well = True
    while signal.sigwait(SIGNALS) == signal.SIGHUP:
        old = workers
        context = make_context(ssl.Purpose.CLIENT_AUTH, certs, "server")
        workers = fork_workers(listener, context, count)
        well = end_workers(old) and well
        print("reloaded", flush=True)
    return 0 if end_workers(workers) and well else 1


class Forking(socketserver.ForkingTCPServer):
    """Connections are set up before the fork, with the parent's context."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address, context):
        self.context = context
        super().__init__(address, Echo)

    def get_request(self):
        plain, address = super().get_request()
        plain.settimeout(10)
        try:
            return self.context.wrap_socket(plain, server_side=True), address
        except OSError:  # of ssl.SSLError too: bad clients are expected
            plain.close()
            raise


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        if line := self.request.recv(4096):
            self.request.sendall(line)
            wait_for_end(self.request, [])


def forking(port, certs, _):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    context = make_context(ssl.Purpose.CLIENT_AUTH, certs, "server")
    with Forking(("127.0.0.1", port), context) as listener:
        listener.serve_forever()


# --- client ---


def ask(port, context, number):
    line = b"%d\n" % number
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            secure.sendall(line)
            if secure.recv(4096) != line:
                raise SystemExit(f"client {number}: wrong answer")


def client(port, certs, count):
    context = make_context(ssl.Purpose.SERVER_AUTH, certs, "client")
    for number in range(count):
        ask(port, context, number)
    child = os.fork()  # continues with what it inherited, and frees it at its end
    for number in range(count):
        ask(port, context, number)
    if child == 0:
        return 0
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    role, its_port, its_certs, its_count = sys.argv[1:]
    roles = {"server": server, "forking": forking, "client": client}
    sys.exit(roles[role](int(its_port), its_certs, int(its_count)))
