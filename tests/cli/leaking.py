"""leaking.py FOLDER: a TLS server in Python that keeps one X509 for each client, as a module does that calls
SSL_get1_peer_certificate() and never X509_free().  It prints its port.  FOLDER has cert.pem and key.pem."""

import ctypes
import socket
import ssl
import sys

crypto = ctypes.CDLL("libcrypto.so.3")
crypto.d2i_X509.restype = ctypes.c_void_p
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{sys.argv[1]}/cert.pem", f"{sys.argv[1]}/key.pem")
context.load_verify_locations(f"{sys.argv[1]}/cert.pem")
context.verify_mode = ssl.CERT_REQUIRED
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    with context.wrap_socket(connection, server_side=True) as tls:
        der = tls.getpeercert(binary_form=True)
        where = ctypes.c_char_p(der)
        assert crypto.d2i_X509(None, ctypes.byref(where), ctypes.c_long(len(der)))
        tls.sendall(tls.recv(1))
