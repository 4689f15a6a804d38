"""Does the library keep an unmodified Kamailio up that otherwise crashes inside OpenSSL?

Kamailio 5.6.3 of Debian 12 puts OpenSSL's memory into memory that its processes share.  Clients
with and without good certificates then make it free blocks twice, and crash.
  --without   the bare server: it must crash or fail good clients, else this test means nothing
  --with      the library: every good client is served, nothing crashes, nothing is reported
  --no-cures  the library without what cures the cause: the double frees are reported
  --memory    how much of Kamailio's shared memory the library needs: no more than docs/servers says
  --reload    20 times tls.reload, with clients between: all are served, shared memory does not grow
The environment variable FREEONCE_RUNS repeats --with (default 1).
"""

import os
import re
import signal
import subprocess

import findings
import harness

ATTEMPTS = 5  # of --without and --no-cures: the bug is a race
ALREADY_FREED = "freeing already freed pointer"  # of Kamailio's qm allocator
HELD = 8  # connections that are open when the server is told to stop

CONFIGURATION = """#!KAMAILIO
debug=0
log_stderror=yes
disable_core_dump=no
fork=yes
children=1
tcp_children=4
enable_tls=yes
auto_aliases=no
dns=no
rev_dns=no
listen=tls:127.0.0.1:{port}
loadmodule "ctl.so"
modparam("ctl", "binrpc", "unix:{folder}/ctl")
loadmodule "tls.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "private_key", "{certs}/server.key")
modparam("tls", "certificate", "{certs}/server.pem")
modparam("tls", "ca_list", "{certs}/ca.pem")
modparam("tls", "verify_certificate", 1)
modparam("tls", "require_certificate", 1)
{more}
request_route {{
    if (is_method("OPTIONS")) {{
        sl_send_reply("200", "OK");
        exit;
    }}
    sl_send_reply("404", "Not here");
}}
"""


def start(stage, more="", **settings):
    """A Kamailio with a port, a folder and lines of its own: (server, port, folder)."""
    port = stage.port()
    folder = stage.folder(f"kamailio-{port}")
    text = CONFIGURATION.format(port=port, certs=stage.certs, folder=folder, more=more)
    config = stage.file(f"{folder.name}/kamailio.cfg", text)
    argv = [harness.need("kamailio"), "-DD", "-E"]  # in the foreground, log to stderr
    argv += ["-x", "qm"]  # the debugging allocator for shared memory
    argv += ["-f", config, "-Y", folder, "-w", folder]
    return stage.start("kamailio", argv, port, **settings), port, folder


def traffic(stage, port, count, mix, *more):
    """(running load, its result); the last good connections stay open."""
    load = stage.load(port, count, "sip", mix, "--hold", HELD, "--io-timeout", 30, *more)
    return load, stage.result_of(load, 600)


def need_the_bug():
    """Later versions do not put OpenSSL's memory into memory that processes share."""
    text = subprocess.run([harness.need("kamailio"), "-v"], stdout=subprocess.PIPE, text=True, check=True).stdout
    version = re.search(r"kamailio (\d+)\.(\d+)", text).groups()
    if tuple(map(int, version)) > (5, 6):
        raise harness.OtherVersion(f"Kamailio {'.'.join(version)} does not free twice without the library")


def outcome_of(stage, server):
    """Ends a server that may have crashed, hang or be healthy: (did it die by itself, exit status)."""
    died = not server.running()
    if not died:
        server.send(signal.SIGTERM)
    status = harness.named_status(server.wait(20))
    stage.kill_all()
    return died, "none, it hung" if status is None else status


def attempt(stage, number, **settings):
    """Mixed traffic against a server that is expected to break: (was it broken, its pid)."""
    server, port, _ = start(stage, **settings)
    _, result = traffic(stage, port, 1500, "mixed", "--give-up", 30, "--io-timeout", 5)
    died, status = outcome_of(stage, server)
    print(
        f"attempt {number}: {result.served} of {result.good} good clients served; "
        f"then the server {'was dead' if died else 'still ran'}, exit status {status}; "
        f"'freeing already freed pointer' {server.text().count(ALREADY_FREED)} times in its log",
        flush=True,
    )
    return died or status != 0 or result.failed > 0


def without(stage):
    """At least one attempt breaks the bare server."""
    need_the_bug()
    for number in range(1, ATTEMPTS + 1):
        if attempt(stage, number, preload=False):
            harness.step("the bare server crashes or fails good clients")
            return
    stage.check("broken servers", "at least 1", 0, False)


def served_and_stopped(stage, count, mix):
    """All good clients are served, and a stop with connections open is clean."""
    server, port, folder = start(stage, cores=True)
    load, result = traffic(stage, port, count, mix)
    stage.check_served(f"{mix} traffic", result)
    stage.check("connections are still open at the stop", None, load.wait(0))
    stage.check("exit status of kamailio", 0, stage.stop(server))
    stage.check("exit status of tlsload", 0, load.wait(120))
    stage.check_no_crash(server)
    # A worker that crashes while the server stops leaves no line in the log, but a core file.
    stage.check("core files", [], sorted(path.name for path in folder.glob("core*")))
    stage.check("blocks freed twice by the server's count", 0, server.text().count(ALREADY_FREED))
    stage.check_silent()
    served = f"{result.served} of {result.good}"
    harness.step(f"{mix} traffic: {served} good clients in {result.seconds} s, and a clean stop")


def with_library(stage):
    server, port, _ = start(stage, verbose=True)
    load, result = traffic(stage, port, 20, "good")
    stage.check_served("first clients", result)
    stage.check("exit status of kamailio", 0, stage.stop(server))
    stage.check_in_first(also=stage.backend or "host")
    harness.step("the library is in before OpenSSL's first allocation")
    for run in range(int(os.environ.get("FREEONCE_RUNS", "1"))):
        print(f"run {run + 1}", flush=True)
        served_and_stopped(stage, 4000, "good")
        served_and_stopped(stage, 3000, "mixed")


def no_cures(stage):
    """The cause is left in place: the findings name three source lines and two processes."""
    need_the_bug()
    found = []
    for number in range(1, ATTEMPTS + 1):
        attempt(stage, number, FREEONCE_CURES="none")
        found += [finding for finding in findings.parse(findings.read(stage.log))]
        complete = [finding for finding in found if findings.is_complete(finding)]
        print(f"  {len(found)} findings so far, {len(complete)} of them with all three sites")
        if any(findings.is_by_two_processes(finding) for finding in complete):
            harness.step(f"reported: {complete[0].headline}")
            return
        stage.log.unlink(missing_ok=True)
    stage.check("findings with three sites, freed by two processes", "at least 1", 0, False)


def rpc(folder, command):
    """The answer of the running server."""
    argv = [harness.need("kamcmd"), "-s", f"unix:{folder}/ctl", command]
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout


def used(folder):
    """Bytes of Kamailio's shared memory that are taken, its own headers included."""
    return int(re.search(r"real_used: (\d+)", rpc(folder, "core.shmmem")).group(1))


def connections(folder):
    return int(re.search(r"opened_connections: (\d+)", rpc(folder, "core.tcp_info")).group(1))


def used_at_start(stage, **settings):
    """The same, before any client: without the library the first ones may break it."""
    _, _, folder = start(stage, **settings)
    first = used(folder)
    stage.kill_all()
    return first


def used_after(stage, count, **settings):
    """The same, before and after this number of good clients."""
    server, port, folder = start(stage, **settings)
    first = used(folder)
    load = stage.load(port, count, "sip", "good", "--io-timeout", 30)
    stage.check_served("good traffic", stage.result_of(load, 600))
    # A connection's memory is given back by the worker that closes it, which may be after the client has gone.
    stage.wait_until("no connection is open", lambda: connections(folder) == 0)
    last = used(folder)
    stage.check("exit status of kamailio", 0, stage.stop(server))
    return first, last


def memory(stage):
    """Before the first client OpenSSL has made its contexts, with the library's headers."""
    plain = used_at_start(stage, preload=False)
    headers, without_quarantine = used_after(stage, 600, FREEONCE_QUARANTINE="0")
    _, with_quarantine = used_after(stage, 600)
    waiting = with_quarantine - without_quarantine
    print(f"at start {headers - plain} bytes more than plain; waiting blocks {waiting} bytes")
    stage.check("the library's headers, bytes", "up to 0.5 MB", headers - plain, headers - plain < 500000)
    # 1.5 MiB by the library's count, which allows each block the same for what Kamailio adds.
    stage.check("waiting blocks, bytes", "up to 2 MB", waiting, waiting < 2000000)
    harness.step("shared memory as docs/servers/kamailio.md says")


TLS_CONFIGURATION = """[server:default]
method = TLSv1.2+
private_key = {certs}/server.key
certificate = {certs}/server.pem
ca_list = {certs}/ca.pem
verify_certificate = yes
require_certificate = yes
"""
RELOADS = 20


def reload(stage):
    """What a reload replaces is freed by a later one, once no connection has it.  Without the library
    each reload leaves 330,000 bytes, and Kamailio crashes before the tenth one or fails good clients."""
    file = stage.file("tls.cfg", TLS_CONFIGURATION.format(certs=stage.certs))
    server, port, folder = start(stage, more=f'modparam("tls", "config", "{file}")')
    taken = []
    for _ in range(RELOADS):
        load = stage.load(port, 20, "sip", "good", "--io-timeout", 30)
        stage.check_served("clients between two reloads", stage.result_of(load, 600))
        rpc(folder, "tls.reload")
        taken.append(used(folder))
    print("shared memory after each reload:", *taken, flush=True)
    stage.check("exit status of kamailio", 0, stage.stop(server))
    stage.check_no_crash(server)
    stage.check("blocks freed twice by the server's count", 0, server.text().count(ALREADY_FREED))
    stage.check_silent()
    grown = min(taken[-5:]) - max(taken[2:5])
    stage.check("bytes more after the last reloads than after the first", "up to 0.5 MB", grown, grown < 500000)
    harness.step(f"{RELOADS} reloads with clients between them, shared memory as after the first")


def test(stage, arguments):
    if arguments.mode not in (without, reload) and stage.lib is None:
        raise harness.Failed("all but --without need --lib")
    arguments.mode(stage)


def add_options(parser):
    modes = parser.add_mutually_exclusive_group(required=True)
    for option, mode in (
        ("without", without),
        ("with", with_library),
        ("no-cures", no_cures),
        ("memory", memory),
        ("reload", reload),
    ):
        modes.add_argument(f"--{option}", dest="mode", action="store_const", const=mode)


if __name__ == "__main__":
    harness.main(test, __doc__, add_options)
