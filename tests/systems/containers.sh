#!/usr/bin/env bash
# Do the container files do what docs/containers.md says?  Builds them with buildah, from a folder that holds a Debian with a
# compiler, cmake and OpenSSL, and runs a program that frees twice in what was built.  Started by scripts/other-systems.
# Usage: containers.sh FOLDER
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
base=$1

cannot() {
    echo "$*"
    exit 77
}

fail() {
    printf 'FAILED: %s\n' "$*"
    exit 1
}

command -v buildah >/dev/null || cannot 'no buildah on this machine'
python3 -c 'import yaml' 2>/dev/null || cannot 'no python3-yaml on this machine'
((EUID == 0)) || cannot 'for root only'

scratch=$(mktemp -d)
export TMPDIR=$scratch BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
images() { buildah --root "$scratch/images" --runroot "$scratch/run" "$@"; }
clean_up() {
    images umount --all >/dev/null 2>&1 || true
    rm -rf --one-file-system "$scratch"
}
trap clean_up EXIT

# The value of a variable in a YAML file, as the container gets it: Compose makes one dollar sign of two.
value() {
    python3 - "$1" "$2" <<'END'
import sys, yaml
document, name = yaml.safe_load(open(sys.argv[1])), sys.argv[2]
if "services" in document:
    print(document["services"]["server"]["environment"][name].replace("$$", "$"))
else:
    for one in document["spec"]["template"]["spec"]["containers"][0]["env"]:
        if one["name"] == name:
            print(one["value"])
END
}

# in_container IMAGE COMMAND...: what it prints, on both outputs.
in_container() {
    local container
    container=$(images from "$1")
    shift
    images run --user 65534:65534 "${mounts[@]}" "$container" -- "$@" 2>&1 || echo "status $?"
    images rm "$container" >/dev/null
}
mounts=()

# found TEXT WHERE: the double free of twice.c is named.
found() {
    [[ $1 == *'double free of X509'*'freed again'* ]] || fail "$2: the double free is not reported:
$1"
    echo "ok: $2: the double free is reported"
}

# --- images -----------------------------------------------------------------------------------------

container=$(images from scratch)
tar --one-file-system --exclude=./root/freeonce --exclude=./var/cache/apt/archives -C "$base" -c . >"$scratch/base.tar"
images add -q "$container" "$scratch/base.tar" / >/dev/null
rm "$scratch/base.tar"
images copy -q "$container" examples/ci/twice.c /twice.c >/dev/null
images run "$container" -- gcc -g -o /usr/local/bin/twice /twice.c -lcrypto
if command -v musl-gcc >/dev/null; then
    printf '#include <unistd.h>\nint main(void) { return write(1, "ran\\n", 4) == 4 ? 7 : 1; }\n' >"$scratch/musl.c"
    musl-gcc -o "$scratch/musl" "$scratch/musl.c"
    images copy -q "$container" "$scratch/musl" /usr/local/bin/musl >/dev/null
    images copy -q "$container" /usr/lib/x86_64-linux-musl/libc.so /lib/ld-musl-x86_64.so.1 >/dev/null
fi
images commit -q --rm "$container" base >/dev/null
echo 'ok: the base image'
images build -q --build-arg BASE=localhost/base -t freeonce -f packaging/Containerfile . >/dev/null
images build -q --build-arg BASE=localhost/base --target init -t freeonce-init -f packaging/Containerfile . >/dev/null
images build -q --build-arg BASE=localhost/base --build-arg FREEONCE=localhost/freeonce -t program \
    -f docs/containers/Containerfile . >/dev/null
echo 'ok: packaging/Containerfile and docs/containers/Containerfile are built'

# --- COPY --from ------------------------------------------------------------------------------------

text=$(in_container localhost/program sh -c 'id -u; printenv LD_PRELOAD; openssl version')
[[ $text == "65534
/\$LIB/../../../opt/freeonce/lib/libfreeonce.so.0
OpenSSL "* && $text != *freeonce:* ]] || fail "the image of the program: $text"
found "$(in_container localhost/program twice)" 'COPY --from'
text=$(in_container localhost/program grep Seccomp: /proc/self/status)
[[ $text == *2 ]] || fail "no seccomp filter was in force: $text"
text=$(in_container localhost/base twice)
[[ $text != *'double free of X509'* ]] || fail "without the library: $text"
if command -v musl-gcc >/dev/null; then
    text=$(in_container localhost/program sh -c 'musl; echo $?; LD_PRELOAD=/opt/freeonce/lib/libfreeonce.so.0 musl 2>&1 | head -n 1')
    [[ $text == 'ran
7
Error relocating /opt/freeonce/lib/'* ]] || fail "a program of musl: $text"
    echo 'ok: a program of musl runs beside it; with a plain path it does not'
fi

# --- an init container ------------------------------------------------------------------------------

mkdir -m 777 "$scratch/library" "$scratch/journal"
mounts=(-v "$scratch/library:/target")
in_container localhost/freeonce-init cp /opt/freeonce/lib/libfreeonce.so.0 /target/
mounts=(-v "$scratch/library:/opt/freeonce/lib:ro" -v "$scratch/journal:/var/log/freeonce")
for file in docs/containers/kubernetes.yml docs/containers/compose.yml; do
    rm -f "$scratch"/journal/*
    text=$(in_container localhost/base env "LD_PRELOAD=$(value "$file" LD_PRELOAD)" \
        "FREEONCE_LOG=$(value "$file" FREEONCE_LOG)" "FREEONCE_JOURNAL=$(value "$file" FREEONCE_JOURNAL)" twice)
    found "$text" "$file"
    [[ -s $scratch/journal/journal ]] || fail "$file: no journal was written"
done

# --- a read-only root -------------------------------------------------------------------------------

container=$(images from localhost/program)
root=$(images mount "$container")
# shellcheck disable=SC2016 # of the inner shell
text=$(unshare --mount --propagation private bash -ec '
    mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; mount -t tmpfs none "$1/mnt"; chmod 777 "$1/mnt"
    ! touch "$1/x" 2>/dev/null || exit 9
    exec chroot --userspec 65534:65534 "$1" env "LD_PRELOAD=$2" FREEONCE_LOG=stderr FREEONCE_JOURNAL=/mnt/journal \
        sh -c "twice && ls -s /mnt/journal"' _ "$root" "$(value docs/containers/kubernetes.yml LD_PRELOAD)" 2>&1) || true
found "$text" 'a read-only root, without /dev and /proc'
[[ $text == *' /mnt/journal' ]] || fail "a read-only root: no journal: $text"
