# shellcheck shell=bash
# What the tests of the package share.  Sourced.

readonly skipped=77 # SKIP_RETURN_CODE of ctest

# skip REASON...: the machine lacks what the test needs.
skip() {
    printf 'skipped: %s\n' "$*"
    exit "$skipped"
}

# need PROGRAM...: those of packages that scripts/check installs.
need() {
    local program
    for program; do
        command -v "$program" >/dev/null && continue
        echo "no $program on this machine"
        [[ ${CI:-} == true ]] && exit 1
        exit "$skipped"
    done
}

# build_package TREE FOLDER: FOLDER/*.deb from a copy of the tree, without git, a network, or what lies
# in the tree's build folders.
build_package() {
    local apart=()
    unshare --net true 2>/dev/null && apart=(unshare --net)
    mkdir -p "$2/freeonce"
    tar -C "$1" --exclude=./.git --exclude='./build*' --exclude='./obj-*' --exclude=__pycache__ -c . |
        tar -C "$2/freeonce" -x
    (cd "$2/freeonce" && env -u MAKEFLAGS GIT_DIR=/nonexistent "${apart[@]}" dpkg-buildpackage -us -uc -b)
    rm -r "$2/freeonce"
}

# in_fresh_system FOLDER PACKAGES SCRIPT [ARGUMENT]: runs SCRIPT ROOT STAGE ARGUMENT for a minimal
# Debian at ROOT, which has these PACKAGES and exists for that time; STAGE holds FOLDER/*.deb.  It is
# made by mmdebstrap from the mirrors that this machine's apt uses.  SCRIPT touches STAGE/reached
# first; what it had to leave out it writes to STAGE/skipped.
in_fresh_system() {
    local folder=$1 packages=$2 script=$3 argument=${4:-} keys suite proxy arguments status=0
    need mmdebstrap
    ((EUID == 0)) || skip 'a new system is made by root only'
    stage=$(mktemp -d)
    trap 'rm -rf "$stage"' EXIT

    # Debian's own among the sources; others have nothing that is needed, and keys of their own.
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    # shellcheck disable=SC2016 # apt's fields, not the shell's
    apt-get indextargets --format "deb [signed-by=$keys] "'$(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' 'Origin: Debian' | sort -u >"$stage/sources.list"
    [[ -s $stage/sources.list ]] || skip 'apt has no lists of a Debian mirror (apt-get update)'
    suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    grep -q " $suite " "$stage/sources.list" || skip "apt's sources do not have $suite"
    arguments=(--mode=root --format=null --variant=apt --include="$packages")
    unshare --mount true 2>/dev/null || arguments+=(--skip=check/canmount)
    eval "$(apt-config shell proxy Acquire::http::Proxy)"
    [[ -z ${proxy:-} ]] || arguments+=(--aptopt="Acquire::http::Proxy \"$proxy\"")

    cp "$folder"/*.deb "$stage"
    mmdebstrap "${arguments[@]}" --customize-hook="'$script' \"\$1\" '$stage' '$argument'" \
        "$suite" - "$stage/sources.list" >"$stage/log" 2>&1 </dev/null || status=$?
    if ((status != 0)) && [[ ! -e $stage/reached ]]; then
        tail -n 5 "$stage/log"
        skip 'mmdebstrap cannot make a system here'
    fi
    ((status == 0)) || tail -n 60 "$stage/log"
    ((status != 0)) || [[ ! -e $stage/skipped ]] || skip "$(cat "$stage/skipped")"
    exit "$status"
}
