"""Does the recipe for PostgreSQL work: does the cluster's file "environment" reach the backends?

pg_ctlcluster empties the environment and fills it from that file.  The cluster is made, started,
reloaded and stopped by Debian's own tools, with a private PG_CLUSTER_CONF_ROOT; its traffic is
psql and pgbench with a new TLS connection for each transaction.
"""

import pathlib
import shutil
import socket

import harness
import processes
import recipes
import workers

VERSIONS = pathlib.Path("/usr/lib/postgresql")
OWNER = "postgres"
CLUSTER = "freeonce"
SSL_REQUEST = bytes.fromhex("00000008 04d2162f")  # the server answers S, and TLS begins

CONFIGURATION = """
listen_addresses = '127.0.0.1'
external_pid_file = '{run}/{cluster}.pid'
ssl = on
ssl_cert_file = '{keys}/server.pem'
ssl_key_file = '{keys}/server.key'
ssl_ca_file = '{keys}/ca.pem'
"""

# psql connects as the certificate's CN says.
ACCESS = "hostssl all client 127.0.0.1/32 cert\nlocal all all trust\n"


class Cluster:
    """A cluster of its own: configuration, data, sockets and logs in the test's folder."""

    def __init__(self, stage):
        self.stage = stage
        self.version = newest_version()
        self.programs = VERSIONS / self.version / "bin"
        self.port = stage.port()
        self.folder = stage.folder("cluster")
        self.configs = self.own(self.folder / "etc")
        self.run_folder = self.own(self.folder / "run")
        self.logs = self.own(self.folder / "log")
        self.server_log = self.logs / "postgresql.log"
        self.freeonce_log = self.logs / "freeonce.log"
        self.postmaster = None
        stage.daemon_logs += [self.server_log, self.freeonce_log]
        self.create()

    @staticmethod
    def own(path):
        path.mkdir()
        shutil.chown(path, OWNER, OWNER)
        return path

    def ctl(self, what, *words, **more):
        """One of Debian's tools, as root and without anything of ours in its environment, unless
        asked for."""
        argv = [f"pg_{what}", *words]
        env = ["env", f"PG_CLUSTER_CONF_ROOT={self.configs}"]
        env += [f"{key}={value}" for key, value in more.items()]
        status, text = self.stage.run(f"pg_{what}", [*env, *argv], 120, preload=False)
        self.stage.check(f"exit status of {' '.join(map(str, argv))}", 0, status, status == 0)
        return text

    def create(self):
        data = self.own(self.folder / "data") / "main"
        options = ["-d", data, "-l", self.server_log, "-s", self.run_folder, "-p", self.port]
        options += ["--start-conf", "manual", "--locale", "C.UTF-8"]
        self.ctl("createcluster", *options, self.version, CLUSTER, "--", "--auth=trust", "-N")
        keys = self.own(self.folder / "keys")
        for name in ("server.pem", "server.key", "ca.pem"):
            shutil.copy(self.stage.certs / name, keys / name)
            shutil.chown(keys / name, OWNER, OWNER)
        (keys / "server.key").chmod(0o600)
        self.config = self.configs / self.version / CLUSTER
        text = CONFIGURATION.format(run=self.run_folder, cluster=CLUSTER, keys=keys)
        (self.config / "conf.d" / "test.conf").write_text(text)
        (self.config / "pg_hba.conf").write_text(ACCESS)
        self.environment = self.config / "environment"
        self.without = self.environment.read_text()

    def start(self, values, **around):
        """Starts it with these lines in "environment"; around is what pg_ctlcluster itself has."""
        lines = [f"{name} = '{value}'\n" for name, value in values.items()]
        self.environment.write_text(self.without + "".join(lines))
        self.ctl("ctlcluster", self.version, CLUSTER, "start", **around)
        self.postmaster = int((self.run_folder / f"{CLUSTER}.pid").read_text())

    def systemd(self, *argv):
        """freeonce systemd on a system whose units are this machine's, and whose clusters are ours."""
        root = self.stage.dir / "root"
        if not root.exists():
            (root / "etc").mkdir(parents=True)
            (root / "etc/postgresql").symlink_to(self.configs)
            (root / "lib/systemd/system").mkdir(parents=True)
            shutil.copy("/lib/systemd/system/postgresql@.service", root / "lib/systemd/system")
        argv = [self.stage.freeonce, "systemd", "--root", root, *argv, f"postgresql@{self.version}-{CLUSTER}"]
        status, text = self.stage.run("freeonce", argv, preload=False)
        self.stage.check(f"exit status of {' '.join(map(str, argv))}", 0, f"{status}: {text}", status == 0)

    def start_as_it_is(self):
        self.ctl("ctlcluster", self.version, CLUSTER, "start")
        self.postmaster = int((self.run_folder / f"{CLUSTER}.pid").read_text())

    def stop(self):
        self.ctl("ctlcluster", self.version, CLUSTER, "stop")
        workers.check_ended(self.stage, "postgres", self.postmaster, 0, self.server_log)

    def all_processes(self):
        return {self.postmaster} | processes.descendants(self.postmaster)

    # --- clients ---

    def client_environment(self):
        certs = self.stage.certs
        key = self.stage.dir / "psql.key"  # psql wants it unreadable to others
        shutil.copy(certs / "client.key", key)
        key.chmod(0o600)
        values = {"PGHOST": "localhost", "PGHOSTADDR": "127.0.0.1", "PGPORT": self.port}
        values.update(PGUSER="client", PGDATABASE="postgres", PGSSLMODE="verify-full")
        values.update(PGSSLROOTCERT=certs / "ca.pem", PGSSLCERT=certs / "client.pem", PGSSLKEY=key)
        return [f"{name}={value}" for name, value in values.items()]

    def sql(self, query, *settings):
        argv = ["env", *self.client_environment(), *settings]
        argv += [self.programs / "psql", "-XAtc", query]
        return self.stage.run("psql", argv, preload=False)

    def rude(self, count):
        """Clients that send invalid data in the handshake, or close in its first message."""
        for number in range(count):
            with socket.create_connection(("127.0.0.1", self.port), 30) as plain:
                plain.sendall(SSL_REQUEST)
                self.stage.check("answer to a request for TLS", b"S", plain.recv(1))
                plain.sendall(b"nonsense\r\n" if number % 2 else b"\x16\x03\x01\x02")

    def sleeper(self):
        """A session that is still open when the server stops."""
        argv = ["env", *self.client_environment(), self.programs / "psql", "-XAt"]
        argv += ["-c", "SELECT 'open'", "-c", "SELECT pg_sleep(600)"]
        env = self.stage.environment(preload=False)
        session = self.stage.spawn(processes.Process, "psql", argv, env)
        self.stage.wait_until("a session is open", lambda: "open" in session.text())

    def traffic(self, clients, transactions):
        """clients at a time, each with so many transactions, each on a connection of its own."""
        script = self.stage.file("ask.sql", "SELECT ssl FROM pg_stat_ssl;\n")
        argv = ["env", *self.client_environment(), self.programs / "pgbench"]
        argv += ["-nC", "-f", script, "-c", clients, "-t", transactions]
        status, text = self.stage.run("pgbench", argv, 120, preload=False)
        done = f"actually processed: {clients * transactions}/{clients * transactions}"
        holds = done in text and status == 0
        self.stage.check("pgbench", f"{done}, status 0", f"{text}{status}", holds)


def newest_version():
    """The newest server that is installed with Debian's tools around it."""
    harness.need("pg_ctlcluster")
    found = sorted((path.parent.parent.name for path in VERSIONS.glob("*/bin/postgres")), key=float)
    if not found:
        raise harness.Skipped("no PostgreSQL server on this machine")
    return found[-1]


def create_role(stage, cluster):
    argv = [cluster.programs / "psql", "-XAtc", "CREATE ROLE client LOGIN"]
    argv += ["-h", cluster.run_folder]
    argv += ["-p", cluster.port, "-U", OWNER, "postgres"]
    status, text = stage.run("psql", argv, preload=False)
    stage.check("CREATE ROLE", 0, f"{status}: {text}", status == 0)


def check_served(stage, cluster):
    status, text = cluster.sql("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    stage.check("psql with sslmode=verify-full", "TLSv1.3", text.strip() or status)


def check_refused(stage, cluster):
    for setting in ("PGSSLCERT=/nowhere", "PGSSLMODE=disable"):
        status, text = cluster.sql("SELECT 1", setting)
        stage.check(f"psql with {setting}", "exit status 2", f"{status}: {text}", status == 2)


def test(stage, _):
    recipes.need_root("PostgreSQL's tools change to the user postgres")
    cluster = Cluster(stage)
    log = cluster.freeonce_log
    values = workers.variables(stage, log=log)
    cluster.start({}, **values)
    create_role(stage, cluster)
    check_served(stage, cluster)
    workers.check_reached(stage, cluster.all_processes(), ["postgres"], reached=False)
    cluster.stop()
    stage.check("freeonce's log without the recipe", False, log.exists())
    recipes.forget(stage, log)  # root's tools have made a journal, which is not PostgreSQL's
    harness.step("without the recipe pg_ctlcluster's own environment reaches nobody")

    cluster.start(workers.variables(stage, verbose=True, plant="postgres", log=log))
    check_served(stage, cluster)
    workers.check_reached(stage, cluster.all_processes(), ["postgres"])
    workers.check_finding(stage, "postgres", log, beside=cluster.postmaster)
    cluster.traffic(4, 5)
    cluster.stop()
    check_in_first(stage, log)
    recipes.check_journal(stage, True, log)
    workers.step_planted("a backend")

    recipes.forget(stage, log)
    cluster.start(values)
    check_refused(stage, cluster)
    for _ in range(3):
        cluster.traffic(8, 15)
        cluster.rude(10)
        cluster.ctl("ctlcluster", cluster.version, CLUSTER, "reload")
    check_served(stage, cluster)
    cluster.sleeper()
    cluster.stop()
    workers.check_silent(stage, cluster.server_log, log)
    recipes.check_journal(stage, False, log)
    harness.step("360 TLS sessions, 3 reloads and a stop with a session open, in silence")
    check_systemd(stage, cluster, log)


def check_systemd(stage, cluster, log):
    """freeonce systemd writes the cluster's file, and takes its lines out again."""
    if stage.lib is None:
        return
    recipes.forget(stage, log)
    cluster.environment.write_text(cluster.without)
    journal = recipes.journal_of(stage, log)
    cluster.systemd("--install", "--library", stage.lib, "--log", log, "--journal", journal, "-s", "VERBOSE=1")
    cluster.start_as_it_is()
    check_served(stage, cluster)
    workers.check_reached(stage, cluster.all_processes(), ["postgres"])
    cluster.stop()
    check_in_first(stage, log)
    cluster.systemd("--remove")
    left = cluster.environment.read_text()
    stage.check("the cluster's file after --remove", cluster.without, left)
    harness.step("freeonce systemd --install guards the cluster, --remove leaves its file as it was")


def check_in_first(stage, log):
    if stage.lib is not None:
        text = log.read_text()
        stage.check("the line at load", "before its first", text, "before its first" in text)


if __name__ == "__main__":
    harness.main(test, __doc__)
