"""Does the recipe for Dovecot work: does import_environment bring the library into the processes?

Dovecot's master empties the environment of everything that it starts.  imap-login, the process that
does TLS, loads libcrypto with dlopen and registers memory functions of its own, late; it is started
as root, and only then enters its chroot and becomes an unprivileged user.
"""

import concurrent.futures
import imaplib
import os
import pwd
import socket
import ssl
import subprocess

import harness
import processes
import recipes
import workers

CONFIGURATION = """
protocols = imap
listen = 127.0.0.1
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/dovecot.log
ssl = required
ssl_cert = <{certs}/server.pem
ssl_key = <{certs}/server.key
ssl_ca = <{certs}/ca.pem
ssl_verify_client_cert = yes
ssl_require_crl = no
auth_ssl_require_client_cert = yes
first_valid_uid = 1
mail_location = maildir:{dir}/mail/%u
service imap-login {{
    inet_listener imap {{
        port = {imap}
    }}
    inet_listener imaps {{
        port = {imaps}
    }}
}}
passdb {{
    driver = static
    args = password=secret
}}
userdb {{
    driver = static
    args = uid={uid} gid={gid} home={dir}/mail/%u
}}
"""

def need_2_3():
    """2.4 reads no configuration of 2.3, and the recipe is one."""
    done = subprocess.run([harness.need("dovecot"), "--version"], stdout=subprocess.PIPE, text=True, check=True)
    if not done.stdout.startswith("2.3."):
        raise harness.OtherVersion(f"the recipe is for Dovecot 2.3, here is {done.stdout.split()[0]}")


RECIPE = "import_environment = $import_environment {words}\n"


class Dovecot:
    """A Dovecot of its own, with these variables in its import_environment."""

    def __init__(self, stage, values, **around):
        self.stage, self.errors = stage, []
        self.imap, self.imaps = stage.port(), stage.port()
        self.folder = stage.folder(f"dovecot-{self.imaps}")
        nobody = pwd.getpwnam("nobody")  # whose mail it is
        os.chown(stage.folder(f"{self.folder.name}/mail"), nobody.pw_uid, nobody.pw_gid)
        text = CONFIGURATION.format(
            dir=self.folder,
            certs=stage.certs,
            imap=self.imap,
            imaps=self.imaps,
            uid=nobody.pw_uid,
            gid=nobody.pw_gid,
        )
        if values:
            words = " ".join(f"{name}={value}" for name, value in values.items())
            text += RECIPE.format(words=words)
        self.config = stage.file(f"{self.folder.name}/dovecot.conf", text)
        argv = ["env", *(f"{name}={value}" for name, value in around.items())]
        argv += [harness.need("dovecot"), "-F", "-c", self.config]
        log = self.folder / "dovecot.log"
        self.server = stage.start("dovecot", argv, self.imaps, preload=False, log=log)

    def doveadm(self, word):
        argv = [harness.need("doveadm"), "-c", self.config, word]
        status, text = self.stage.run(f"doveadm-{word}", argv, preload=False)
        self.stage.check(f"exit status of doveadm {word}", 0, f"{status}: {text}", status == 0)

    def reload(self):
        """Returns when there are only login processes that know the new configuration."""
        before = processes.descendants(self.server.pid)
        self.doveadm("reload")
        self.stage.wait_until("dovecot has reloaded", lambda: not self.logins() & before)

    def logins(self):
        below = processes.descendants(self.server.pid)
        return {pid for pid in below if workers.name(pid) == "imap-login"}

    def stop(self):
        self.doveadm("stop")
        self.stage.wait_until("dovecot ends", lambda: not self.server.running(), 60)
        self.stage.check("exit status of dovecot", 0, self.stage.stop(self.server))
        self.stage.check_no_crash(self.server)

    # --- clients ---

    def context(self, certificate=True):
        context = ssl.create_default_context(cafile=self.stage.certs / "ca.pem")
        if certificate:
            certs = self.stage.certs
            context.load_cert_chain(certs / "client.pem", certs / "client.key")
        return context

    def connect(self, number):
        """TLS from the first byte, or after STARTTLS, in turns."""
        if number % 2 == 0:
            return imaplib.IMAP4_SSL(
                "localhost", self.imaps, ssl_context=self.context(), timeout=30
            )
        client = imaplib.IMAP4("localhost", self.imap, timeout=30)
        client.starttls(self.context())
        return client

    def session(self, number, tries=1):
        """Has a client been served?  A reload cuts off those who are just logging in, whatever is
        preloaded: they come again."""
        for _ in range(tries):
            try:
                client = self.connect(number)
                client.login(f"user{number % 4}", "secret")
                kind, _ = client.select("INBOX")
                client.logout()
                return kind == "OK"
            except (imaplib.IMAP4.error, OSError) as error:
                self.errors.append(str(error))
        return False

    def rude(self, number):
        """No TLS at all, a connection that is cut in its first message, no certificate."""
        with socket.create_connection(("localhost", self.imaps), 30) as plain:
            plain.sendall(b"a LOGIN user secret\r\n" if number % 3 == 0 else b"\x16\x03\x01\x02")
        if number % 3 == 2:
            client = imaplib.IMAP4_SSL(
                "localhost", self.imaps, ssl_context=self.context(False), timeout=30
            )
            try:
                client.login("user0", "secret")
            except imaplib.IMAP4.error:
                client.shutdown()
            else:
                raise harness.Failed("a client without certificate was let in")

    def traffic(self, count):
        """Good and bad clients, 8 at a time."""
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            good = pool.map(self.session, range(count))
            bad = [pool.submit(self.rude, number) for number in range(count // 4)]
            self.check_served(count, good)
            for one in bad:
                one.result()

    def traffic_and_reload(self, count):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            good = pool.map(self.session, range(count), [20] * count)
            self.reload()
            self.check_served(count, good)

    def check_served(self, count, results):
        served = sum(results)
        self.stage.check("IMAP sessions served", count, f"{served}, {self.errors}", served == count)


def test_without(stage):
    dovecot = Dovecot(stage, {}, **workers.variables(stage))
    dovecot.traffic(8)
    client = dovecot.connect(0)
    below = processes.descendants(dovecot.server.pid)
    workers.check_reached(stage, below, ["imap-login"], reached=False)
    client.logout()
    dovecot.stop()
    recipes.forget(stage)  # as the master has
    harness.step("without the recipe Dovecot's own environment reaches no worker")


def test_planted(stage):
    dovecot = Dovecot(stage, workers.variables(stage, verbose=True, plant="imap-login"))
    client = dovecot.connect(0)
    below = processes.descendants(dovecot.server.pid)
    workers.check_reached(stage, below, ["imap-login"])
    check_confined(stage, dovecot)
    workers.check_finding(stage, "imap-login")
    client.login("user0", "secret")
    client.logout()
    dovecot.traffic(8)
    dovecot.stop()
    recipes.check_journal(stage, True)
    stage.check_in_first()
    recipes.forget(stage)
    workers.step_planted("imap-login")


def check_confined(stage, dovecot):
    """The process with the finding could no longer open the log by itself at that time."""
    roots = {os.readlink(f"/proc/{pid}/root") for pid in dovecot.logins()}
    stage.check("root of imap-login", {f"{dovecot.folder}/run/login"}, roots)
    owners = {os.stat(f"/proc/{pid}").st_uid for pid in dovecot.logins()}
    stage.check("user of imap-login", {pwd.getpwnam("dovenull").pw_uid}, owners)


def test(stage, _):
    recipes.need_root("Dovecot's processes change their users and their root")
    need_2_3()
    test_without(stage)
    test_planted(stage)
    dovecot = Dovecot(stage, workers.variables(stage))
    dovecot.traffic(160)
    dovecot.traffic_and_reload(160)
    client = dovecot.connect(0)
    client.login("user0", "secret")  # imap-login remains between the client and imap
    dovecot.stop()
    client.shutdown()
    workers.check_silent(stage, dovecot.folder / "dovecot.log")
    recipes.check_journal(stage, False)
    harness.step("320 IMAP sessions over TLS, a reload meanwhile, a stop with one open: silence")


if __name__ == "__main__":
    harness.main(test, __doc__)
