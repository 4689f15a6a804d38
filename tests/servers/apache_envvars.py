"""Does the recipe for Apache work: does the file envvars reach the processes of apache2ctl?

The init script starts apache2ctl with an empty environment, and systemd's unit with its own; in
both cases apache2ctl reads envvars from its folder of configuration, here a private one.
"""

import pathlib
import re

import findings
import harness
import recipes

USER = "www-data"
DEBIAN = pathlib.Path("/etc/apache2/envvars")
MODULES = "/usr/lib/apache2/modules"

CONFIGURATION = """
DefaultRuntimeDir ${{APACHE_RUN_DIR}}
PidFile ${{APACHE_PID_FILE}}
ErrorLog ${{APACHE_LOG_DIR}}/error.log
User ${{APACHE_RUN_USER}}
Group ${{APACHE_RUN_GROUP}}
ServerName localhost
Listen 127.0.0.1:{port}
LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule ssl_module {modules}/mod_ssl.so
StartServers 4
MaxRequestWorkers 64
DocumentRoot {dir}/www
DirectoryIndex index.html
SSLEngine on
SSLCertificateFile {certs}/server.pem
SSLCertificateKeyFile {certs}/server.key
SSLCACertificateFile {certs}/ca.pem
SSLVerifyClient require
SSLSessionCache none
"""


def envvars(folder, values):
    """Debian's own file, with folders of the test, and the recipe's lines."""
    text = DEBIAN.read_text()
    moved = {"RUN_DIR": folder, "LOCK_DIR": folder, "LOG_DIR": folder, "PID_FILE": folder / "pid"}
    for name, place in moved.items():
        line = f"export APACHE_{name}="
        text = re.sub(f"^{line}.*$", f"{line}{place}", text, flags=re.M)
    return text + "".join(f"export {name}={value}\n" for name, value in values.items())


class Apache:
    def __init__(self, stage, values):
        self.stage, self.port = stage, stage.port()
        self.folder = stage.folder(f"apache-{self.port}")
        text = CONFIGURATION.format(
            dir=self.folder, certs=stage.certs, port=self.port, modules=MODULES
        )
        for name, content in (
            ("apache2.conf", text),
            ("envvars", envvars(self.folder, values)),
            ("www/index.html", "hello\n"),
        ):
            stage.file(f"{self.folder.name}/{name}", content)
        self.control("start")
        self.main = recipes.Daemon(stage, "apache2", self.folder / "pid", self.folder / "error.log")
        stage.wait_until("apache2 accepts connections", lambda: harness.accepts(self.port))

    def control(self, word):
        """apache2ctl as the init script runs it: nothing else in the environment."""
        env = {"LANG": "C", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        env["APACHE_CONFDIR"] = self.folder
        argv = [harness.need("apache2ctl"), word]
        status, text = recipes.command(self.stage, f"apache2ctl-{word}", argv, env)
        self.stage.check(f"exit status of apache2ctl {word}", 0, f"{status}: {text}", status == 0)

    def workers(self):
        uid = recipes.uid_of(USER)
        return {pid for pid in self.main.children() if recipes.status_of(pid, "Uid") == uid}

    def graceful(self):
        before = self.main.children()
        self.control("graceful")
        self.stage.wait_for_new_workers(self.main, before)

    def check_processes(self, what, guarded):
        self.stage.wait_until("apache2 has its workers", lambda: len(self.workers()) >= 4)
        recipes.check_guarded(self.stage, what, self.main.everybody(), 5, guarded)

    def stop(self, word="stop"):
        self.control(word)
        self.stage.check("exit status of apache2", 0, self.main.wait())
        self.stage.wait_until("no process is left", lambda: not self.stage.leftovers())
        self.stage.check_no_crash(self.main)


def serve(stage, apache, count=20, mix="good", *more):
    load = stage.load(apache.port, count, "http", mix, *more)
    stage.check_served("clients", stage.result_of(load))


def test_without(stage):
    apache = Apache(stage, {})
    serve(stage, apache)
    apache.check_processes("without the recipe", guarded=False)
    apache.stop()
    harness.step("without the recipe no process has the library")


def test_finding(stage):
    apache = Apache(stage, recipes.variables(stage, "apache2", USER, verbose=True))
    apache.graceful()
    apache.check_processes("after a graceful restart", guarded=True)
    serve(stage, apache)
    apache.stop()
    if stage.lib is not None:
        found = findings.parse(findings.read(stage.log))
        pids = {one.sites["freed again"].pid for one in found if findings.is_complete(one)}
        of_workers = bool(pids) and apache.main.pid not in pids
        stage.check("processes with a finding", "workers", pids, of_workers)
    recipes.check_journal(stage, True)
    stage.check_in_first()
    recipes.forget(stage)
    harness.step("a finding in a worker arrives, after a restart that reloads mod_ssl")


def test_restarts(stage):
    apache = Apache(stage, recipes.variables(stage))
    load = stage.load(apache.port, 1500, "http", "mixed")
    during = stage.reload_under_traffic(load, apache.graceful)
    stage.check_served("traffic while apache2 restarts", stage.result_of(load))
    apache.check_processes("after the restarts", guarded=True)
    harness.step(f"{during} graceful restarts under traffic, no client lost")

    serve(stage, apache, 40, "good", "--hold", 8)
    apache.stop()
    stage.check_silent()
    recipes.check_journal(stage, False)
    harness.step("a stop with connections open, in silence")


def test(stage, _):
    recipes.need_root("apache2 changes the user of its workers")
    harness.need("apache2ctl")
    recipes.uid_of(USER)
    test_without(stage)
    test_finding(stage)
    test_restarts(stage)


if __name__ == "__main__":
    harness.main(test, __doc__)
