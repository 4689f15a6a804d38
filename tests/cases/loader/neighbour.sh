#!/bin/sh
# Does a program see its environment and its name beside a library that wraps system calls, whichever of the
# two is first in LD_PRELOAD?  With Debian's libsocket-wrapper, too, where that is installed.
# Usage: neighbour.sh libfreeonce.so libneighbour.so plain
set -eu
library=$1 neighbour=$2 program=$3
failed=0

# Functions are found in another library with a neighbour in front; the rest must be the same.
seen() {
    env -i CASE_WORD=word LD_PRELOAD="$1" "$program" word 2>&1 | grep -v ' in ' || echo "no output"
}

check() {
    expected=$(seen "$1")
    for order in "$library $1" "$1 $library"; do
        if [ "$(seen "$order")" = "$expected" ]; then
            echo "ok $order"
        else
            echo "FAILED $order:"
            seen "$order"
            failed=1
        fi
    done
}

check "$neighbour"
if ldconfig -p | grep -q libsocket_wrapper.so; then
    check libsocket_wrapper.so
else
    echo "skipped: no libsocket_wrapper.so"
fi
exit $failed
