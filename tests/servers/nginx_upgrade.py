"""Does the recipe for nginx work: is the library in the processes after a binary upgrade?

nginx removes from its environment what its configuration does not name with `env`.  The workers
are forked and keep the library all the same, but the program that an upgrade (USR2, WINCH, QUIT)
executes has it only with these lines.
"""

import signal

import findings
import harness
import recipes

USER = "www-data"
WORKERS = 2

CONFIGURATION = """
{env}
user {user};
worker_processes {workers};
pid {dir}/nginx.pid;
error_log {dir}/error.log info;
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
        ssl_certificate_key {certs}/server.key;
        ssl_client_certificate {certs}/ca.pem;
        ssl_verify_client on;
        location / {{ return 200 "hello\\n"; }}
    }}
}}
"""


class Nginx:
    """An nginx in the background, as its unit starts it: the master changes with each upgrade."""

    def __init__(self, stage, values, env=()):
        self.stage, self.port = stage, stage.port()
        self.folder = stage.folder(f"nginx-{self.port}")
        lines = "\n".join(f"env {name};" for name in env)
        text = CONFIGURATION.format(
            dir=self.folder,
            certs=stage.certs,
            port=self.port,
            env=lines,
            user=USER,
            workers=WORKERS,
        )
        config = stage.file(f"{self.folder.name}/nginx.conf", text)
        argv = [harness.need("nginx"), "-p", self.folder, "-e", "error.log", "-c", config]
        status, text = stage.run("nginx", argv, preload=bool(values), **values)
        stage.check("exit status of nginx", 0, f"{status}: {text}", status == 0)
        self.master = self.find_master()

    def find_master(self):
        """The process that the pid file names, once it has its workers."""
        pid_file, log = self.folder / "nginx.pid", self.folder / "error.log"
        master = recipes.Daemon(self.stage, "nginx", pid_file, log)
        self.stage.wait_until(
            "nginx has its workers", lambda: len(self.workers(master)) == WORKERS
        )
        return master

    @staticmethod
    def workers(master):
        """They have changed their user; an old master also has the new one for a child."""
        uid = recipes.uid_of(USER)
        return {pid for pid in master.children() if recipes.status_of(pid, "Uid") == uid}

    def upgrade(self):
        """Executes the program anew, lets the old workers finish, then ends the old master."""
        old = self.master
        old.send(signal.SIGUSR2)
        self.stage.wait_until(
            "the new master writes its pid",
            lambda: old.pid_in_file() not in (None, old.pid),
        )
        self.master = self.find_master()
        old.send(signal.SIGWINCH)
        self.stage.wait_until("the old workers end", lambda: not self.workers(old))
        old.send(signal.SIGQUIT)
        self.stage.check("exit status of the old master", 0, old.wait())

    def check_processes(self, what, guarded):
        pids = {self.master.pid} | self.workers(self.master)
        recipes.check_guarded(self.stage, what, pids, 1 + WORKERS, guarded)

    def serve(self, what, count=20):
        load = self.stage.load(self.port, count, "http")
        self.stage.check_served(what, self.stage.result_of(load))

    def stop(self, number=signal.SIGTERM):
        self.master.send(number)
        self.stage.check("exit status of nginx", 0, self.master.wait())
        self.stage.wait_until("no process is left", lambda: not self.stage.leftovers())
        self.stage.check_no_crash(self.master)


def test_without(stage):
    nginx = Nginx(stage, recipes.variables(stage))
    nginx.serve("at first")
    nginx.check_processes("at first", guarded=True)
    nginx.upgrade()
    nginx.serve("after an upgrade")
    nginx.check_processes("after an upgrade without env lines", guarded=False)
    nginx.stop()
    recipes.forget(stage)
    harness.step("without the recipe the library is lost in an upgrade")


def test_finding(stage):
    """In a worker of the new program."""
    values = recipes.variables(stage, "nginx", USER, verbose=True)
    nginx = Nginx(stage, values, env=values)
    nginx.upgrade()
    nginx.check_processes("after an upgrade", guarded=True)
    nginx.serve("after an upgrade")
    workers = nginx.workers(nginx.master)
    nginx.stop(signal.SIGQUIT)
    if stage.lib is not None:
        found = findings.parse(findings.read(stage.log))
        pids = {one.sites["freed again"].pid for one in found if findings.is_complete(one)}
        stage.check("workers with a finding", f"some of {workers}", pids, bool(pids & workers))
    recipes.check_journal(stage, True)
    stage.check_in_first()
    recipes.forget(stage)
    harness.step("a finding in a worker of the new program arrives")


def test_upgrades(stage):
    values = recipes.variables(stage)
    nginx = Nginx(stage, values, env=values)
    load = stage.load(nginx.port, 2000, "http", "mixed")
    during = stage.reload_under_traffic(load, nginx.upgrade)
    stage.check_served("traffic while nginx is upgraded", stage.result_of(load))
    nginx.check_processes("after the upgrades", guarded=True)
    harness.step(f"{during} upgrades under traffic, no client lost")

    load = stage.load(nginx.port, 40, "http", "good", "--hold", 8)
    stage.check_served("traffic after the upgrades", stage.result_of(load))
    nginx.stop()
    stage.check_silent()
    recipes.check_journal(stage, False)
    harness.step("a stop with connections open, in silence")


def test(stage, _):
    recipes.need_root("nginx changes the user of its workers")
    harness.need("nginx")
    recipes.uid_of(USER)
    test_without(stage)
    test_finding(stage)
    test_upgrades(stage)


if __name__ == "__main__":
    harness.main(test, __doc__)
