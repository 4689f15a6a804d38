#!/usr/bin/env python3
"""OpenSSL's own command line under the settings of CI: each command ends as it does without the
library, and nothing is found.  (OpenSSL's own test suite: suite.py.)

    run.py --lib L [--openssl PATH] [PART...]     parts: see PARTS at the end

Standard library only.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

DEADLINE = 300  # seconds a command
SKIPPED = 77  # SKIP_RETURN_CODE of ctest
CI = {
    "FREEONCE_QUARANTINE": "4M",
    "FREEONCE_FILL": "1",
    "FREEONCE_CANARY": "1",
    "FREEONCE_OBJECTS": "1",
    "FREEONCE_REQUIRE": "1",
}
CONFIGURATION = """
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = CA:false
extendedKeyUsage = serverAuth, clientAuth, emailProtection
subjectAltName = DNS:localhost, IP:127.0.0.1
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[stamper]
basicConstraints = CA:false
extendedKeyUsage = critical, timeStamping
[ca]
default_ca = authority_at_work
[authority_at_work]
database = index
crlnumber = crlnumber
serial = serial
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_days = 2
default_crl_days = 2
policy = any
[any]
organizationName = optional
commonName = supplied
[tsa]
default_tsa = stamps
[stamps]
serial = stamps
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""


class Failure(Exception):
    pass


class Side:
    """A folder in which the same commands run, with the library or without."""

    def __init__(self, openssl, preload):
        self.openssl, self.preload = openssl, preload
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="freeonce-openssl-"))
        self.log = self.dir / "findings.log"
        (self.dir / "openssl.cnf").write_text(CONFIGURATION)
        (self.dir / "message").write_text("".join(f"line {n}\n" for n in range(3000)))
        (self.dir / "index").write_text("")
        for name in ("serial", "crlnumber", "stamps"):
            (self.dir / name).write_text("1000\n")

    def environment(self):
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(self.dir)}
        environment["OPENSSL_CONF"] = str(self.dir / "openssl.cnf")
        if self.preload:
            environment |= CI | {"FREEONCE_LOG": str(self.log), "LD_PRELOAD": self.preload}
        return environment

    def start(self, command, **options):
        return subprocess.Popen(
            [self.openssl, *command.split()],
            cwd=self.dir,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **options,
        )

    def run(self, command, text=""):
        """(status, output)"""
        process = self.start(command, stdin=subprocess.PIPE)
        try:
            said = process.communicate(text.encode(), DEADLINE)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Failure(f"openssl {command}: it hangs") from None
        return process.returncode, said.decode(errors="backslashreplace")

    def findings(self):
        return self.log.read_text(errors="backslashreplace") if self.log.exists() else ""

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)


class Pair:
    """Both sides; a command must do the same on each."""

    def __init__(self, arguments):
        self.plain = Side(arguments.openssl, None)
        self.ours = Side(arguments.openssl, str(arguments.lib))
        self.count = 0

    def check(self, command, statuses, said):
        self.count += 1
        if statuses[0] != statuses[1]:
            raise Failure(f"openssl {command}: status {statuses[1]}, without {statuses[0]}\n{said}")
        if "freeonce:" in said or self.ours.findings():
            raise Failure(f"openssl {command}: {said}\n{self.ours.findings()}")

    def run(self, command, text="", status=0):
        without, heard = self.plain.run(command, text)
        if without != status:
            raise Failure(f"openssl {command}: status {without} without the library\n{heard}")
        with_ours, said = self.ours.run(command, text)
        self.check(command, (without, with_ours), said)

    def same(self, one, other):
        for side in (self.plain, self.ours):
            if (side.dir / one).read_bytes().split() != (side.dir / other).read_bytes().split():
                raise Failure(f"{one} and {other} differ")


def make_keys(pair):
    pair.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key")
    pair.run("req -x509 -new -key ca.key -extensions authority -subj /CN=ca -days 2 -out ca.pem")
    leaf = "x509 -req -CA ca.pem -CAkey ca.key -days 2 -extfile openssl.cnf -extensions"
    for name, options, extensions in (
        ("rsa", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "leaf"),
        ("ec", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384", "leaf"),
        ("ed", "-algorithm ED25519", "leaf"),
        ("stamper", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "stamper"),
    ):
        serial = 2 + len(name) * 16 + ord(name[0])
        pair.run(f"genpkey {options} -out {name}.key")
        pair.run(f"req -new -key {name}.key -subj /CN={name} -out {name}.csr")
        pair.run(f"{leaf} {extensions} -in {name}.csr -set_serial {serial} -out {name}.pem")


def keys(pair):
    for name in ("rsa", "ec", "ed"):
        pair.run(f"pkey -in {name}.key -text -noout")
        pair.run(f"pkey -in {name}.key -pubout -out {name}.pub")
        pair.run(f"pkcs8 -topk8 -in {name}.key -passout pass:x -out {name}.p8")
        pair.run(f"pkcs8 -in {name}.p8 -passin pass:x -out {name}.back")
        pair.same(f"{name}.key", f"{name}.back")
        pair.run(f"pkcs8 -in {name}.p8 -passin pass:wrong -out {name}.wrong", status=1)
    pair.run("rsa -in rsa.key -check -noout")
    pair.run("ec -in ec.key -text -noout")
    pair.run("genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:1024 -out dsa.params")
    pair.run("genpkey -paramfile dsa.params -out dsa.key")
    pair.run("genpkey -algorithm X25519 -out x.key")
    pair.run("pkey -in x.key -pubout -out x.pub")
    pair.run("pkeyutl -derive -inkey x.key -peerkey x.pub -out secret")
    pair.run("prime -generate -bits 256")
    pair.run("rand -hex 32")


def certificates(pair):
    for name in ("rsa", "ec", "ed"):
        pair.run(f"req -in {name}.csr -verify -text -noout")
        pair.run(f"x509 -in {name}.pem -text -noout")
        pair.run(f"verify -CAfile ca.pem -x509_strict {name}.pem")
        pair.run(f"verify {name}.pem", status=2)
        pair.run(f"pkcs12 -export -in {name}.pem -inkey {name}.key -certfile ca.pem -passout pass:x -out {name}.p12")
        pair.run(f"pkcs12 -in {name}.p12 -passin pass:x -nodes -out {name}.all")
        pair.run(f"pkcs12 -in {name}.p12 -passin pass:wrong -nodes", status=1)
    pair.run("x509 -in rsa.pem -fingerprint -sha256 -ext subjectAltName -dates -noout")
    pair.run("asn1parse -in rsa.pem")
    pair.run("crl2pkcs7 -nocrl -certfile ca.pem -out ca.p7")
    pair.run("pkcs7 -in ca.p7 -print_certs -text -noout")
    pair.run("x509 -in message -noout", status=1)


def authority(pair):
    """An authority at work: issue, revoke, list, and answer for what was revoked."""
    pair.run("ca -batch -in ec.csr -extfile openssl.cnf -extensions leaf -out issued.pem -notext")
    pair.run("ca -gencrl -out empty.crl")
    pair.run("ca -revoke issued.pem")
    pair.run("ca -gencrl -out ca.crl")
    pair.run("crl -in ca.crl -text -noout -CAfile ca.pem")
    pair.run("verify -crl_check -CAfile ca.pem -CRLfile empty.crl issued.pem")
    pair.run("verify -crl_check -CAfile ca.pem -CRLfile ca.crl issued.pem", status=2)
    pair.run("ocsp -no_nonce -issuer ca.pem -cert issued.pem -reqout query.ocsp")
    pair.run(
        "ocsp -index index -rsigner ca.pem -rkey ca.key -CA ca.pem -reqin query.ocsp -respout answer.ocsp"
    )
    pair.run("ocsp -no_nonce -respin answer.ocsp -CAfile ca.pem -issuer ca.pem -cert issued.pem -text")


def messages(pair):
    for tool in ("cms", "smime"):
        signed = f"{tool} -sign -signer rsa.pem -inkey rsa.key -in message"
        pair.run(f"{signed} -text -out signed.{tool}")
        pair.run(f"{tool} -verify -in signed.{tool} -CAfile ca.pem -text -out verified.{tool}")
        pair.same("message", f"verified.{tool}")
        pair.run(f"{tool} -verify -in signed.{tool} -out unverified.{tool}", status=4)
        pair.run(f"{tool} -encrypt -aes256 -in message -binary -out sealed.{tool} rsa.pem")
        pair.run(f"{tool} -decrypt -in sealed.{tool} -recip rsa.pem -inkey rsa.key -out opened.{tool}")
        pair.same("message", f"opened.{tool}")
    pair.run("cms -sign -signer ec.pem -inkey ec.key -in message -binary -outform DER -out signed.der")
    pair.run("cms -cmsout -print -noout -inform DER -in signed.der")
    pair.run("cms -encrypt -aes-256-gcm -in message -binary -outform DER -out sealed.der ec.pem")
    pair.run("cms -decrypt -inform DER -in sealed.der -recip ec.pem -inkey ec.key -out opened.der")
    pair.same("message", "opened.der")
    pair.run("cms -decrypt -inform DER -in sealed.der -recip rsa.pem -inkey rsa.key", status=4)


def stamps(pair):
    pair.run("ts -query -data message -sha256 -cert -out stamp.tsq")
    pair.run("ts -query -in stamp.tsq -text")
    pair.run("ts -reply -queryfile stamp.tsq -signer stamper.pem -inkey stamper.key -chain ca.pem -out stamp.tsr")
    pair.run("ts -reply -in stamp.tsr -text")
    pair.run("ts -verify -in stamp.tsr -data message -CAfile ca.pem")
    pair.run("ts -verify -in stamp.tsr -data openssl.cnf -CAfile ca.pem", status=1)


def digests(pair):
    for digest in ("sha256", "sha512", "sha3-256", "blake2b512"):
        pair.run(f"dgst -{digest} message")
    pair.run("dgst -sha256 -mac HMAC -macopt hexkey:00112233 message")
    for name in ("rsa", "ec"):
        pair.run(f"dgst -sha256 -sign {name}.key -out {name}.sig message")
        pair.run(f"dgst -sha256 -prverify {name}.key -signature {name}.sig message")
        pair.run(f"dgst -sha256 -prverify {name}.key -signature {name}.sig openssl.cnf", status=1)
    for cipher in ("aes-256-cbc", "aes-128-ctr", "chacha20", "camellia-256-cbc"):
        options = f"enc -{cipher} -pbkdf2 -pass pass:x"
        pair.run(f"{options} -in message -out message.enc")
        pair.run(f"{options} -d -in message.enc -out message.dec")
        pair.same("message", "message.dec")
    pair.run("enc -base64 -in message -out message.b64")
    pair.run("enc -base64 -d -in message.b64 -out message.dec")
    pair.same("message", "message.dec")


def port_of(side, server):
    """s_server takes a free port and says which: "ACCEPT 127.0.0.1:39201"."""
    said = b""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        line = server.stdout.readline()
        said += line
        match = re.match(rb"ACCEPT \S*?:?(\d+)\s*$", line)
        if match:
            return int(match[1])
        if not line:
            break
    raise Failure(f"s_server did not start in {side.dir}: {said.decode()}")


def connect(side, server_options, client_options, text):
    """(status of the server, of the client, what both said)"""
    server = side.start(f"s_server -accept 127.0.0.1:0 {server_options}", stdin=subprocess.PIPE)
    try:
        port = port_of(side, server)
        status, said = side.run(f"s_client -connect 127.0.0.1:{port} {client_options}", text)
        heard = server.communicate(timeout=DEADLINE)[0].decode(errors="backslashreplace")
    except subprocess.TimeoutExpired:
        raise Failure(f"s_server {server_options}: it does not end") from None
    finally:
        server.kill()
        server.wait()
    return (server.returncode, status), said + heard


def connections(pair):
    """Mutual TLS: the client must have a certificate, and each side verifies the other's."""
    for server, client, more in (
        ("rsa", "ec", "-tls1_3"),
        ("ec", "rsa", "-tls1_2"),
        ("ed", "ed", "-tls1_3"),
        ("rsa", None, "-tls1_2"),  # refused within the handshake: no certificate
    ):
        at_server = f"-cert {server}.pem -key {server}.key -CAfile ca.pem -Verify 2 -verify_return_error -naccept 1 -rev"
        at_client = f"{more} -CAfile ca.pem -verify_return_error -servername localhost -quiet -no_ign_eof"
        if client:
            at_client += f" -cert {client}.pem -key {client}.key"
        runs = [
            connect(side, at_server, at_client, "hello\nQ\n") for side in (pair.plain, pair.ours)
        ]
        for statuses, said in runs:
            if (statuses == (0, 0) and "Verification: OK" in said) != bool(client):
                raise Failure(f"s_server, s_client {at_client}: status {statuses}\n{said}")
        pair.check(f"s_server, s_client {at_client}", [run[0] for run in runs], runs[1][1])


def inspection(pair):
    pair.run("version -a")
    pair.run("list -commands -cipher-algorithms -public-key-algorithms")
    pair.run("list -providers")
    pair.run("ciphers -v ALL")
    pair.run("s_client -connect 127.0.0.1:1", status=1)
    pair.run("errstr 0A000086")
    pair.run("misspelt", status=1)
    pair.run("dhparam -in message", status=1)
    pair.run("passwd -6 -salt abcdefgh secret")
    pair.run("sess_id -in message", status=1)


PARTS = {
    "keys": keys,
    "certificates": certificates,
    "authority": authority,
    "messages": messages,
    "stamps": stamps,
    "digests": digests,
    "connections": connections,
    "inspection": inspection,
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lib", type=pathlib.Path, required=True)
    parser.add_argument("--openssl", default=shutil.which("openssl"))
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    arguments = parser.parse_args()
    if arguments.openssl is None:
        print("skipped: there is no openssl command")
        return SKIPPED
    arguments.lib = arguments.lib.resolve()
    pair, failed = Pair(arguments), 0
    try:
        make_keys(pair)
        for name in arguments.parts or PARTS:
            try:
                PARTS[name](pair)
            except Failure as failure:
                failed += 1
                print(f"FAILED {name}: {failure}", flush=True)
    except Failure as failure:
        failed += 1
        print(f"FAILED: {failure}")
    finally:
        for side in (pair.plain, pair.ours):
            side.remove()
    print(f"{pair.count} commands, {failed} parts failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
