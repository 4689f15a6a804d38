#!/usr/bin/env bash
# Does what scripts/package --portable builds need no glibc newer than 2.28, and does it work, from any folder, as an RPM and as
# Debian packages, with the glibc of Debian 11 (2.31), 12 (2.36) and 13 (2.41)?  Usage: portable.sh TREE [x86_64|aarch64]
# The systems are made with mmdebstrap, in the tree's build folder, and kept.  Those of another architecture are emulated.
# FREEONCE_PACKAGES=FOLDER: what is tested instead of what it builds.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/package/lib.sh
source "$here/lib.sh"
tree=$1
cd "$tree"
# shellcheck source=scripts/lib.sh
source scripts/lib.sh
end_cleanly
readonly arch=${2:-x86_64}
case $arch in x86_64) debian=amd64 ;; aarch64) debian=arm64 ;; *) echo "no architecture $arch" && exit 2 ;; esac
need readelf dpkg-deb
if [[ $(uname -m) != "$arch" ]]; then
    [[ $arch == aarch64 ]] || skip "no emulator of $arch is known here"
    need qemu-aarch64-static arch-test
    register_emulator || skip 'the kernel of this machine does not start other formats (binfmt_misc)'
fi

# Where they are, if they were built before, as with scripts/release.
packages=${FREEONCE_PACKAGES:-}
if [[ -z $packages ]]; then
    packages=$PWD/build/portable/$arch status=0
    said=$(scripts/package --portable "$arch" 2>&1) || status=$?
    printf '%s\n' "$said"
    ((status != skipped)) || skip "$(tail -n 1 <<<"$said")"
    ((status == 0)) || exit 1
fi

fail() {
    printf '%s\n' "$*"
    exit 1
}

# newest FILE: the newest version of glibc's that a symbol in it needs.
newest() {
    readelf -W --dyn-syms "$1" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1
}

# needs FILE: the libraries.
needs() {
    readelf -W -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
}

# is_portable LIBRARY COMMAND [LIBRARY-OF-THE-COMMAND|...]: they need no newer glibc, and the command no other libraries.
is_portable() {
    local version
    sh tests/unit/exports.sh "$1" tests/unit/exports.expected || fail "not portable: $1"
    version=$(newest "$2")
    [[ $(printf '%s\n' "$version" GLIBC_2.28 | sort -V | tail -n 1) == GLIBC_2.28 ]] || fail "$2 needs $version"
    ! needs "$2" | grep -Evx "lib(c\.so\.6|dl\.so\.2|pthread\.so\.0|m\.so\.6)|ld-linux-.*${3:+|$3}" ||
        fail "$2 needs these libraries, too"
    printf '%s: %s; %s: %s\n' "${1##*/}" "$(newest "$1")" "${2##*/}" "$version"
}

mkdir "$scratch/tarball"
tar -C "$scratch/tarball" -xzf "$packages"/freeonce-*-linux-"$arch".tar.gz
unpacked=$(echo "$scratch"/tarball/freeonce-*)
is_portable "$unpacked/lib/libfreeonce.so.0" "$unpacked/bin/freeonce"
for package in freeonce libfreeonce0; do
    dpkg-deb -x "$packages/$package"_*_"$debian".deb "$scratch/debs"
done
is_portable "$(echo "$scratch"/debs/usr/lib/*/libfreeonce.so.0)" "$scratch/debs/usr/bin/freeonce" 'lib(jansson|dw|elf|z)\.so\..*'

# A program with an OpenSSL 3 of its own, that runs with glibc 2.28, if this machine has one.
node=
if [[ $(uname -m) == "$arch" ]] && command -v node >/dev/null && [[ $(node -p process.versions.openssl) == 3.* && $(needs "$(command -v node)") != *libcrypto* &&
    $(printf '%s\n' "$(newest "$(command -v node)")" GLIBC_2.31 | sort -V | tail -n 1) == GLIBC_2.31 ]]; then
    node=$(command -v node)
fi

# try SYSTEM FOLDER: what portable-inside.sh does there.
try() {
    local work=$scratch/$1.work
    mkdir -p "$work"
    cp "$packages"/*[-_.]{"$arch","$debian"}.* "$here/portable-inside.sh" "$here/plant.c" "$work"
    [[ -z $node ]] || cp "$node" "$work/node"
    FREEONCE_MOUNT=$work in_system "$2" 'exec bash /mnt/portable-inside.sh "$@"' try "$1" "$arch"
}

# The system in which they were built, with rpm.
try bullseye "$PWD/build/systems/bullseye.$arch"
if [[ $(uname -m) == "$arch" ]]; then others=(bookworm trixie) foreign=(); else others=(bookworm) foreign=(--architectures="$debian"); fi
for system in "${others[@]}"; do
    pristine=$PWD/build/systems/$system.portable.$arch
    [[ -d $pristine ]] ||
        make_system "$system" "$pristine" gcc,libc6-dev,libssl-dev,openssl,libjansson4,libdw1 "${foreign[@]}" >"$scratch/made" ||
        skip "$(tail -n 1 "$scratch/made")"
    try "$system" "$pristine"
done
