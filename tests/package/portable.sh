#!/usr/bin/env bash
# Does what scripts/package --portable builds need no glibc newer than 2.28, and does it work, from any folder and as an RPM,
# with the glibc of Debian 11 (2.31), 12 (2.36) and 13 (2.41)?  Usage: portable.sh TREE
# The systems are made with mmdebstrap, in the tree's build folder, and kept.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/package/lib.sh
source "$here/lib.sh"
tree=$1
cd "$tree"
# shellcheck source=scripts/lib.sh
source scripts/lib.sh
end_cleanly
readonly arch=x86_64
[[ $(uname -m) == "$arch" ]] || skip "the test runs the programs that it builds, for $arch"

said=$(scripts/package --portable "$arch" 2>&1) || {
    status=$?
    printf '%s\n' "$said"
    ((status != skipped)) || skip "$(tail -n 1 <<<"$said")"
    exit 1
}
printf '%s\n' "$said"
packages=$PWD/build/portable/$arch

fail() {
    printf '%s\n' "$*"
    exit 1
}

# newest FILE: the newest version of glibc's that a symbol in it needs.
newest() {
    objdump -T "$1" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1
}

# needs FILE: the libraries.
needs() {
    objdump -p "$1" | sed -n 's/^ *NEEDED *//p'
}

mkdir "$scratch/tarball"
tar -C "$scratch/tarball" -xzf "$packages"/freeonce-*-linux-"$arch".tar.gz
unpacked=$(echo "$scratch"/tarball/freeonce-*)
sh tests/unit/exports.sh "$unpacked/lib/libfreeonce.so.0" tests/unit/exports.expected || fail 'the library is not portable'
version=$(newest "$unpacked/bin/freeonce")
[[ $(printf '%s\n' "$version" GLIBC_2.28 | sort -V | tail -n 1) == GLIBC_2.28 ]] || fail "the command needs $version"
! needs "$unpacked/bin/freeonce" | grep -Evxq 'lib(c\.so\.6|dl\.so\.2|pthread\.so\.0|m\.so\.6)|ld-linux-.*' ||
    fail "the command needs more than glibc: $(needs "$unpacked/bin/freeonce")"

# A program with an OpenSSL 3 of its own, that runs with glibc 2.28, if this machine has one.
node=
if command -v node >/dev/null && [[ $(node -p process.versions.openssl) == 3.* && $(needs "$(command -v node)") != *libcrypto* &&
    $(printf '%s\n' "$(newest "$(command -v node)")" GLIBC_2.31 | sort -V | tail -n 1) == GLIBC_2.31 ]]; then
    node=$(command -v node)
fi

# try SYSTEM FOLDER: what portable-inside.sh does there.
try() {
    local work=$scratch/$1.work
    mkdir -p "$work"
    cp "$packages"/* "$here/portable-inside.sh" "$here/plant.c" "$work"
    [[ -z $node ]] || cp "$node" "$work/node"
    FREEONCE_MOUNT=$work in_system "$2" 'exec bash /mnt/portable-inside.sh "$@"' try "$1"
}

try bullseye "$PWD/build/systems/bullseye.$arch"
for system in bookworm trixie; do
    pristine=$PWD/build/systems/$system.portable
    [[ -d $pristine ]] || make_system "$system" "$pristine" gcc,libc6-dev,libssl-dev,openssl >"$scratch/made" || skip "$(tail -n 1 "$scratch/made")"
    try "$system" "$pristine"
done
