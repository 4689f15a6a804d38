"""Does MariaDB start, serve TLS and stop with the library preloaded, as without it?

At its start the server registers functions that only hand on to libc's, counts what OpenSSL asks
them for, and ends with "Incompatible OpenSSL version" when that is more than it expects.
"""

import os
import shutil

import harness

CLIENTS = 60
QUERY = "select variable_value from information_schema.session_status where variable_name = 'Ssl_version'"


def make_data(stage):
    """An empty database, made without the library; the server runs as the user of the package."""
    data = stage.folder("data")
    shutil.chown(data, "mysql")
    command = [harness.need("mariadb-install-db"), "--no-defaults", "--user=mysql"]
    command += [f"--datadir={data}", "--auth-root-authentication-method=normal"]
    status, output = stage.run("mariadb-install-db", command, 120, preload=False)
    stage.check("exit status of mariadb-install-db", 0, status or output[-500:], status == 0)
    return data


def start(stage, data, **settings):
    port = stage.port()
    command = [harness.need("mariadbd"), "--no-defaults", "--user=mysql", f"--datadir={data}"]
    command += [f"--socket={data}/socket", f"--pid-file={data}/pid", "--bind-address=127.0.0.1"]
    command += [f"--port={port}", f"--ssl-cert={stage.certs}/server.pem"]
    command += [f"--ssl-key={stage.certs}/server.key", f"--ssl-ca={stage.certs}/ca.pem"]
    command += ["--require-secure-transport=ON", "--skip-grant-tables"]
    return stage.start("mariadbd", command, port, **settings), port


def query(stage, port):
    """One client over TLS: the server's description of the connection."""
    command = [harness.need("mariadb"), "--no-defaults", "--host=127.0.0.1", f"--port={port}"]
    command += [f"--ssl-ca={stage.certs}/ca.pem", "--batch", "--skip-column-names", "-e", QUERY]
    status, output = stage.run("mariadb", command, preload=False)
    return output.strip() if status == 0 else f"status {status}: {output[-300:]}"


def test(stage, _):
    harness.need("mariadbd")
    data = make_data(stage)
    shutil.copytree(stage.certs, stage.folder("readable") / "certs")
    stage.certs = stage.dir / "readable" / "certs"
    for name in os.listdir(stage.certs):
        (stage.certs / name).chmod(0o644)

    server, port = start(stage, data, verbose=True)
    stage.check("a client's protocol", "TLSv1.3", query(stage, port))
    stage.check("exit status of mariadbd", 0, stage.stop(server))
    stage.check_in_first(also="arena")
    harness.step("the library is in first, and has refused functions without a pool")

    server, port = start(stage, data)
    served = sum(query(stage, port) == "TLSv1.3" for _ in range(CLIENTS))
    stage.check("clients served over TLS", CLIENTS, served)
    stage.check("exit status of mariadbd", 0, stage.stop(server, seconds=60))
    stage.check_no_crash(server)
    stage.check_silent()
    harness.step(f"{CLIENTS} clients over TLS, and a stop, in silence")


if __name__ == "__main__":
    harness.main(test, __doc__)
