#!/usr/bin/env bash
# When the time is up, does the traffic client count those clients alone that it has tried?  Else a busy machine looks
# like a server that fails.  Usage: tried.sh LIBRARY SIPD TLSLOAD
set -euo pipefail
library=$1 sipd=$2 tlsload=$3
scratch=$(mktemp -d)
server=''
trap '[[ -z $server ]] || kill -KILL $server; rm -rf "$scratch"' EXIT

"$(dirname "${BASH_SOURCE[0]}")"/../tools/make-certs.sh "$scratch/certs" ec >/dev/null 2>&1
LD_PRELOAD=$library "$sipd" --certs "$scratch/certs" --port-file "$scratch/port" --timeout 60000 >"$scratch/out" 2>&1 &
server=$!
while [[ ! -s $scratch/port ]]; do
    kill -0 $server || { cat "$scratch/out" && exit 1; }
    sleep 0.05
done
said=$("$tlsload" --connect "127.0.0.1:$(<"$scratch/port")" --certs "$scratch/certs" --count 10000000 --mix mixed \
    --speak echo --io-timeout 60 --seconds 1 2>&1) || true
echo "$said"
[[ $said =~ good\ 5000000\ tried\ ([0-9]+)\ served\ ([0-9]+)\ failed\ 0\  ]]
((BASH_REMATCH[1] == BASH_REMATCH[2] && BASH_REMATCH[1] < 5000000))
