"""Healthy programs that use OpenSSL, started by `prefix` (freeonce, valgrind): openssl, curl, python3 and nginx, alone and
as client and server of each other on 127.0.0.1."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request

SECONDS = 120

PYTHON = """
import socket, ssl, sys, threading
folder = sys.argv[1]
def context(purpose):
    made = ssl.create_default_context(purpose, cafile=folder + "/cert.pem")
    made.load_cert_chain(folder + "/cert.pem", folder + "/key.pem")
    made.verify_mode, made.check_hostname = ssl.CERT_REQUIRED, False
    return made
server, client = context(ssl.Purpose.CLIENT_AUTH), context(ssl.Purpose.SERVER_AUTH)
listener = socket.create_server(("127.0.0.1", 0))
def serve():
    for _ in range(10):
        with server.wrap_socket(listener.accept()[0], server_side=True) as end:
            end.getpeercert()
            end.sendall(end.recv(16))
thread = threading.Thread(target=serve)
thread.start()
for _ in range(10):
    with client.wrap_socket(socket.create_connection(listener.getsockname())) as end:
        end.sendall(b"hello")
        assert end.recv(16) == b"hello"
        end.getpeercert(True)
thread.join()
import hashlib, hmac
hashlib.new("sha3_256", b"x").hexdigest()
hmac.new(b"k", b"x", "sha256").hexdigest()
"""

NGINX = """
daemon off;
{user}
worker_processes 2;
pid {dir}/pid;
error_log stderr info;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {dir}/cert.pem;
        ssl_certificate_key {dir}/key.pem;
        ssl_client_certificate {dir}/cert.pem;
        ssl_verify_client optional;
        ssl_session_cache shared:one:1m;
        ssl_stapling off;
        location / {{ return 200 "hello\\n"; }}
    }}
}}
"""


class Failed(Exception):
    pass


def wait_until(what, condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {SECONDS} s")
        time.sleep(0.01)


class Stage:
    """A folder with a certificate and its key."""

    def __init__(self, prefix=()):
        self.prefix = [str(word) for word in prefix]
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="freeonce-leaks-"))
        self.dir.chmod(0o755)
        self.call("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                  "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.dir / "key.pem",
                  "-out", self.dir / "cert.pem", prefix=[])

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def call(self, *argv, prefix=None, **options):
        """Run it to its end; the exit status must be 0."""
        prefix = self.prefix if prefix is None else prefix
        done = subprocess.run([*prefix, *map(str, argv)], cwd=self.dir, stdin=options.pop("stdin", subprocess.DEVNULL),
                              capture_output=True, text=True, errors="replace", timeout=900, check=False, **options)
        if done.returncode != 0:
            raise Failed(f"{' '.join(map(str, argv))}: {done.returncode}\n{done.stdout}{done.stderr}"[-4000:])
        return done.stdout

    @contextlib.contextmanager
    def started(self, *argv, ready, prefix=None, stop=signal.SIGTERM, **options):
        """Run it in the background; `ready` is what its output must hold first."""
        output = self.dir / f"output-{pathlib.Path(argv[0]).name}"
        prefix = self.prefix if prefix is None else prefix
        with open(output, "w", encoding="utf-8") as out:
            process = subprocess.Popen([*prefix, *map(str, argv)], cwd=self.dir, stdin=subprocess.PIPE, stdout=out,
                                       stderr=subprocess.STDOUT, **options)
        text = lambda: output.read_text(encoding="utf-8", errors="replace")
        try:
            wait_until(f"{argv[0]} is ready", lambda: process.poll() is not None or re.search(ready, text()))
            if process.poll() is not None:
                raise Failed(f"{argv[0]}: {process.returncode}\n{text()}"[-4000:])
            yield process, text
            if process.poll() is None and stop is not None:
                process.send_signal(stop)
            process.stdin.close()
            if process.wait(SECONDS) not in (0, -signal.SIGTERM, 128 + signal.SIGTERM):
                raise Failed(f"{argv[0]}: {process.returncode}\n{text()}"[-4000:])
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def openssl_commands(stage):
    for words in ("version -a", "list -providers", "ciphers -v", "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem",
                  "genpkey -algorithm ED25519 -out ed.pem", "pkey -in rsa.pem -pubout -out pub.pem", "x509 -in cert.pem -text -noout",
                  "verify -CAfile cert.pem cert.pem", "dgst -sha256 -sign rsa.pem -out sig cert.pem",
                  "dgst -sha256 -verify pub.pem -signature sig cert.pem", "enc -aes-256-cbc -pbkdf2 -k x -in cert.pem -out enc",
                  "pkcs12 -export -inkey key.pem -in cert.pem -passout pass:x -out p12", "pkcs12 -in p12 -passin pass:x -nodes",
                  "cms -sign -in cert.pem -signer cert.pem -inkey key.pem -outform PEM -out cms",
                  "crl2pkcs7 -nocrl -certfile cert.pem -out p7", "asn1parse -in cert.pem", "rand -hex 16"):
        stage.call("openssl", *words.split())


def openssl_server_and_client(stage):
    """Two connections, the second one with the session of the first; the server ends after them."""
    server = ("openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "cert.pem", "-key", "key.pem", "-Verify", "1",
              "-CAfile", "cert.pem", "-naccept", "2", "-www")
    with stage.started(*server, ready=r"ACCEPT 127\.0\.0\.1:\d+", stop=None) as (_, text):
        port = re.search(r"ACCEPT 127\.0\.0\.1:(\d+)", text())[1]
        for session in ("-sess_out", "session"), ("-sess_in", "session"):
            stage.call("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-cert", "cert.pem", "-key", "key.pem", "-CAfile",
                       "cert.pem", "-ign_eof", *session, stdin=None, input="GET / HTTP/1.0\r\n\r\n")


def curl(stage):
    server = ("openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "cert.pem", "-key", "key.pem", "-www")
    with stage.started(*server, ready=r"ACCEPT 127\.0\.0\.1:\d+", prefix=[]) as (_, text):
        port = re.search(r"ACCEPT 127\.0\.0\.1:(\d+)", text())[1]
        url = f"https://127.0.0.1:{port}/"
        stage.call("curl", "-sS", "--cacert", "cert.pem", "--cert", "cert.pem", "--key", "key.pem", url, url)


def python(stage):
    stage.call("/usr/bin/python3", "-c", PYTHON, stage.dir)


def get(port, stage):
    context = ssl.create_default_context(cafile=stage.dir / "cert.pem")
    context.load_cert_chain(stage.dir / "cert.pem", stage.dir / "key.pem")
    with urllib.request.urlopen(f"https://127.0.0.1:{port}/", context=context, timeout=SECONDS) as answer:
        return answer.read()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def nginx(stage):
    """Start, serve, reload, serve, stop."""
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    (stage.dir / "nginx.conf").write_text(NGINX.format(dir=stage.dir, port=port, user=user), encoding="utf-8")
    path = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    with stage.started(path, "-p", stage.dir, "-e", "stderr", "-c", stage.dir / "nginx.conf",
                       ready=r"start worker process \d+\n(?s:.*)start worker process \d+\n", stop=None) as (_, text):
        for _ in range(5):
            assert get(port, stage) == b"hello\n"
        master = int((stage.dir / "pid").read_text(encoding="ascii"))
        os.kill(master, signal.SIGHUP)
        wait_until("the new workers run and the old ones have ended",
                   lambda: text().count("start worker process ") >= 4 and text().count("exited with code 0") >= 2)
        for _ in range(5):
            assert get(port, stage) == b"hello\n"
        os.kill(master, signal.SIGQUIT)


ALL = {"openssl commands": openssl_commands, "openssl s_server, s_client": openssl_server_and_client, "curl": curl,
       "python3": python, "nginx": nginx}
NEEDS = {"curl": "curl", "nginx": "nginx"}


def is_there(name):
    return name not in NEEDS or shutil.which(NEEDS[name], path=os.environ["PATH"] + ":/usr/sbin") is not None


def main(name, prefix=()):
    stage = Stage(prefix)
    try:
        ALL[name](stage)
    finally:
        stage.remove()


if __name__ == "__main__":
    main(sys.argv[1])
