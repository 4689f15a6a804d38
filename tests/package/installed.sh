#!/usr/bin/env bash
# Does the installed package work, and is it removed without a trace?  Called by
# install.sh, as mmdebstrap's hook.  Usage: installed.sh ROOT PACKAGES PROGRAM
set -euo pipefail
root=$1 packages=$2 program=$3
multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
touch "$packages/reached"

inside() { chroot "$root" env PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
files() { inside find /etc /home /opt /root /srv /usr /var/lib /var/spool -xdev ! -path '/var/lib/apt/*' ! -path '/var/lib/dpkg/*-old' | sort; }

# expect TEXT COMMAND...: it succeeds, and prints TEXT on either stream.
expect() {
    local text=$1 seen
    shift
    seen=$("$@" 2>&1) || {
        printf 'ended with %s: %s\n%s\n' "$?" "$*" "$seen"
        exit 1
    }
    [[ $seen == *"$text"* ]] && return
    printf 'expected "%s" of: %s\nseen:\n%s\n' "$text" "$*" "$seen"
    exit 1
}

install -d "$root/tmp/packages"
cp "$packages"/{freeonce,libfreeonce0,libfreeonce-dev}_*.deb "$root/tmp/packages"
cp "$program" "$root/tmp/plant"
before=$(files)
inside sh -c 'apt-get -q -y --no-install-recommends install /tmp/packages/*.deb'

# The library is found by name alone, where the dynamic linker looks.
expect 'still here' inside env LD_PRELOAD=libfreeonce.so.0 /tmp/plant
expect 'freeonce: double free of block' inside env LD_PRELOAD=libfreeonce.so.0 /tmp/plant
expect 'in front of OpenSSL' inside env LD_PRELOAD=libfreeonce.so.0 FREEONCE_VERBOSE=1 openssl version
[[ -z $(inside env LD_PRELOAD=libfreeonce.so.0 true 2>&1) ]]
version=$(dpkg-deb -f "$packages"/freeonce_*.deb Version)
expect "freeonce $version" inside freeonce --version
expect 'no findings' inside freeonce --ci -- openssl version # it finds the library of its package
status=0
inside freeonce --ci -- /tmp/plant || status=$?
((status == 99)) || { echo "freeonce --ci ended with $status"; exit 1; }
[[ -z $(inside dpkg --verify freeonce libfreeonce0 libfreeonce-dev) ]]

# libxml2 would bring 36 MB of ICU.
[[ $(inside dpkg-query -f "\${Depends}" -W freeonce) == *libjansson4* ]]
[[ $(inside dpkg-query -f "\${Depends}" -W freeonce) != *libxml2* ]]
expect 'libjansson.so.4 => ' inside ldd /usr/bin/freeonce
[[ $(inside ldd /usr/bin/freeonce) != *@(libxml2|libicu|not found)* ]]

# A plug-in is compiled here, because a compiler is large, against the header that was installed there.
export PKG_CONFIG_LIBDIR=$root/usr/lib/$multiarch/pkgconfig
[[ -e $root$(pkg-config --variable=preload freeonce) ]]
read -r -a flags < <(PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 pkg-config --cflags freeonce)
[[ ${flags[*]} == "-I$root/usr/include" ]]
cc -shared -fPIC "${flags[@]}" -o "$root/tmp/counting.so" "$root/usr/share/doc/libfreeonce-dev/examples/plugin/counting.c"
expect 'counting: ' inside env LD_PRELOAD=libfreeonce.so.0 FREEONCE_BACKEND=/tmp/counting.so COUNTING=1 openssl version

inside apt-get -q -y --autoremove purge freeonce libfreeonce0 libfreeonce-dev
diff <(printf '%s\n' "$before") <(files)
[[ $(inside ldconfig -p) != *freeonce* ]]
echo 'installed, tried and removed'
