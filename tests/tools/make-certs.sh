#!/bin/sh
# Which certificates do the tests use?  Those that this script makes in DIR, fresh for each run:
# ca.pem (trusted), server.pem/.key and client.pem/.key (signed by it), and stranger.pem/.key
# (signed by another authority, which every server under test must refuse).
# Called by tests/servers/harness.py and by hand:  make-certs.sh DIR [rsa|ec]
set -eu

usage() {
    echo "usage: make-certs.sh DIR [rsa|ec]" >&2
    exit 2
}

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    usage
fi
dir=$1
days=7

case ${2:-ec} in
    ec) algorithm=EC option=ec_paramgen_curve:P-256 ;;
    rsa) algorithm=RSA option=rsa_keygen_bits:2048 ;;
    *) usage ;;
esac

command -v openssl >/dev/null || { echo "make-certs.sh: no openssl command" >&2; exit 1; }

# openssl writes progress to stderr even when all is well: show it only when a command failed.
quietly() {
    if ! "$@" >"$dir/openssl.out" 2>&1; then
        echo "make-certs.sh: failed: $*" >&2
        cat "$dir/openssl.out" >&2
        exit 1
    fi
}

make_key() {
    quietly openssl genpkey -algorithm "$algorithm" -pkeyopt "$option" -out "$dir/$1.key"
}

# The -config makes the result independent of the machine's openssl.cnf.
make_authority() { # name
    make_key "$1"
    quietly openssl req -x509 -new -config "$dir/openssl.cnf" -extensions authority \
        -key "$dir/$1.key" -subj "/O=freeonce tests/CN=$1" -days "$days" -out "$dir/$1.pem"
}

make_leaf() { # name authority common-name serial
    make_key "$1"
    quietly openssl req -new -config "$dir/openssl.cnf" -key "$dir/$1.key" \
        -subj "/O=freeonce tests/CN=$3" -out "$dir/$1.csr"
    quietly openssl x509 -req -in "$dir/$1.csr" -CA "$dir/$2.pem" -CAkey "$dir/$2.key" \
        -set_serial "$4" -days "$days" -extfile "$dir/openssl.cnf" -extensions leaf \
        -out "$dir/$1.pem"
    rm -f "$dir/$1.csr"
}

mkdir -p "$dir"
cat >"$dir/openssl.cnf" <<'CONFIG'
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = CA:false
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
CONFIG

make_authority ca
make_authority other
make_leaf server ca localhost 2
make_leaf client ca client 3
make_leaf stranger other stranger 4

# Servers that drop their privileges before they read the key must still be able to.
chmod 644 "$dir"/*.key
rm -f "$dir/other.key" "$dir/other.pem" "$dir/openssl.cnf" "$dir/openssl.out"
