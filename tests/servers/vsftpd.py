"""Does vsftpd serve files by FTPS with the library preloaded, without a report?

vsftpd links libcrypto, begins its processes by a raw clone(2), and limits each session to 200 MB of addresses (RLIMIT_AS).
Its own sandbox (seccomp_sandbox) does not work with TLS in Debian 12, also without the library.
"""

import ftplib
import io
import os
import ssl
import threading

import harness

CONFIGURATION = """
listen=YES
listen_address=127.0.0.1
listen_port={port}
background=NO
anonymous_enable=YES
local_enable=NO
ssl_enable=YES
allow_anon_ssl=YES
force_anon_logins_ssl=YES
force_anon_data_ssl=YES
require_ssl_reuse=NO
rsa_cert_file={certs}/server.pem
rsa_private_key_file={certs}/server.key
anon_root={folder}/root
secure_chroot_dir={folder}/empty
xferlog_enable=NO
seccomp_sandbox=NO
"""

SIZE = 300000


def start(stage, **settings):
    port = stage.port()
    folder = stage.folder("ftp")
    for name in ("root", "empty"):
        stage.folder(f"ftp/{name}").chmod(0o555)
    (folder / "root" / "file").write_bytes(bytes(i * 7 % 256 for i in range(SIZE)))
    text = CONFIGURATION.format(certs=stage.certs, port=port, folder=folder)
    config = stage.file(f"vsftpd-{port}.conf", text)
    return stage.start("vsftpd", [harness.need("vsftpd"), config], port, **settings), port


def fetch(port, times=3):
    """One session, in which a file is fetched so often: how often it came whole."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    whole = bytes(i * 7 % 256 for i in range(SIZE))
    came = 0
    with ftplib.FTP_TLS(context=context, timeout=60) as ftp:
        ftp.connect("127.0.0.1", port)
        ftp.login()
        ftp.prot_p()
        for _ in range(times):
            seen = io.BytesIO()
            ftp.retrbinary("RETR file", seen.write)
            came += seen.getvalue() == whole
        ftp.quit()
    return came


def fetch_all(stage, what, port, clients):
    results = []

    def one():
        try:
            results.append(fetch(port))
        except (OSError, EOFError, ftplib.Error) as error:
            results.append(error)

    threads = [threading.Thread(target=one) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stage.check(what, [3] * clients, results)


def test(stage, _):
    harness.need("vsftpd")
    if os.geteuid() != 0:
        raise harness.Skipped("needs root, as vsftpd does")
    server, port = start(stage, verbose=True)
    fetch_all(stage, "a session", port, 1)
    stage.stop(server)
    stage.check_in_first()
    harness.step("the library is in first")

    server, port = start(stage)
    for _ in range(5):
        fetch_all(stage, "files of sessions at the same time", port, 8)
    stage.stop(server)
    stage.check_no_crash(server)
    stage.check_silent()
    harness.step("40 sessions, every file whole, in silence")


if __name__ == "__main__":
    harness.main(test, __doc__)
