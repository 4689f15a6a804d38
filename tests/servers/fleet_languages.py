"""The servers of the fleet that are scripts in an interpreter: PHP's FastCGI manager, uWSGI, Puma, Perl, Node.js.

A script is written for each; else they are as those of fleet_servers.py.
"""

import pathlib
import shutil
import signal
import socket
import ssl
import struct
import threading

import fleet_clients
import harness
from fleet_clients import Door
from fleet_server import Server


class TlsServer:
    """A TLS server in the test, which answers hello to each client that has a good certificate.  A broken one ends the
    connection instead of answering the client's first message."""

    def __init__(self, certs, name="server", broken=False):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certs / f"{name}.pem", certs / f"{name}.key")
        self.context.load_verify_locations(certs / "ca.pem")
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.context.maximum_version = ssl.TLSVersion.TLSv1_2  # a client without a certificate fails in its handshake
        self.broken = broken
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                raw = self.socket.accept()[0]
            except OSError:
                return  # closed
            threading.Thread(target=self.answer, args=(raw,), daemon=True).start()

    def answer(self, raw):
        with raw:
            raw.settimeout(fleet_clients.SECONDS)
            try:
                if self.broken:
                    raw.recv(100)
                    return
                with self.context.wrap_socket(raw, server_side=True) as tls:
                    tls.sendall(b"hello\n")
                    tls.unwrap()
            except OSError:
                pass

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class PHP_FPM(Server):
    """TLS on the client's side: each request makes PHP fetch a line from a TLS server."""

    more_each = 1024
    good_answer = "hello"
    reload_line = r"ready to handle connections"

    SCRIPT = """<?php
parse_str($_SERVER["QUERY_STRING"], $query);
$options = ["cafile" => "{certs}/ca.pem", "verify_peer_name" => false];
if ($query["certificate"] != "") {{
    $options["local_cert"] = "{certs}/" . $query["certificate"] . ".pem";
    $options["local_pk"] = "{certs}/" . $query["certificate"] . ".key";
}}
$context = stream_context_create(["ssl" => $options]);
$stream = @stream_socket_client("tls://127.0.0.1:" . $query["port"], $number, $text, 30,
    STREAM_CLIENT_CONNECT, $context);
$line = $stream ? @fgets($stream) : false;
echo "\\n", $line === false ? "refused" : trim($line);
"""
    POOL = """
[global]
error_log = {dir}/log
daemonize = no
[www]
user = www-data
group = www-data
listen = 127.0.0.1:{port}
pm = static
pm.max_children = 3
"""

    def find(self):
        """The name has the version in it."""
        found = sorted(pathlib.Path("/usr/sbin").glob("php-fpm[0-9]*"))
        if not found:
            raise harness.Skipped("no php-fpm on this machine")
        return found[-1]

    def argv(self):
        self.script = self.configure(self.SCRIPT, "index.php")
        self.good = TlsServer(self.certs)
        self.servers = {
            "wrong CA": (TlsServer(self.certs, "stranger"), "client"),
            "no certificate": (self.good, ""),
            "plaintext": (TlsServer(self.certs, broken=True), "client"),
        }
        return [self.path, "--fpm-config", self.configure(self.POOL), "--nodaemonize"]

    def close(self):
        for server in {self.good, *(server for server, _ in self.servers.values())}:
            server.close()

    def started(self, process):
        process.logs.append(self.folder / "log")

    def ask_to_reload(self, process):
        process.send(signal.SIGUSR2)

    def doors(self):
        return [Door("requests", self.port, None, visitor=self.request)]

    @staticmethod
    def record(kind, body):
        return struct.pack("!BBHHBB", 1, kind, 1, len(body), 0, 0) + body

    def request(self, kind):
        """FastCGI: the last line of what the script writes."""
        server, certificate = self.servers.get(kind, (self.good, "client"))
        values = {"SCRIPT_FILENAME": self.script, "REQUEST_METHOD": "GET"}
        values["QUERY_STRING"] = f"port={server.port}&certificate={certificate}"
        text = b""
        for name, value in values.items():
            name, value = name.encode(), str(value).encode()
            text += struct.pack("!BL", len(name), len(value) | 1 << 31) + name + value
        whole = self.record(1, struct.pack("!HB5x", 1, 0)) + self.record(4, text)
        whole += self.record(4, b"") + self.record(5, b"")
        with socket.create_connection(("127.0.0.1", self.port), fleet_clients.SECONDS) as raw:
            if kind not in fleet_clients.GOOD and kind not in self.servers:
                raw.sendall(whole[: len(whole) // 2])
                fleet_clients.close_by_reset(raw)
                return fleet_clients.REFUSED
            raw.sendall(whole)
            answer = fleet_clients.receive_until(raw, lambda _: False)
        return self.output_in(answer).decode(errors="replace").split("\n")[-1]

    @staticmethod
    def output_in(answer):
        output = b""
        while len(answer) >= 8:
            _, kind, _, length, padding, _ = struct.unpack("!BBHHBB", answer[:8])
            output += answer[8 : 8 + length] if kind == 6 else b""
            answer = answer[8 + length + padding :]
        return output


class UWSGI(Server):
    """A reload executes the program again."""

    more_each = 1024
    program = "uwsgi"
    good_answer = "200 hello"
    reload_line = r"spawned uWSGI worker 2 "

    SCRIPT = """
import ssl

def application(environment, start):
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    start("200 OK", [("Content-Length", "6")])
    return [b"hello\\n"]
"""

    def argv(self):
        script = self.configure(self.SCRIPT, "application.py")
        shutil.chown(self.folder, "www-data")  # that user executes the program again
        address = f"127.0.0.1:{self.port},{self.certs}/server.pem,{self.certs}/server.key,HIGH,!{self.certs}/ca.pem"
        argv = [self.path, "--plugin", "python3", "--https-socket", address, "--wsgi-file", script]
        return argv + ["--master", "--processes", 2, "--die-on-term", "--socket-timeout", 1, "--uid", "www-data", "--gid", "www-data"]


class Puma(Server):
    more_each = 2048
    program = "puma"
    good_answer = "200 hello"
    reload_line = r"Worker 1 \(PID: \d+\) booted in [\d.]+s, phase: [1-9]"

    def argv(self):
        self.configure('require "openssl"\nrun ->(environment) {{ [200, {{"Content-Length" => "6"}}, ["hello\\n"]] }}\n', "config.ru")
        keys = f"key={self.certs}/server.key&cert={self.certs}/server.pem"
        keys += f"&ca={self.certs}/ca.pem&verify_mode=force_peer"
        text = f'workers 2\nbind "ssl://127.0.0.1:{self.port}?{keys}"\nfirst_data_timeout 1\n'
        config = self.configure(text, "puma.rb")
        return [self.path, "-C", config, self.folder / "config.ru"]

    def started(self, process):
        self.stage.wait_until("puma has its workers", lambda: "Worker 1 (PID" in process.text())

    def ask_to_reload(self, process):
        process.send(signal.SIGUSR1)


class Perl(Server):
    """IO::Socket::SSL, a child for each connection."""

    more_each = 1024
    program = "perl"
    good_answer = "200 hello"

    SCRIPT = """
use strict;
use warnings;
use IO::Socket::SSL;

$SIG{{CHLD}} = "IGNORE";
$SIG{{TERM}} = sub {{ $SIG{{TERM}} = "IGNORE"; kill TERM => -$$; exit 0 }};
my $server = IO::Socket::SSL->new(
    LocalAddr => "127.0.0.1", LocalPort => {port}, Listen => 64, ReuseAddr => 1,
    SSL_cert_file => "{certs}/server.pem", SSL_key_file => "{certs}/server.key",
    SSL_ca_file => "{certs}/ca.pem", SSL_verify_mode => SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    SSL_startHandshake => 0,
) or die "cannot listen";
while (1) {{
    my $client = $server->accept or next;
    my $child = fork // die "cannot fork";
    if ($child == 0) {{
        $SIG{{TERM}} = "DEFAULT";
        $client->accept_SSL or exit 1;
        while (my $line = <$client>) {{
            next if $line ne "\\r\\n";
            print $client "HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\n\\r\\nhello\\n";
        }}
        close $client;
        exit 0;
    }}
    $client->close(SSL_no_shutdown => 1);
}}
"""

    def __init__(self, stage):
        super().__init__(stage)
        status, _ = stage.run("perl", [self.path, "-MIO::Socket::SSL", "-e", "1"], preload=False)
        if status != 0:
            raise harness.Skipped("no IO::Socket::SSL for perl on this machine")

    def argv(self):
        return [self.path, self.configure(self.SCRIPT, "server.pl")]


class Node(Server):
    """A cluster of two workers, which a signal replaces."""

    program = "node"
    good_answer = "200 hello"
    reload_line = r"workers replaced"

    SCRIPT = """
const cluster = require("cluster"), fs = require("fs"), https = require("https");
const read = (name) => fs.readFileSync("{certs}/" + name);
if (cluster.isPrimary) {{
    const begin = (then) => {{
        let waiting = 2;
        for (let i = 0; i < 2; i++) cluster.fork().on("listening", () => {{ if (--waiting == 0) then(); }});
    }};
    begin(() => console.log("workers begun"));
    process.on("SIGHUP", () => {{
        const before = Object.values(cluster.workers);
        begin(() => {{
            let waiting = before.length;
            for (const worker of before) {{
                worker.on("exit", () => {{ if (--waiting == 0) console.log("workers replaced"); }});
                worker.kill();
            }}
        }});
    }});
    process.on("SIGTERM", () => {{
        for (const worker of Object.values(cluster.workers)) worker.process.kill("SIGTERM");
        process.exit(0);
    }});
}} else {{
    const options = {{ key: read("server.key"), cert: read("server.pem"), ca: read("ca.pem"), requestCert: true }};
    https.createServer(options, (request, response) => response.end("hello\\n")).listen({port}, "127.0.0.1");
}}
"""

    def argv(self):
        return [self.path, self.configure(self.SCRIPT, "server.js")]

    def started(self, process):
        self.stage.wait_until("node has its workers", lambda: "workers begun" in process.text())


ALL = [PHP_FPM, UWSGI, Puma, Perl, Node]
