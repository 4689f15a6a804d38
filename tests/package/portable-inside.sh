#!/usr/bin/env bash
# Called by portable.sh in each system, with the portable packages in /mnt.  Usage: portable-inside.sh SYSTEM ARCHITECTURE
# Where the packages were built for another architecture, Debian 11 is of this machine's and only rpm is tried there.
set -euo pipefail
system=$1 arch=$2
unset FREEONCE_RUNS # of in_system

# expect TEXT COMMAND...: it succeeds, and prints TEXT on either stream; all that it printed is in seen.
seen=
expect() {
    local text=$1
    shift
    seen=$("$@" 2>&1) || {
        printf '%s: ended with %s: %s\n%s\n' "$system" "$?" "$*" "$seen"
        exit 1
    }
    [[ $seen == *"$text"* ]] && return
    printf '%s: expected "%s" of: %s\nseen:\n%s\n' "$system" "$text" "$*" "$seen"
    exit 1
}

glibc=$(ldd --version | sed -n '1s/.* //p')

# try_all FREEONCE LIBRARY HOW: programs with the command and the library.
try_all() {
    local freeonce=$1 library=$2 status=0
    expect 'freeonce 0.' "$freeonce" --version
    expect 'no findings' "$freeonce" -- /bin/sh -c 'true & wait'
    [[ -z $(LD_PRELOAD=$library /bin/true 2>&1) ]]
    [[ $(LD_PRELOAD=$library perl -e 'if (fork() == 0) { exit 7 } wait; print $? >> 8') == 7 ]]
    if [[ -x /mnt/plant ]]; then
        expect 'still here' env LD_PRELOAD="$library" /mnt/plant
        expect 'freeonce: double free of block' env LD_PRELOAD="$library" /mnt/plant
        "$freeonce" --ci -- /mnt/plant >/mnt/log 2>&1 || status=$?
        ((status == 99)) || { echo "$system: freeonce --ci ended with $status" && cat /mnt/log && exit 1; }
        expect 'no findings' "$freeonce" --ci -- openssl version
        expect 'in front of OpenSSL 3' env LD_PRELOAD="$library" FREEONCE_VERBOSE=1 openssl version
    fi
    if [[ -x /mnt/node ]]; then
        local backend
        for backend in arena libc shm guard; do
            expect 'verified true' env LD_PRELOAD="$library" FREEONCE_BACKEND="$backend" FREEONCE_VERBOSE=1 /mnt/node /mnt/sign.js
            [[ $seen == *'in front of OpenSSL 3'*"backend $backend"* ]] || { echo "$system: $backend: $seen" && exit 1; }
        done
    fi
    echo "$system, glibc $glibc, $3: works"
}

cat >/mnt/sign.js <<'END'
const crypto = require('crypto');
const { Worker, isMainThread } = require('worker_threads');
const { privateKey, publicKey } = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
for (let i = 0; i < 100; i++) crypto.createHash('sha256').update('x' + i).digest('hex');
const signature = crypto.sign('sha256', Buffer.from('a'), privateKey);
console.log('verified', crypto.verify('sha256', Buffer.from('a'), publicKey, signature));
if (isMainThread) for (let i = 0; i < 4; i++) new Worker(__filename);
END
[[ ! -e /usr/include/openssl/crypto.h ]] || gcc -w -o /mnt/plant /mnt/plant.c -lcrypto

mkdir -p /mnt/any/folder
tar -C /mnt/any/folder -xzf /mnt/freeonce-*-linux-"$arch".tar.gz
unpacked=$(echo /mnt/any/folder/freeonce-*)
foreign=false
[[ $(perl -MConfig -e 'print $Config{archname}') == "$arch"-* ]] || foreign=true
$foreign || try_all "$unpacked/bin/freeonce" "$unpacked/lib/libfreeonce.so.0" tarball

# RHEL 8's and 9's glibc, for rpm: what the package asks for must be among what that provides.
glibc_spec() {
    local linker=ld-linux-aarch64.so.1 oldest=2.17 version library
    [[ $arch != x86_64 ]] || linker=ld-linux-x86-64.so.2 oldest=2.2.5
    cat <<END
Name: glibc
Version: 2.28
Release: 1
Summary: stands for RHEL 8's glibc, and its pkgconf-pkg-config
License: none
Provides: /usr/bin/pkg-config rtld(GNU_HASH)
%define _build_id_links none
END
    for library in libc.so.6 libdl.so.2 libpthread.so.0 libm.so.6 "$linker"; do
        printf 'Provides: %s()(64bit) %s(GLIBC_%s)(64bit)\n' "$library" "$library" "$oldest"
    done
    [[ $arch != x86_64 ]] ||
        echo 'Provides: ld-linux-x86-64.so.2(GLIBC_2.3)(64bit) libpthread.so.0(GLIBC_2.3.2)(64bit)'
    for version in 2.3 2.3.2 2.3.3 2.3.4 2.{4..18} 2.{22..28}; do
        # None before the first of the architecture.
        [[ $(printf '%s\n' "$version" "$oldest" | sort -V | head -n 1) != "$oldest" ]] ||
            echo "Provides: libc.so.6(GLIBC_$version)(64bit)"
    done
    printf '%%description\nstands for glibc\n%%files\n'
}

in_root() { rpm --root "$root" --dbpath /var/lib/rpm "$@"; }

try_rpm() {
    local root=/mnt/root left force=(--force-debian) file
    ! $foreign || force+=(--ignorearch)
    glibc_spec >/mnt/glibc.spec
    rpmbuild -bb --quiet --target "$arch-linux" --define '_topdir /mnt/rpm' --define '_rpmdir /mnt' --define '_rpmfilename glibc.rpm' /mnt/glibc.spec
    mkdir -p "$root"
    in_root --initdb
    in_root "${force[@]}" -i /mnt/glibc.rpm /mnt/freeonce-[0-9]*."$arch".rpm /mnt/freeonce-devel-[0-9]*."$arch".rpm
    in_root -V freeonce freeonce-devel
    in_root -q --requires freeonce | sort -u
    for file in bin/freeonce share/man/man1/freeonce.1 include/freeonce/backend.h; do
        cmp "$root/usr/$file" "$unpacked/$file"
    done
    cmp "$root/usr/lib64/libfreeonce.so.0" "$unpacked/lib/libfreeonce.so.0"
    if $foreign; then
        echo "$system, rpm for $arch: installed, not run"
    else
        try_all "$root/usr/bin/freeonce" "$root/usr/lib64/libfreeonce.so.0" RPM
    fi
    in_root "${force[@]:0:1}" -e freeonce-devel freeonce
    left=$(find "$root" -name '*freeonce*' ! -path '*/rpm/*')
    [[ -z $left ]] || { echo "left of the RPM: $left" && exit 1; }
}

[[ $system != bullseye ]] || try_rpm
! $foreign || exit 0

# The Debian packages are for Debian 11, Ubuntu 20.04 and newer.
trap 'dpkg -P freeonce libfreeonce0 libfreeonce-dev >/dev/null' EXIT
dpkg -i /mnt/freeonce_*.deb /mnt/libfreeonce0_*.deb /mnt/libfreeonce-dev_*.deb >/dev/null
expect 'libdw.so.1 => ' ldd /usr/bin/freeonce
# libxml2 would bring 36 MB of ICU.
[[ $seen != *@(libxml2|libicu|not found)* ]] || { echo "$system: the command is linked with: $seen" && exit 1; }
try_all freeonce libfreeonce.so.0 'Debian package'
