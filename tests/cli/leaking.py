"""leaking.py FOLDER [MODULE]: a TLS server in Python that keeps one X509 for each client, as a module does that calls
SSL_get1_peer_certificate() and never X509_free().  It prints its port.  FOLDER has cert.pem and key.pem.
With a MODULE, leaking_module.c does it."""

import ctypes
import socket
import ssl
import sys

crypto = ctypes.CDLL("libcrypto.so.3")
crypto.d2i_X509.restype = ctypes.c_void_p
module = ctypes.CDLL(sys.argv[2]) if len(sys.argv) > 2 else None


def look_at(der):
    if module is not None:
        assert module.look_at_client(der, ctypes.c_long(len(der)))
    else:
        where = ctypes.c_char_p(der)
        assert crypto.d2i_X509(None, ctypes.byref(where), ctypes.c_long(len(der)))


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{sys.argv[1]}/cert.pem", f"{sys.argv[1]}/key.pem")
context.load_verify_locations(f"{sys.argv[1]}/cert.pem")
context.verify_mode = ssl.CERT_REQUIRED
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    with context.wrap_socket(connection, server_side=True) as tls:
        look_at(tls.getpeercert(binary_form=True))
        tls.sendall(tls.recv(1))
