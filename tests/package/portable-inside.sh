#!/usr/bin/env bash
# Called by portable.sh in each system, with the portable packages in /mnt.  Usage: portable-inside.sh SYSTEM
set -euo pipefail
system=$1
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
tar -C /mnt/any/folder -xzf /mnt/freeonce-*-linux-*.tar.gz
unpacked=$(echo /mnt/any/folder/freeonce-*)
try_all "$unpacked/bin/freeonce" "$unpacked/lib/libfreeonce.so.0" tarball

[[ $system == bullseye ]] || exit 0
# RHEL 8's and 9's glibc, for rpm: what the package asks for must be among what that provides.
cat >/mnt/glibc.spec <<'END'
Name: glibc
Version: 2.28
Release: 1
Summary: stands for RHEL 8's glibc, and its pkgconf-pkg-config
License: none
BuildArch: x86_64
Provides: /usr/bin/pkg-config libc.so.6()(64bit) libdl.so.2()(64bit) libpthread.so.0()(64bit) libm.so.6()(64bit)
Provides: ld-linux-x86-64.so.2()(64bit) rtld(GNU_HASH) ld-linux-x86-64.so.2(GLIBC_2.2.5)(64bit) ld-linux-x86-64.so.2(GLIBC_2.3)(64bit)
Provides: libdl.so.2(GLIBC_2.2.5)(64bit) libpthread.so.0(GLIBC_2.2.5)(64bit) libpthread.so.0(GLIBC_2.3.2)(64bit) libm.so.6(GLIBC_2.2.5)(64bit)
%define _build_id_links none
%{expand:%(for v in 2.2.5 2.3 2.3.2 2.3.3 2.3.4 2.4 2.5 2.6 2.7 2.8 2.9 2.10 2.11 2.12 2.13 2.14 2.15 2.16 2.17 2.18 2.22 2.23 2.24 2.25 2.26 2.27 2.28; do echo "Provides: libc.so.6(GLIBC_$v)(64bit)"; done)}
%description
stands for RHEL 8's glibc
%files
END
rpmbuild -bb --quiet --define '_topdir /mnt/rpm' --define '_rpmdir /mnt' --define '_rpmfilename glibc.rpm' /mnt/glibc.spec
root=/mnt/root
mkdir -p "$root"
rpm --root "$root" --dbpath /var/lib/rpm --initdb
rpm --root "$root" --dbpath /var/lib/rpm --force-debian -i /mnt/glibc.rpm /mnt/freeonce-0*.x86_64.rpm /mnt/freeonce-devel-0*.x86_64.rpm
rpm --root "$root" --dbpath /var/lib/rpm -V freeonce freeonce-devel
rpm --root "$root" --dbpath /var/lib/rpm -q --requires freeonce | sort -u
try_all "$root/usr/bin/freeonce" "$root/usr/lib64/libfreeonce.so.0" RPM
rpm --root "$root" --dbpath /var/lib/rpm --force-debian -e freeonce-devel freeonce
left=$(find "$root" -name '*freeonce*' ! -path '*/rpm/*')
[[ -z $left ]] || { echo "left of the RPM: $left" && exit 1; }

# The Debian packages are for Debian 11, Ubuntu 20.04 and newer.
trap 'dpkg -P freeonce libfreeonce0 libfreeonce-dev >/dev/null' EXIT
dpkg -i /mnt/freeonce_*.deb /mnt/libfreeonce0_*.deb /mnt/libfreeonce-dev_*.deb >/dev/null
try_all freeonce libfreeonce.so.0 'Debian package'
