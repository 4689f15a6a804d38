"""Do named and dig work with the library preloaded: DNS over mutual TLS, reload and stop, in silence?

Both are linked to a library of BIND that allocates in an ELF constructor, before main and before
the constructors of most preloaded libraries.  named is threaded, dig is short.
"""

import concurrent.futures
import re
import signal

import harness

ADDRESS = "192.0.2.1"  # of the zone, from the range for documentation

CONFIGURATION = """
tls local {{
    cert-file "{certs}/server.pem";
    key-file "{certs}/server.key";
    ca-file "{certs}/ca.pem";
}};
options {{
    directory "{dir}";
    listen-on port {plain} {{ 127.0.0.1; }};
    listen-on port {secure} tls local {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    {lock}
    session-keyfile none;
    recursion no;
    notify no;
    dnssec-validation no;
    empty-zones-enable no;
}};
controls {{ }};
zone "freeonce.test" {{ type primary; file "zone"; }};
"""

ZONE = f"""$TTL 60
@ IN SOA localhost. root.localhost. 1 60 60 60 60
@ IN NS localhost.
@ IN A {ADDRESS}
"""

RUNNING = re.compile(r" running$", re.M)
RELOADED = re.compile(r"reloading configuration succeeded|reloading zones succeeded")


def lock_file(stage):
    """Without one, two servers may run; since 9.20 there is none, and no such setting."""
    _, text = stage.run("named-version", [harness.need("named"), "-v"], preload=False)
    version = re.search(r"BIND (\d+)\.(\d+)", text).groups()
    return "lock-file none;" if tuple(map(int, version)) < (9, 20) else ""


class Name:
    """A named, and how to ask it."""

    def __init__(self, stage, **settings):
        self.stage = stage
        self.plain, self.secure = stage.port(), stage.port()
        folder = stage.folder(f"named-{self.plain}")
        stage.file(f"{folder.name}/zone", ZONE)
        text = CONFIGURATION.format(
            certs=stage.certs, dir=folder, plain=self.plain, secure=self.secure, lock=lock_file(stage)
        )
        config = stage.file(f"{folder.name}/named.conf", text)
        argv = [harness.need("named"), "-g", "-n", "2", "-c", config]
        self.server = stage.start("named", argv, self.secure, **settings)
        stage.wait_until("named runs", lambda: RUNNING.search(self.server.text()))

    def dig(self, *options, port=None, **settings):
        """Is the answer the zone's address?"""
        argv = [harness.need("dig"), "@127.0.0.1", "-p", port or self.secure, "+time=5"]
        argv += ["+tries=2", "+short", *options, "freeonce.test", "A"]
        status, text = self.stage.run("dig", argv, **settings)
        return status == 0 and text.strip() == ADDRESS

    def dig_plain(self, **settings):
        return self.dig(port=self.plain, **settings)

    def dig_tls(self, certificate="client", **settings):
        certs = self.stage.certs
        options = ["+tls", f"+tls-ca={certs}/ca.pem", "+tls-hostname=localhost"]
        if certificate is not None:
            options.append(f"+tls-certfile={certs}/{certificate}.pem")
            options.append(f"+tls-keyfile={certs}/{certificate}.key")
        return self.dig(*options, **settings)

    def reloads(self):
        return len(RELOADED.findall(self.server.text()))


def test_load_line(stage):
    """Both programs print the line; named's line must not be mistaken for dig's."""
    name = Name(stage, verbose=True)
    stage.check("exit status of named", 0, stage.stop(name.server))
    stage.check_in_first()
    name = Name(stage)
    stage.check("dig over TLS", True, name.dig_tls(verbose=True))
    stage.check_in_first()
    stage.check("exit status of named", 0, stage.stop(name.server))
    harness.step("the library is in first, in named and in dig")


def reload_under_traffic(stage, name):
    def reload():
        before = name.reloads()
        name.server.send(signal.SIGHUP)
        # Two lines a reload: the configuration, then the zones.
        stage.wait_until("named has reloaded", lambda: name.reloads() >= before + 2)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        questions = [pool.submit(name.dig_tls) for _ in range(60)]
        during = 0
        while during == 0 and not all(question.done() for question in questions):
            reload()
            during += not all(question.done() for question in questions)
        answered = sum(question.result() for question in questions)
    stage.check("reloads while clients came", "at least 1", during, during > 0)
    stage.check("questions over TLS answered while named reloads", len(questions), answered)
    harness.step(f"{answered} questions over TLS answered while named reloads")


def test(stage, _):
    harness.need("named")
    harness.need("dig")
    test_load_line(stage)

    name = Name(stage)
    stage.check("plain dig", True, name.dig_plain())
    stage.check("dig over TLS with a certificate", True, name.dig_tls())
    stage.check("dig over TLS without a certificate", False, name.dig_tls(None))
    stage.check("dig over TLS with a stranger's certificate", False, name.dig_tls("stranger"))
    harness.step("mutual TLS: clients with a certificate are served, others are refused")

    reload_under_traffic(stage, name)
    stage.check("exit status of named", 0, stage.stop(name.server))
    stage.check_no_crash(name.server)
    stage.check_silent()
    harness.step("a stop, in silence")


if __name__ == "__main__":
    harness.main(test, __doc__)
