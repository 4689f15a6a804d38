"""Does the recipe for Postfix work: does import_environment bring the library into the daemons?

The postfix command and its master empty the environment.  What does TLS is started as root and
then becomes an unprivileged user in a chroot, as Debian's master.cf says: smtpd takes mail, smtp
hands it on to a second smtpd, both with TLS and certificates on both sides.
"""

import concurrent.futures
import os
import pathlib
import pwd
import smtplib
import socket
import ssl

import harness
import processes
import recipes
import workers

PROTOTYPE = pathlib.Path("/usr/share/postfix/master.cf.dist")
SHIPPED = pathlib.Path("/etc/postfix")  # what the package's files need, read only

CONFIGURATION = """
compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
meta_directory = {shipped}
maillog_file = {dir}/mail.log
maillog_file_prefixes = {dir}
myhostname = localhost
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
local_recipient_maps =
in_flow_delay = 0s
relayhost = [127.0.0.1]:{sink}
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_tls_all_clientcerts, reject
smtpd_tls_security_level = encrypt
smtpd_tls_req_ccert = yes
smtpd_tls_chain_files = {certs}/server.key, {certs}/server.pem
smtpd_tls_CAfile = {certs}/ca.pem
smtp_tls_security_level = verify
smtp_tls_verify_cert_match = localhost
smtp_tls_chain_files = {certs}/client.key, {certs}/client.pem
smtp_tls_CAfile = {certs}/ca.pem
"""

# In place of the package's first service; the rest, chroot included, is the package's.
SERVICES = """
127.0.0.1:{smtp}  inet n - y - - smtpd
127.0.0.1:{smtps} inet n - y - - smtpd -o smtpd_tls_wrappermode=yes
127.0.0.1:{sink}  inet n - y - - smtpd -o content_filter=discard:
"""


class Postfix:
    """A Postfix of its own, with these variables in its import_environment."""

    def __init__(self, stage, values, **around):
        self.stage = stage
        self.smtp, self.smtps, self.sink = stage.port(), stage.port(), stage.port()
        self.folder = stage.folder(f"postfix-{self.smtp}")
        self.errors = []
        owner = pwd.getpwnam("postfix")
        os.chown(stage.folder(f"{self.folder.name}/data"), owner.pw_uid, owner.pw_gid)
        stage.folder(f"{self.folder.name}/queue")
        self.log = self.folder / "mail.log"
        stage.daemon_logs.append(self.log)
        self.configure(values)
        self.start(around)

    def start(self, around):
        """As the init script does it: the command ends, its master continues."""
        argv = ["env", *(f"{name}={value}" for name, value in around.items())]
        argv += [harness.need("postfix"), "-c", self.config, "start"]
        status, text = self.stage.run("postfix", argv, preload=False)
        self.stage.check("exit status of postfix start", 0, f"{status}: {text}", status == 0)
        self.stage.wait_until("smtpd accepts connections", lambda: harness.accepts(self.smtp))
        self.master = int((self.folder / "queue/pid/master.pid").read_text())

    def configure(self, values):
        ports = {"smtp": self.smtp, "smtps": self.smtps, "sink": self.sink}
        main = CONFIGURATION.format(
            dir=self.folder, certs=self.stage.certs, shipped=SHIPPED, **ports
        )
        name = f"{self.folder.name}/etc"
        self.config = self.stage.file(f"{name}/main.cf", main).parent
        rows = PROTOTYPE.read_text().splitlines()
        rest = [row for row in rows if not row.startswith("smtp      inet")]
        assert len(rest) == len(rows) - 1
        self.stage.file(f"{name}/master.cf", SERVICES.format(**ports) + "\n".join(rest) + "\n")
        for shared in ("dynamicmaps.cf", "postfix-files"):
            os.symlink(SHIPPED / shared, self.config / shared)
        if values:
            self.apply_recipe(values)

    def apply_recipe(self, values):
        """As the recipe says: the default, and the recipe's words behind it."""
        default = self.command("postconf", "-dh", "import_environment").strip()
        words = " ".join(f"{name}={value}" for name, value in values.items())
        self.command("postconf", "-e", f"import_environment = {default} {words}")

    def command(self, program, *words):
        argv = [harness.need(program), "-c", self.config, *words]
        status, text = self.stage.run(program, argv, preload=False)
        self.stage.check(f"exit status of {argv}", 0, f"{status}: {text}", status == 0)
        return text

    def reload(self):
        before = self.named("smtpd")
        self.command("postfix", "reload")
        self.stage.wait_until("postfix has reloaded", lambda: not self.named("smtpd") & before)

    def processes(self):
        return processes.descendants(self.master)

    def named(self, program):
        return {pid for pid in self.processes() if workers.name(pid) == program}

    def stop(self):
        self.command("postfix", "stop")
        # master passes the signal on, and then ends by it itself.
        workers.check_ended(self.stage, "master", self.master, "SIGTERM", self.log)

    # --- clients ---

    def context(self, certificate=True):
        certs = self.stage.certs
        context = ssl.create_default_context(cafile=certs / "ca.pem")
        if certificate:
            context.load_cert_chain(certs / "client.pem", certs / "client.key")
        return context

    def connect(self, number, certificate=True):
        """TLS from the first byte, or after STARTTLS, in turns."""
        more = {"local_hostname": "localhost", "timeout": 30}
        context = self.context(certificate)
        if number % 2 == 0:
            return smtplib.SMTP_SSL("localhost", self.smtps, context=context, **more)
        client = smtplib.SMTP("localhost", self.smtp, **more)
        client.starttls(context=context)
        return client

    def session(self, number, tries=1):
        """Could a client send its mail?"""
        for _ in range(tries):
            try:
                with self.connect(number) as client:
                    client.sendmail("a@localhost", ["b@example.org"], f"Subject: {number}\n\nhi\n")
                return True
            except (smtplib.SMTPException, OSError) as error:
                self.errors.append(str(error))
        return False

    def rude(self, number):
        """No TLS at all, a connection that is cut in its first message, no certificate."""
        if number % 3 != 2:
            with socket.create_connection(("localhost", self.smtps), 30) as plain:
                plain.sendall(b"EHLO rude\r\n" if number % 3 == 0 else b"\x16\x03\x01\x02")
            return
        try:
            with self.connect(number, certificate=False) as client:
                client.sendmail("a@localhost", ["b@example.org"], "Subject: no\n\nno\n")
        except (smtplib.SMTPException, OSError):
            return
        raise harness.Failed("a client without certificate has handed in a mail")

    def traffic(self, count, meanwhile=lambda: None, tries=1):
        """Good and bad clients, 8 at a time, until all mails are through both servers."""
        before = self.delivered()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            good = pool.map(self.session, range(count), [tries] * count)
            bad = [pool.submit(self.rude, number) for number in range(count // 4)]
            meanwhile()
            served = sum(good)
            self.stage.check("mails", count, f"{served}, {self.errors}", served == count)
            for one in bad:
                one.result()
        self.stage.wait_until(
            f"{count} mails are handed on by smtp and discarded",
            lambda: self.delivered() - before >= count,
        )

    def delivered(self):
        rows = self.log.read_text(errors="replace").splitlines()
        return sum("postfix/discard[" in row and "status=sent" in row for row in rows)


TLS_PROGRAMS = ["smtp", "smtpd", "tlsmgr"]


def test_without(stage):
    postfix = Postfix(stage, {}, **workers.variables(stage))
    postfix.traffic(8)
    workers.check_reached(stage, postfix.processes(), TLS_PROGRAMS, reached=False)
    postfix.stop()
    recipes.forget(stage)
    harness.step("without the recipe Postfix's own environment reaches no daemon")


def check_confined(stage, postfix):
    """The process with the finding could no longer open the log by itself at that time."""
    roots = {os.readlink(f"/proc/{pid}/root") for pid in postfix.named("smtpd")}
    stage.check("root of smtpd", {f"{postfix.folder}/queue"}, roots)
    owners = {os.stat(f"/proc/{pid}").st_uid for pid in postfix.named("smtpd")}
    stage.check("user of smtpd", {pwd.getpwnam("postfix").pw_uid}, owners)


def test_planted(stage):
    postfix = Postfix(stage, workers.variables(stage, verbose=True, plant="smtpd"))
    postfix.traffic(8)
    workers.check_reached(stage, postfix.processes(), TLS_PROGRAMS)
    check_confined(stage, postfix)
    workers.check_finding(stage, "smtpd")
    postfix.stop()
    recipes.check_journal(stage, True)
    stage.check_in_first()
    recipes.forget(stage)
    workers.step_planted("smtpd")


def test(stage, _):
    recipes.need_root("Postfix's daemons change their users and their root")
    harness.need("postfix")
    test_without(stage)
    test_planted(stage)
    postfix = Postfix(stage, workers.variables(stage))
    postfix.traffic(150)
    postfix.traffic(150, meanwhile=postfix.reload)
    with postfix.connect(0):
        postfix.stop()
    workers.check_silent(stage, postfix.log)
    recipes.check_journal(stage, False)
    harness.step("300 mails over TLS, a reload under traffic, a stop with a session open: silence")


if __name__ == "__main__":
    harness.main(test, __doc__)
