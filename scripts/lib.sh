# shellcheck shell=bash
# What scripts have in common: clean-up at exit, progress, and packages that are missing.
# Sourced by scripts that have set -euo pipefail.

# --- clean-up ---------------------------------------------------------------------------------------

exit_actions=()

# at_exit FUNCTION: calls it when the script ends, however it ends; the last one registered first.
at_exit() {
    exit_actions+=("$1")
}

run_exit_actions() {
    local status=$? i
    trap - EXIT
    trap '' INT TERM HUP # a second Ctrl-C must not interrupt the clean-up
    set +e
    stop_step
    for ((i = ${#exit_actions[@]} - 1; i >= 0; i--)); do
        "${exit_actions[i]}"
    done
    exit "$status"
}

scratch='' # a folder for temporary files

remove_scratch() {
    rm -rf "$scratch"
}

# end_cleanly: to be called once, before all that follows here.
end_cleanly() {
    trap run_exit_actions EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    scratch=$(mktemp -d)
    at_exit remove_scratch
}

# --- output -----------------------------------------------------------------------------------------

terminal=false
[[ -t 1 && ${TERM:-dumb} != dumb ]] && terminal=true

bold='' green='' red='' plain=''
if $terminal && [[ -z ${NO_COLOR:-} ]]; then
    bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
fi

heading() {
    printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}

# die STATUS SENTENCE
die() {
    local status=$1
    shift
    printf '%s%s: %s%s\n' "$red" "${0##*/}" "$*" "$plain" >&2
    exit "$status"
}

# --- steps ------------------------------------------------------------------------------------------

step_pid=''

# Ends the command of a step that is interrupted, with everything it started.
stop_step() {
    [[ -n $step_pid ]] || return 0
    kill -TERM -- "-$step_pid" 2>/dev/null
    wait "$step_pid" 2>/dev/null
    step_pid=''
}

# animate TEXT SECONDS: the line of a running step, on a terminal.
animate() {
    local frames=('.   ' '..  ' '... ' '....')
    printf '\r  %s  %s %d s ' "${frames[$2 % 4]}" "$1" "$2"
}

# step TEXT COMMAND...: prints TEXT and runs the command, whose output is shown only when it fails.
# 77 means that the machine lacks what it needs; the last line that the command printed says what.
# Returns its status. The command runs in the background, so that Ctrl-C ends the step and does not wait.
# A function as command must chain its own commands with &&: bash ignores set -e wherever a status is tested.
step() {
    local text=$1 started=$SECONDS status=0 output seconds
    shift
    output=$scratch/step.out
    $terminal || printf '  ..  %s\n' "$text"

    set -m # a process group of its own
    "$@" >"$output" 2>&1 </dev/null &
    step_pid=$!
    set +m
    while $terminal && kill -0 "$step_pid" 2>/dev/null; do
        animate "$text" $((SECONDS - started))
        sleep 0.25
    done
    wait "$step_pid" 2>/dev/null || status=$?
    step_pid=''

    seconds=$((SECONDS - started))
    $terminal && printf '\r\e[K'
    if ((status == 0)); then
        printf '  %sok%s  %s (%d s)\n' "$green" "$plain" "$text" "$seconds"
    elif ((status == 77)); then
        printf '  skipped  %s: %s\n' "$text" "$(tail -n 1 "$output")"
    else
        printf '  %sfailed%s  %s (%d s)\n' "$red" "$plain" "$text" "$seconds"
        sed 's/^/      /' "$output" | tail -n 40
    fi
    return "$status"
}

# --- packages ---------------------------------------------------------------------------------------

readonly status_packages=3 # the exit status when packages are missing and cannot be installed

is_installed() {
    local states
    states=$(dpkg-query -W -f '${db:Status-Status} ' "$1" 2>/dev/null) || return 1
    [[ " $states" == *' installed '* ]]
}

# How root's commands are run: directly, through sudo, or not at all. Sets as_root; fails if not at all.
find_root() {
    as_root=()
    ((EUID == 0)) && return 0
    command -v sudo >/dev/null || return 1
    as_root=(sudo)
    sudo -n true 2>/dev/null && return 0
    [[ -t 0 ]] || return 1
    printf '  sudo may ask for your password.\n'
    sudo -v
}

# Debian starts services as it installs them. With this file, and unless the machine has one, it does not.
policy=/usr/sbin/policy-rc.d
policy_is_ours=false

# The packages also enable their services, for the next start of the machine.  The file keeps which were enabled before,
# so that a run that was killed is put in order by the next one.
enabled_services() {
    find /etc/systemd/system -type l \( -path '*.wants/*' -o -path '*.requires/*' \) -printf '%f\n' 2>/dev/null
    find /etc/rc[2345].d -name 'S*' -printf '%f\n' 2>/dev/null | sed 's/^S[0-9]*\(.*\)/\1.service/'
}

policy_of() {
    [[ -r $policy ]] && sed -n "s/^# freeonce, $1: //p" "$policy"
}

forbid_services() {
    local process before
    process=$(policy_of process) || true
    if [[ -e $policy && (-z $process || -d /proc/$process) ]]; then
        return 0 # the machine's own, or of a run that is still there
    fi
    before=$(if [[ -n $process ]]; then policy_of before; else enabled_services | sort -u; fi)
    policy_is_ours=true
    {
        printf '#!/bin/sh\n# freeonce, process: %d\n' $$
        # shellcheck disable=SC2086 # a line for each
        [[ -z $before ]] || printf '# freeonce, before: %s\n' $before
        printf 'exit 101\n'
    } | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
}

# What was enabled since, except what systemd enables itself, if it is among what was installed.
disable_new_services() {
    local unit
    while read -r unit; do
        [[ $(dpkg -S "/${unit/@*./@.}" 2>/dev/null) != systemd* ]] || continue
        if command -v systemctl >/dev/null; then
            "${as_root[@]}" systemctl --quiet disable "$unit" 2>/dev/null
        elif command -v update-rc.d >/dev/null; then
            "${as_root[@]}" update-rc.d "${unit%.service}" disable >/dev/null 2>&1
        fi || printf '  %s is still enabled: it could not be disabled\n' "$unit"
    done < <(comm -13 <(policy_of before | sort -u) <(enabled_services | sort -u))
}

allow_services() {
    $policy_is_ours || return 0
    policy_is_ours=false
    disable_new_services
    "${as_root[@]}" rm -f "$policy"
}

apt_get() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "$@"
}

# need_packages PACKAGE...: installs those that are missing. Touches nothing, and needs no network, if none is.
need_packages() {
    local missing=() package line
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        die "$status_packages" "this system has no apt-get; needed are Debian's packages: $*"
    fi
    for package; do
        is_installed "$package" || missing+=("$package")
    done
    ((${#missing[@]} > 0)) || return 0

    line="apt-get update && apt-get install --no-install-recommends ${missing[*]}"
    find_root || die "$status_packages" "packages are missing; as root, run:
    $line"
    at_exit allow_services
    forbid_services
    # An update that fails in part may be enough: otherwise the installation fails.
    step 'Reading the package lists (apt-get update)' apt_get update || true
    step "Installing ${missing[*]}" apt_get install --no-install-recommends "${missing[@]}" ||
        die "$status_packages" "the packages could not be installed; what was tried:
    $line"
    allow_services
}

# --- other Debians ----------------------------------------------------------------------------------

readonly system_packages=gcc,libc6-dev,libssl-dev,libssl-doc,openssl,python3-minimal,libpython3-stdlib,valgrind

# Debian's mirror of this machine's apt; empty if there is none.
debian_mirror() {
    # shellcheck disable=SC2016 # apt's fields, not the shell's
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
        { grep -v security || true; } | sort -u | head -n 1
}

# make_system NAME FOLDER [PACKAGE,...] [ARGUMENT...] (of mmdebstrap): made beside it and renamed, as another process may make the same; 77: it cannot be made.
make_system() {
    local suite=sid mirror proxy sources unfinished=$2.$$
    # A system that is lost with the machine's power is made again: no file is synchronised.
    local arguments=(--mode=root --variant=apt --dpkgopt=force-unsafe-io --include="${3:-$system_packages}")
    case $1 in bullseye | bookworm | trixie | testing) suite=$1 ;; esac
    mirror=$(debian_mirror)
    [[ -n $mirror ]] || { apt-get -q update >/dev/null && mirror=$(debian_mirror); }
    [[ -n $mirror ]] || return 77
    eval "$(apt-config shell proxy Acquire::http::Proxy)"
    [[ -z ${proxy:-} ]] || arguments+=(--aptopt="Acquire::http::Proxy \"$proxy\"")
    sources="deb $mirror $suite main"
    if [[ $1 == experimental ]]; then
        sources+=$'\n'"deb $mirror experimental main"
        # OpenSSL alone is experimental's: the rest is often in the middle of a transition.
        # shellcheck disable=SC2016 # mmdebstrap's shell has the root's path
        arguments+=(--setup-hook='printf "Package: src:openssl\nPin: release a=experimental\nPin-Priority: 990\n" >"$1/etc/apt/preferences.d/openssl"')
    fi
    arguments+=("${@:4}")
    # Mirrors' release files of sid may be old.
    arguments+=(--aptopt='Acquire::Check-Valid-Until "false"')
    mkdir -p "$(dirname "$2")"
    if ! mmdebstrap "${arguments[@]}" "$suite" "$unfinished" "$sources" >"$unfinished.log" 2>&1 </dev/null; then
        tail -n 5 "$unfinished.log"
        rm -rf "$unfinished" "$unfinished.log"
        return 77
    fi
    mv "$unfinished.log" "$2.log"
    mv -T "$unfinished" "$2" 2>/dev/null || rm -rf "$unfinished" # another process was faster
}

# Executables of arm64 start qemu, also in the new system: the kernel opens it now (F).
register_emulator() {
    local formats=/proc/sys/fs/binfmt_misc
    [[ -e $formats/qemu-aarch64 ]] && return 0
    [[ -e $formats/register ]] || mount -t binfmt_misc none "$formats" 2>/dev/null || return 1
    printf '%s' ':qemu-aarch64:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:OCF' \
        >"$formats/register"
}

# in_system FOLDER SCRIPT [ARGUMENT...]: with /proc, /dev and /sys of its own, gone afterwards.  FREEONCE_DEBS: a folder
# for packages that apt downloads.  FREEONCE_MOUNT: a folder that is /mnt there, without a network.
in_system() {
    # shellcheck disable=SC2016 # of the inner shell
    unshare --mount ${FREEONCE_MOUNT:+--net} --propagation private bash -ec '
        root=$1; shift
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount --rbind /sys "$root/sys"
        [[ -z ${FREEONCE_MOUNT:-} ]] || mount --bind "$FREEONCE_MOUNT" "$root/mnt"
        [[ -z ${FREEONCE_DEBS:-} ]] || mount --bind "$FREEONCE_DEBS" "$root/var/cache/apt/archives"
        exec chroot "$root" env -u FREEONCE_DEBS -u FREEONCE_MOUNT HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
                FREEONCE_RUNS="${FREEONCE_RUNS:-1}" sh -euc "$@"' _ "$@"
}
