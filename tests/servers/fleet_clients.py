"""What does a client of a server of the fleet see?  Good clients and bad ones of every kind, as text by which two runs
can be compared.  The clients do not have the library.
"""

import collections
import concurrent.futures
import contextlib
import socket
import ssl
import struct

SECONDS = 60  # the deadline of one client: it only matters on failure

GOOD = ("good", "good, TLS 1.2")
BAD = ("wrong CA", "no certificate", "plaintext", "half a hello", "reset in the handshake")
CERTIFICATE_OF = {"good": "client", "good, TLS 1.2": "client", "wrong CA": "stranger"}

REFUSED = "refused"

# A port of a server: how its clients begin before TLS (FTP), what they say in it, and whether it asks for certificates.
# Clients of a port without TLS are `visitor`s, a function of the kind of client.
Door = collections.namedtuple("Door", "name port speak mutual prelude visitor", defaults=(True, None, None))


def context_for(certs, kind):
    context = ssl.create_default_context(cafile=certs / "ca.pem")
    context.check_hostname = False
    name = CERTIFICATE_OF.get(kind)
    if name is not None:
        context.load_cert_chain(certs / f"{name}.pem", certs / f"{name}.key")
    if kind == "good, TLS 1.2":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def connect(door):
    """An open connection, at the point where TLS begins."""
    raw = socket.create_connection(("127.0.0.1", door.port), timeout=SECONDS)
    if door.prelude is not None:
        door.prelude(raw)
    return raw


def close_by_reset(raw):
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


def hello_of(context):
    """The first message of a client."""
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def say_no_tls(raw, context, kind):
    """Clients that send no TLS, or stop in the handshake: the answer."""
    if kind == "plaintext":
        raw.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = raw.recv(100)
        is_alert = answer[:1] in (b"", b"\x15", b"\x16")
        return REFUSED if is_alert else answer.decode(errors="replace").splitlines()[0]
    hello = hello_of(context)
    if kind == "half a hello":
        raw.sendall(hello[: len(hello) // 2])
    else:
        raw.sendall(hello)
        raw.recv(100)
    close_by_reset(raw)
    return REFUSED


def visit(door, certs, kind):
    """One client of that kind from beginning to end: what it was answered."""
    if door.visitor is not None:
        return door.visitor(kind)
    context = context_for(certs, kind)
    try:
        with connect(door) as raw:
            if kind not in CERTIFICATE_OF and kind != "no certificate":
                return say_no_tls(raw, context, kind)
            with context.wrap_socket(raw, server_hostname="localhost") as tls:
                return door.speak(tls) or REFUSED
    except (OSError, EOFError) as error:
        return f"{error}" if kind in GOOD else REFUSED


def visits(door, certs, kind, count, at_a_time=8):
    """Runs this number of clients: how often each answer came."""
    with concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        answers = pool.map(lambda _: visit(door, certs, kind), range(count))
        return dict(sorted(collections.Counter(answers).items()))


@contextlib.contextmanager
def held(door, certs, count):
    """This number of clients that have been answered and keep their connections open."""
    open_ones = []
    try:
        for _ in range(0 if door.visitor else count):
            tls = context_for(certs, "good").wrap_socket(connect(door), server_hostname="localhost")
            open_ones.append(tls)
            door.speak(tls)
        yield
    finally:
        for tls in open_ones:
            tls.close()


# --- protocols ---------------------------------------------------------------------------------


def receive_until(tls, ends):
    """What comes until `ends` says that it is all, or the connection ends."""
    text = b""
    while not ends(text):
        piece = tls.recv(65536)
        if not piece:
            break
        text += piece
    return text


def exchange(request, ends):
    """A protocol of one request and one answer."""

    def speak(tls):
        tls.sendall(request)
        return receive_until(tls, ends).decode(errors="replace")

    return speak


def speak_http(tls):
    """The status and the body."""
    tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    length = None

    def is_whole(text):
        nonlocal length
        head, blank, body = text.partition(b"\r\n\r\n")
        if not blank:
            return False
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        return length is not None and len(body) >= length

    head, _, body = receive_until(tls, is_whole).decode(errors="replace").partition("\r\n\r\n")
    return f"{' '.join(head.split()[1:2])} {body.strip()[:40]}".strip()
