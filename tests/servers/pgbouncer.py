"""Does pgbouncer go on, as it does without freeonce, when it hands OpenSSL's blocks to libc's free?

pgbouncer 1.18 frees what X509_NAME_oneline() returned with free(3), at each client certificate.  That is one
finding, with its count; every client is answered.
"""

import re
import shutil
import socket
import ssl
import struct

import harness

CLIENTS = 20
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={nowhere}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
logfile = {folder}/log
client_tls_sslmode = verify-ca
client_tls_ca_file = {certs}/ca.pem
client_tls_cert_file = {certs}/server.pem
client_tls_key_file = {certs}/server.key
"""


def start(stage, **settings):
    """pgbouncer does not run as root: its folder and the keys are nobody's."""
    port = stage.port()
    folder = stage.folder(f"pgbouncer-{port}")
    certs = folder / "certs"
    shutil.copytree(stage.certs, certs)
    (folder / "users").write_text('"u" ""\n')
    text = CONFIGURATION.format(port=port, nowhere=stage.port(), folder=folder, certs=certs)
    (folder / "ini").write_text(text)
    for path in [folder, certs, *folder.iterdir(), *certs.iterdir()]:
        shutil.chown(path, "nobody")
    command = [harness.need("setpriv"), "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    command += [harness.need("pgbouncer"), folder / "ini"]
    return stage.start("pgbouncer", command, port, FREEONCE_LOG="stderr", **settings), port


def is_answered(stage, port, certificate):
    """One client: a login to pgbouncer's own database, which it answers itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(stage.certs / "client.pem", stage.certs / "client.key")
    login = struct.pack("!i", 196608) + b"user\0u\0database\0pgbouncer\0\0"
    try:
        with socket.create_connection(("127.0.0.1", port), 30) as plain:
            plain.sendall(SSL_REQUEST)
            plain.recv(1)
            with context.wrap_socket(plain) as client:
                client.sendall(struct.pack("!i", len(login) + 4) + login)
                return client.recv(1) in (b"R", b"E")
    except OSError:
        return False


def check_clients(stage, port):
    answered = sum(is_answered(stage, port, certificate=True) for _ in range(CLIENTS))
    stage.check("clients with a certificate answered", CLIENTS, answered)
    stage.check("a client without", "refused", "answered", not is_answered(stage, port, False))


def test(stage, _):
    harness.need("pgbouncer")
    for backend in (None, "libc", "shm"):
        server, port = start(stage, **({"FREEONCE_BACKEND": backend} if backend else {}))
        check_clients(stage, port)
        stage.check("exit status of pgbouncer", 0, stage.stop(server, harness.signal.SIGINT))
        findings = re.findall(r"freeonce: (.*)", server.text())
        stage.check("the finding", "libc free of OpenSSL block", findings[:1], bool(findings) and
                    findings[0].startswith("libc free of OpenSSL block"))
        harness.step(f"{CLIENTS} clients answered with backend {backend or 'auto'}, and the finding named")


if __name__ == "__main__":
    harness.main(test, __doc__)
