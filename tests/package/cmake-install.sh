#!/usr/bin/env bash
# Does `cmake --install` install every file at its path, under a prefix and a DESTDIR of its own, and can
# the libraries be built without what only the command needs?  Usage: cmake-install.sh TREE BUILD
# (a build folder of that tree, complete)
set -euo pipefail
tree=$1 build=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "$*"
    exit 1
}

# installed BUILD FILE...: exactly these lie under the prefix, documents left out, and freeonce.pc knows it.
installed() {
    local build=$1 root=$scratch/root pc
    shift
    rm -rf "$root"
    DESTDIR=$root cmake --install "$build" --prefix /opt/freeonce >/dev/null
    diff <(printf '%s\n' "$@" | sort) \
        <(cd "$root/opt/freeonce" && find . ! -type d ! -path './share/doc/*' -printf '%P\n' |
            sed -E 's#^lib(64)?(/[a-z0-9_]+-linux-gnu[a-z0-9]*)?/#lib/#' | sort)
    [[ $(cd "$root" && ls) == opt ]] || fail 'something was installed outside of the prefix'
    pc=$(find "$root" -name freeonce.pc)
    grep -qx 'prefix=/opt/freeonce' "$pc" || fail "freeonce.pc has another prefix"
    for document in README.md options.md ci/github.yml examples/plugin/counting.c \
        $(sed -n 's/.*](\(docs\/\)\{0,1\}\([^):#]*\)).*/\2/p' "$root/opt/freeonce/share/doc/freeonce/README.md"); do
        [[ -e $root/opt/freeonce/share/doc/freeonce/$document ]] || fail "there is no $document"
    done
}

version=$(sed -n 's/^project(freeonce VERSION \([0-9.]*\).*/\1/p' "$tree/CMakeLists.txt")
libraries=(include/freeonce/backend.h lib/libfreeonce.so{,.0,".$version"} lib/pkgconfig/freeonce.pc
    share/man/man3/freeonce-backend.3 share/man/man7/{,lib}freeonce.7)
command=(bin/freeonce share/bash-completion/completions/freeonce share/man/man1/freeonce.1
    share/zsh/site-functions/_freeonce)
installed "$build" "${libraries[@]}" "${command[@]}"

# Like a machine that has no library but libc.
export PKG_CONFIG_LIBDIR=$scratch
cmake -S "$tree" -B "$scratch/without" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DBUILD_TESTING=OFF -DFREEONCE_COMMAND=OFF >/dev/null
cmake --build "$scratch/without" >/dev/null
installed "$scratch/without" "${libraries[@]}"

said=$(cmake -S "$tree" -B "$scratch/with" -G Ninja -DBUILD_TESTING=OFF 2>&1) && fail 'configured without jansson'
for word in libjansson-dev libdw-dev -DFREEONCE_COMMAND=OFF; do
    [[ $said == *"$word"* ]] || fail "the message does not say $word: $said"
done
said=$(cmake -S "$tree" -B "$scratch/tests" -G Ninja -DFREEONCE_COMMAND=OFF 2>&1) && fail 'configured without cmocka'
for word in libcmocka-dev -DBUILD_TESTING=OFF; do
    [[ $said == *"$word"* ]] || fail "the message does not say $word: $said"
done
