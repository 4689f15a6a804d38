"""Does pgbouncer of Debian 12 serve with the library preloaded, in each way to preload it?

pgbouncer 1.18 hands to libc's free what X509_NAME_oneline allocated, for each client certificate.  That
works while OpenSSL's memory is malloc's: with the library it must go on working, and be reported.  Its
clients have certificates, and it has one for the PostgreSQL behind it.
"""

import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess

import findings
import harness
import postgresql
import private_etc
import recipes

UNIT = pathlib.Path("/lib/systemd/system/pgbouncer.service")
OWNER = postgresql.OWNER
SESSIONS = 5
BACKENDS = ("auto", "libc", "shm", "guard")

CONFIGURATION = """
[databases]
postgres = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = cert
auth_file = {folder}/users
pidfile = {folder}/pid
ignore_startup_parameters = extra_float_digits
client_tls_sslmode = verify-full
client_tls_ca_file = {folder}/ca.pem
client_tls_cert_file = {folder}/server.pem
client_tls_key_file = {folder}/server.key
server_tls_sslmode = verify-ca
server_tls_ca_file = {folder}/ca.pem
server_tls_cert_file = {folder}/client.pem
server_tls_key_file = {folder}/client.key
"""


class Pooler:
    """pgbouncer in front of a cluster; as the cluster's owner, since it refuses to run as root."""

    def __init__(self, stage, cluster, name):
        self.stage, self.cluster = stage, cluster
        self.port = stage.port()
        self.folder = cluster.own(stage.dir / f"pgbouncer-{name}")
        self.log = self.folder / "freeonce.log"
        for file in ("ca.pem", "server.pem", "server.key", "client.pem", "client.key"):
            shutil.copy(stage.certs / file, self.folder / file)
            shutil.chown(self.folder / file, OWNER, OWNER)
            (self.folder / file).chmod(0o600)
        (self.folder / "users").write_text('"client" ""\n')
        text = CONFIGURATION.format(folder=self.folder, port=self.port, server=cluster.port)
        config = self.folder / "pgbouncer.ini"
        config.write_text(text)
        self.program = [harness.need("pgbouncer"), config]

    def argv(self, settings):
        """The settings are for it alone: what changes to the owner would make the journal root's."""
        variables = [f"{name}={value}" for name, value in settings.items()]
        owner = ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--init-groups"]
        return [*owner, "env", *variables, *self.program]

    def check_sessions(self):
        for _ in range(SESSIONS):
            status, text = self.cluster.sql("SELECT 'here'", f"PGPORT={self.port}")
            self.stage.check("psql through pgbouncer", "here", text.strip() or status)
        for setting in ("PGSSLCERT=/nowhere", "PGSSLMODE=disable"):
            status, text = self.cluster.sql("SELECT 1", f"PGPORT={self.port}", setting)
            self.stage.check(f"psql with {setting}", "exit status 2", f"{status}: {text}", status == 2)

    def stop(self, server):
        """By its own pid, which is not that of a launcher: returns the exit status of what was
        started.  With SIGTERM that would be 1.  PostgreSQL goes on."""
        os.kill(int((self.folder / "pid").read_text()), signal.SIGINT)
        status = server.wait(30)
        self.stage.check("pgbouncer stops", "within 30 s", "still running", status is not None)
        return harness.named_status(status)

    def serve_and_stop(self, around=list, expected=0, **settings):
        """Starts it with these settings, by a command around its own; has sessions, and stops it."""
        argv = around(self.argv(settings))
        server = self.stage.start("pgbouncer", argv, self.port, preload=False)
        self.check_sessions()
        self.stage.check("exit status", expected, self.stop(server))
        self.stage.check_no_crash(server)
        return server


def check_report(stage, text):
    """One finding, with both places: it is the same in all sessions."""
    found = findings.parse(text)
    stage.check("findings", "1 or more", text, len(found) > 0)
    first = found[0]
    stage.check("the finding", "libc free of OpenSSL block", first.headline,
                "libc free of OpenSSL block" in first.headline)
    place = first.sites["allocated"].place
    stage.check("allocated", "a source line of OpenSSL", place, bool(findings.SOURCE.match(place)))
    stage.check("called by", "by pgbouncer+0x...", first.sites["called"].place,
                first.sites["called"].place.startswith("by pgbouncer+0x"))
    others = [finding.headline for finding in found if "libc free" not in finding.headline]
    stage.check("other findings", [], others)


def test_by_name(stage, cluster):
    for backend in BACKENDS:
        pooler = Pooler(stage, cluster, backend)
        pooler.serve_and_stop(
            LD_PRELOAD=stage.lib, FREEONCE_LOG=pooler.log, FREEONCE_BACKEND=backend
        )
        check_report(stage, findings.read(pooler.log))
    harness.step(f"LD_PRELOAD: {SESSIONS} sessions and a report, on {', '.join(BACKENDS)}")


def test_launcher(stage, cluster, freeonce):
    for way in ([], ["--ci"]):
        pooler = Pooler(stage, cluster, f"run{''.join(way)}")
        launcher = [freeonce, "run", "--any-user", *way, "--library", stage.lib, "--"]
        server = pooler.serve_and_stop(
            lambda argv, launcher=launcher: launcher + argv, expected=recipes.REPORTED
        )
        check_report(stage, server.text())
    harness.step("freeonce run, and with --ci: served, and exit status 99 with a report")


def test_drop_in(stage, cluster, freeonce):
    if not UNIT.exists():
        raise harness.Failed(f"no {UNIT}: it comes with the package")
    pooler = Pooler(stage, cluster, "drop-in")
    argv = [freeonce, "systemd", UNIT, "--library", stage.lib, "--log", pooler.log]
    argv += ["--journal", pooler.folder / "journal"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    stage.check("exit status of freeonce systemd", 0, done.returncode)
    lines = re.findall(r"^Environment=(.*)$", done.stdout, re.M)
    pairs = [pair.partition("=") for line in lines for pair in shlex.split(line)]
    environment = {name: value for name, _, value in pairs}
    stage.check("LD_PRELOAD of the drop-in", "/usr/$LIB" + "/.." * 8 + str(stage.lib), environment.get("LD_PRELOAD"))
    pooler.serve_and_stop(**environment)
    check_report(stage, findings.read(pooler.log))
    status, text = stage.run(
        "freeonce", [freeonce, "report", pooler.folder / "journal"], preload=False
    )
    stage.check("exit status of freeonce report", recipes.REPORTED, status)
    stage.check("the journal", "libc free of OpenSSL block", text, "libc free of OpenSSL" in text)
    harness.step("the drop-in's environment: served, and in the log and the journal")


def test_ld_so_preload(stage, cluster):
    reason = private_etc.missing()
    if reason:
        print(f"not tried: /etc/ld.so.preload {reason}")
        return
    pooler = Pooler(stage, cluster, "etc")
    etc = private_etc.PrivateEtc(stage.dir)
    lib = stage.dir / "libfreeonce.so"  # all users must be able to read it
    shutil.copy(stage.lib, lib)
    etc.write_preload(lib)
    etc.write_conf(f"FREEONCE_LOG={pooler.log}")
    pooler.serve_and_stop(etc.argv)
    check_report(stage, findings.read(pooler.log))
    harness.step("/etc/ld.so.preload: served, and reported")


def test(stage, _):
    recipes.need_root("PostgreSQL's tools change to the user postgres")
    harness.need("pgbouncer")
    cluster = postgresql.Cluster(stage)
    cluster.start({})
    postgresql.create_role(stage, cluster)
    pooler = Pooler(stage, cluster, "bare")
    pooler.serve_and_stop()
    harness.step("without the library pgbouncer serves clients with certificates")
    if stage.lib is not None:
        test_by_name(stage, cluster)
        test_ld_so_preload(stage, cluster)
    if stage.lib is not None and stage.freeonce is not None:
        test_launcher(stage, cluster, stage.freeonce)
        test_drop_in(stage, cluster, stage.freeonce)
    cluster.stop()


if __name__ == "__main__":
    harness.main(test, __doc__)
