"""The servers of the fleet that are programs of C: how each is started, queried, reloaded and stopped."""

import contextlib
import http.server
import pathlib
import re
import shutil
import signal
import socket
import ssl
import struct
import threading
import time

import fleet_clients
import fleet_server
import harness
from fleet_clients import Door
from fleet_server import Server


class Redis(Server):
    program = "redis-server"
    good_answer = "+PONG\r\n"

    def argv(self):
        argv = [self.path, "--port", 0, "--tls-port", self.port, "--bind", "127.0.0.1"]
        argv += ["--tls-cert-file", self.certs / "server.pem"]
        argv += ["--tls-key-file", self.certs / "server.key"]
        return argv + ["--tls-ca-cert-file", self.certs / "ca.pem", "--save", "", "--dir", self.folder]

    def doors(self):
        answered = lambda text: text.endswith(b"\r\n")
        return [Door("TLS", self.port, fleet_clients.exchange(b"PING\r\n", answered))]

    def can_reload(self):
        return True

    def reload(self, process):
        """A new SSL_CTX, for a certificate of another name."""
        copy = shutil.copy(self.certs / "server.pem", self.folder / f"server-{next(self.numbers)}.pem")
        request = f"CONFIG SET tls-cert-file {copy}\r\n".encode()
        speak = fleet_clients.exchange(request, lambda text: text.endswith(b"\r\n"))
        answer = fleet_clients.visit(Door("TLS", self.port, speak), self.certs, "good")
        self.stage.check("redis reloads its certificate", "+OK\r\n", answer)


class Mosquitto(Server):
    program = "mosquitto"
    good_answer = "accepted"
    reload_line = r"Reloading config\."

    def argv(self):
        text = "listener {port} 127.0.0.1\ncafile {certs}/ca.pem\ncertfile {certs}/server.pem\n"
        text += "keyfile {certs}/server.key\nrequire_certificate true\nallow_anonymous true\nlog_dest stderr\n"
        return [self.path, "-c", self.configure(text)]

    def doors(self):
        return [Door("TLS", self.port, self.speak)]

    def speak(self, tls):
        """MQTT 3.1.1: CONNECT under a name of its own, CONNACK."""
        name = f"client-{next(self.numbers)}".encode()
        body = b"\x00\x04MQTT\x04\x02\x00\x3c" + struct.pack("!H", len(name)) + name
        tls.sendall(bytes([0x10, len(body)]) + body)
        answer = fleet_clients.receive_until(tls, lambda text: len(text) >= 4)
        return "accepted" if answer == b"\x20\x02\x00\x00" else answer.hex()


class Lighttpd(Server):
    program = "lighttpd"
    good_answer = "200 hello"
    reload_line = r"server started"

    def argv(self):
        self.configure("hello\n", "index.txt")
        text = 'server.document-root = "{dir}"\nserver.port = {port}\nserver.bind = "127.0.0.1"\n'
        text += 'server.modules = ("mod_openssl")\nindex-file.names = ("index.txt")\n'
        text += 'server.username = "www-data"\nserver.groupname = "www-data"\n'
        text += 'ssl.engine = "enable"\nssl.pemfile = "{certs}/server.pem"\nssl.privkey = "{certs}/server.key"\n'
        text += 'ssl.ca-file = "{certs}/ca.pem"\nssl.verifyclient.activate = "enable"\n'
        text += 'ssl.verifyclient.enforce = "enable"\n'
        return [self.path, "-D", "-f", self.configure(text)]

    def ask_to_reload(self, process):
        process.send(signal.SIGUSR1)


class Unbound(Server):
    """DNS over TLS, and the port of unbound-control, which asks for certificates."""

    program = "unbound"
    reload_line = r"start of service"

    def argv(self):
        self.control = self.stage.port()
        chain = (self.certs / "server.pem").read_text() + (self.certs / "ca.pem").read_text()
        self.configure(chain, "chain.pem")
        text = """
server:
    interface: 127.0.0.1@{port}
    tls-service-key: "{certs}/server.key"
    tls-service-pem: "{certs}/server.pem"
    tls-port: {port}
    do-daemonize: no
    chroot: ""
    pidfile: "{dir}/pid"
    use-syslog: no
    verbosity: 1
    num-threads: 2
    local-zone: "test." static
    local-data: "name.test. A 192.0.2.7"
remote-control:
    control-enable: yes
    control-interface: 127.0.0.1
    control-port: {control}
    server-key-file: "{certs}/server.key"
    server-cert-file: "{dir}/chain.pem"
    control-key-file: "{certs}/client.key"
    control-cert-file: "{certs}/client.pem"
"""
        return [self.path, "-d", "-c", self.configure(text)]

    def doors(self):
        return [
            Door("DNS over TLS", self.port, self.resolve, mutual=False),
            Door("unbound-control", self.control, self.ask_status),
        ]

    good_answer = {"DNS over TLS": "192.0.2.7", "unbound-control": "is running"}

    @staticmethod
    def resolve(tls):
        query = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + b"\4name\4test\0" + struct.pack("!2H", 1, 1)
        tls.sendall(struct.pack("!H", len(query)) + query)
        whole = lambda text: len(text) >= 2 and len(text) - 2 >= struct.unpack("!H", text[:2])[0]
        return ".".join(str(byte) for byte in fleet_clients.receive_until(tls, whole)[-4:])

    @staticmethod
    def ask_status(tls):
        tls.sendall(b"UBCT1 status\n")
        answer = fleet_clients.receive_until(tls, lambda text: b"running" in text)
        return "is running" if b"is running" in answer else answer.decode(errors="replace")


class Rsyslog(Server):
    """One-way: a line is served when it is in the log."""

    program = "rsyslogd"
    good_answer = "logged"
    at_a_time = 1  # of several, rsyslog 8.2302 itself loses one in some hundred

    def argv(self):
        self.log, self.old_log = self.folder / "log", self.folder / "log.1"
        text = """
global(DefaultNetstreamDriver="ossl" workDirectory="{dir}"
    DefaultNetstreamDriverCAFile="{certs}/ca.pem" DefaultNetstreamDriverCertFile="{certs}/server.pem"
    DefaultNetstreamDriverKeyFile="{certs}/server.key")
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid")
input(type="imtcp" port="{port}" address="127.0.0.1")
*.* {log}
"""
        return [self.path, "-n", "-f", self.configure(text), "-i", self.folder / "pid"]

    def doors(self):
        return [Door("TLS", self.port, self.speak)]

    def has(self, word):
        return any(log.exists() and word in log.read_text(errors="replace") for log in (self.log, self.old_log))

    def speak(self, tls):
        word = f"line-{next(self.numbers)}-end"
        tls.sendall(f"<13>Nov 28 10:00:00 host tag: {word}\n".encode())
        tls.settimeout(0.02)
        deadline = time.monotonic() + fleet_clients.SECONDS
        while time.monotonic() < deadline:
            if self.has(word):
                self.say_goodbye(tls)
                return "logged"
            try:
                if not tls.recv(1):
                    return None
            except TimeoutError:
                pass
        return None

    @staticmethod
    def say_goodbye(tls):
        """rsyslog closes the session of another client when one ends without."""
        tls.settimeout(fleet_clients.SECONDS)
        with contextlib.suppress(OSError):
            tls.unwrap()

    def can_reload(self):
        return True

    def reload(self, process):
        """As logrotate does it: the line of a later client is in a new file.  Each client stays until its line is in one of
        them: rsyslog, also without the library, mixes up the sessions of those that come after one that does not."""
        self.log.rename(self.old_log)
        process.send(signal.SIGHUP)

        def is_new():
            fleet_clients.visit(self.doors()[0], self.certs, "good")
            return self.log.exists()

        self.stage.wait_until("rsyslogd writes a new log", is_new)


class Proftpd(Server):
    """Where vsftpd is installed, which has a test of its own, Debian does not let this one be."""

    good_answer = "hello"
    reload_line = r"SIGHUP -- master server reparsing configuration file"

    def find(self):
        installed = shutil.which("proftpd", path="/usr/sbin:/usr/bin")
        self.root = "" if installed else fleet_server.unpack(self.stage, "proftpd-core", "proftpd-mod-crypto")
        return installed or self.root / "usr/sbin/proftpd"

    def argv(self):
        root = self.stage.folder(f"{self.folder.name}/root")
        root.chmod(0o755)
        self.configure("hello\n", "root/file")
        text = """
ModulePath {root}/usr/lib/proftpd
LoadModule mod_tls.c
ServerType standalone
Port {port}
DefaultAddress 127.0.0.1
UseIPv6 off
User nobody
Group nogroup
PidFile {dir}/pid
ScoreboardFile {dir}/scoreboard
SystemLog {dir}/system.log
WtmpLog off
UseReverseDNS off
UseFtpUsers off
<Anonymous {dir}/root>
    User nobody
    Group nogroup
    UserAlias anonymous nobody
    RequireValidShell off
</Anonymous>
TLSEngine on
TLSRequired on
TLSProtocol TLSv1.2 TLSv1.3
TLSECCertificateFile {certs}/server.pem
TLSECCertificateKeyFile {certs}/server.key
TLSCACertificateFile {certs}/ca.pem
TLSVerifyClient on
TLSOptions NoSessionReuseRequired
"""
        return [self.path, "-n", "-c", self.configure(text)]

    def doors(self):
        return [Door("FTPS", self.port, self.fetch, prelude=self.begin_tls)]

    @staticmethod
    def tell(channel, line, expected):
        """Sends a line; the reply to it, which must have that number."""
        if line is not None:
            channel.sendall(f"{line}\r\n".encode())
        ended = re.compile(rb"^\d\d\d .*\r\n", re.M)
        reply = fleet_clients.receive_until(channel, ended.search).decode(errors="replace")
        last = ended.search(reply.encode())
        if last is None or not last.group().startswith(expected.encode()):
            raise OSError(f"{line}: {reply.strip()}")
        return reply

    def begin_tls(self, raw):
        self.tell(raw, None, "220")
        self.tell(raw, "AUTH TLS", "234")

    def fetch(self, tls):
        for line, number in (("USER anonymous", "331"), ("PASS a@b", "230"), ("PBSZ 0", "200"), ("PROT P", "200")):
            self.tell(tls, line, number)
        numbers = re.search(r"\((.*?)\)", self.tell(tls, "EPSV", "229")).group(1)
        with socket.create_connection(("127.0.0.1", int(numbers.strip("|"))), fleet_clients.SECONDS) as raw:
            self.tell(tls, "RETR file", "150")
            with tls.context.wrap_socket(raw, server_hostname="localhost") as data:
                text = fleet_clients.receive_until(data, lambda _: False)
        self.tell(tls, None, "226")
        return text.decode().strip()

    def reload(self, process):
        log = self.folder / "system.log"
        process.logs.append(log)
        super().reload(process)


class Dnsdist(Server):
    """DNS over TLS, answered by a rule."""

    program = "dnsdist"
    good_answer = "192.0.2.7"

    def argv(self):
        self.plain_port = self.stage.port()
        text = """
setSecurityPollSuffix("")
setLocal("127.0.0.1:{plain_port}")
addTLSLocal("127.0.0.1:{port}", "{certs}/server.pem", "{certs}/server.key", {{provider = "openssl"}})
addAction("name.test.", SpoofAction("192.0.2.7"))
"""
        return [self.path, "--supervised", "--disable-syslog", "-C", self.configure(text)]

    def doors(self):
        return [Door("DNS over TLS", self.port, Unbound.resolve, mutual=False)]


class Tor(Server):
    """A relay of a network of its own.  Its certificate is its own, too; what it answers is the first cell."""

    program = "tor"
    good_answer = "versions"
    reload_line = r"Received reload signal"

    def argv(self):
        text = """
DataDirectory {dir}/data
ORPort 127.0.0.1:{port}
SocksPort 0
TestingTorNetwork 1
DirAuthority none orport=1 no-v2 127.0.0.1:1 0000000000000000000000000000000000000000
AssumeReachable 1
PublishServerDescriptor 0
ExitRelay 0
ContactInfo none
Log notice stderr
"""
        return [self.path, "-f", self.configure(text), "--defaults-torrc", self.configure("", "defaults")]

    def doors(self):
        return [Door("TLS", self.port, None, mutual=False, visitor=self.visit)]

    def visit(self, kind):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if kind == "good, TLS 1.2":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        try:
            with socket.create_connection(("127.0.0.1", self.port), fleet_clients.SECONDS) as raw:
                if kind not in fleet_clients.GOOD:
                    return fleet_clients.say_no_tls(raw, context, kind)
                with context.wrap_socket(raw, server_hostname="localhost") as tls:
                    tls.sendall(struct.pack("!HBH3H", 0, 7, 6, 3, 4, 5))  # VERSIONS: 3 to 5
                    answer = fleet_clients.receive_until(tls, lambda text: len(text) >= 5)
                    return "versions" if answer[:3] == b"\0\0\7" else answer.hex()
        except OSError as error:
            return f"{error}" if kind in fleet_clients.GOOD else fleet_clients.REFUSED


class Nginx_engine(Server):
    """nginx, whose key is in a PKCS#11 token, which an engine of OpenSSL asks."""

    program = "nginx"
    good_answer = "200 hello"
    PIN = "1234"

    def find(self):
        token = pathlib.Path("/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
        if not token.exists() or not list(pathlib.Path("/usr/lib").glob("*/engines-3/pkcs11.so")):
            raise harness.Skipped("no libengine-pkcs11-openssl, or no softhsm2, on this machine")
        self.module = token
        return harness.need(self.program)

    def make_token(self):
        conf = self.configure("directories.tokendir = {dir}\nobjectstore.backend = file\nlog.level = ERROR\n", "softhsm2.conf")
        self.prefix = ["env", f"SOFTHSM2_CONF={conf}", f"PKCS11_MODULE_PATH={self.module}"]
        tool = [harness.need("softhsm2-util"), "--token", "fleet", "--pin", self.PIN]
        pkcs8 = self.folder / "key.pem"
        for argv in (
            ["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", self.certs / "server.key", "-out", pkcs8],
            [tool[0], "--init-token", "--free", "--label", "fleet", "--so-pin", self.PIN, "--pin", self.PIN],
            [*tool, "--import", pkcs8, "--label", "server", "--id", "01"],
        ):
            status, text = self.stage.run("token", [*self.prefix, *argv], preload=False)
            self.stage.check(f"exit status of {argv[0]}", 0, f"{status}: {text}", status == 0)

    def argv(self):
        self.make_token()
        self.key = f"engine:pkcs11:pkcs11:token=fleet;object=server;type=private;pin-value={self.PIN}"
        text = """
user root;
daemon off;
worker_processes 1;
pid {dir}/pid;
error_log stderr info;
env SOFTHSM2_CONF;
env PKCS11_MODULE_PATH;
ssl_engine pkcs11;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certs}/server.pem;
        ssl_certificate_key "{key}";
        ssl_client_certificate {certs}/ca.pem;
        ssl_verify_client on;
        location / {{ return 200 "hello\\n"; }}
    }}
}}
"""
        return [*self.prefix, self.path, "-p", self.folder, "-e", "stderr", "-c", self.configure(text)]


class Origin:
    """A web server behind squid, which asks for squid's certificate."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"hello\n")

        def log_message(self, *_):
            pass

    def __init__(self, certs):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certs / "server.pem", certs / "server.key")
        context.load_verify_locations(certs / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Squid(Server):
    """TLS on both sides.  Its worker executes the program again with mixed user ids (AT_SECURE)."""

    program = "squid"
    good_answer = "200 hello"
    reload_line = r"Reconfiguring Squid Cache[\s\S]*?Accepting reverse-proxy HTTPS"
    left = True

    def argv(self):
        self.origin = Origin(self.certs)
        self.behind = self.origin.port
        text = """
https_port 127.0.0.1:{port} accel defaultsite=localhost tls-cert={certs}/server.pem tls-key={certs}/server.key tls-clientca={certs}/ca.pem
cache_peer 127.0.0.1 parent {behind} 0 no-query originserver tls tls-cafile={certs}/ca.pem tls-cert={certs}/client.pem tls-key={certs}/client.key ssldomain=localhost
http_access allow all
cache deny all
cache_log {dir}/cache.log
access_log none
pid_filename {dir}/pid
coredump_dir {dir}
pinger_enable off
visible_hostname localhost
shutdown_lifetime 1 seconds
"""
        shutil.chown(self.folder, "proxy")
        return [self.path, "-n", f"freeonce{self.port}", "--foreground", "-f", self.configure(text)]

    def started(self, process):
        process.logs.append(self.folder / "cache.log")

    def close(self):
        self.origin.close()


class Squid_as_proxy(Squid):
    """With the recipe of docs/servers/squid.md: it has no user to change to, and the worker keeps the library."""

    left = False

    def argv(self):
        return ["setpriv", "--reuid=proxy", "--regid=proxy", "--init-groups", *super().argv()]


ALL = [Redis, Mosquitto, Lighttpd, Unbound, Rsyslog, Proftpd, Squid, Squid_as_proxy, Dnsdist, Tor, Nginx_engine]
