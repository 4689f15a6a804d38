#!/usr/bin/env python3
"""Does the program of docs/authors.md do what the page says?  On shm a session is resumed by another worker than the one
that made it, also after a worker was killed; on arena by no other."""

import argparse
import os
import pathlib
import select
import signal
import socket
import ssl
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORKERS, TRIES = 4, 60


class Server:
    def __init__(self, given, certs, backend):
        environment = {"PATH": os.environ["PATH"], "LD_PRELOAD": given.lib, "FREEONCE_BACKEND": backend}
        argv = [given.workers, certs / "server.pem", certs / "server.key", "0", str(WORKERS)]
        self.process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.client.check_hostname, self.client.verify_mode = False, ssl.CERT_NONE

    def ask(self, session=None):
        """The worker's pid, whether it resumed the session, and the session of this connection."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        with self.client.wrap_socket(plain, session=session) as connection:
            _, pid, _, resumed = connection.makefile().readline().split()
            return int(pid), resumed == "1", connection.session

    def by_others(self):
        """Of the connections that come back to another worker: was any resumed, and any not?"""
        seen = set()
        for _ in range(TRIES):
            maker, _, session = self.ask()
            worker, resumed, _ = self.ask(session)
            if worker != maker:
                seen.add(resumed)
                if len(seen) == 2:
                    break
        return seen

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        output = self.process.communicate(timeout=60)
        return self.process.returncode, output[1]


def kill(pid):
    """Kills a worker, and waits until it accepts no connection any more."""
    ended = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    select.select([ended], [], [], 60)
    os.close(ended)


def trial(given, certs, backend):
    server = Server(given, certs, backend)
    try:
        wanted = {backend == "shm"}
        for when in "at first", "after a worker was killed":
            seen = server.by_others()
            if seen != wanted:
                yield f"{backend}, {when}: resumed by other workers: {sorted(seen)}, expected {sorted(wanted)}"
            kill(server.ask()[0])
        status, errors = server.end()
        if status != 0 or "finding" in errors or "double free" in errors:
            yield f"{backend}: ended with {status}: {errors}"
    finally:
        server.process.kill()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lib", required=True)
    parser.add_argument("--workers", required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        certs = pathlib.Path(folder) / "certs"
        subprocess.run([ROOT / "tests/tools/make-certs.sh", certs], check=True)
        wrong = [line for backend in ("shm", "arena") for line in trial(given, certs, backend)]
    print("\n".join(wrong))
    sys.exit(bool(wrong))


main()
