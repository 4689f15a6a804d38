# bash completion for freeonce(1).                                            -*- shell-script -*-
# Subcommands and flags are asked of the command itself (--help), so that they are always its own.
# shellcheck disable=SC2207 # what compgen prints is split into words on purpose

# options: begin (made from src/options/options.def by scripts/options-doc)
_freeonce_options=(
    'FREEONCE_BACKEND=auto|host|arena|shm|libc|guard|/path/to/plugin.so'
    'FREEONCE_SHM_SIZE=8M to 64G'
    'FREEONCE_SHM_CHANGES=refuse|report|allow'
    'FREEONCE_GUARD=0|1|1/N'
    'FREEONCE_GUARD_MAX=number'
    'FREEONCE_REQUIRE=0|1'
    'FREEONCE_VERBOSE=0|1'
    'FREEONCE_LOG=stderr|syslog|syslog5424|journald|journal|/path/to/file'
    'FREEONCE_JOURNAL=/path/to/file'
    'FREEONCE_ON_ERROR=skip|abort|exit:N'
    'FREEONCE_FOREIGN=report|free'
    'FREEONCE_QUARANTINE=bytes'
    'FREEONCE_TOMBSTONES=number'
    'FREEONCE_OBJECTS=0|1'
    'FREEONCE_FILL=0|1'
    'FREEONCE_CANARY=0|1'
    'FREEONCE_FAULTS=0|1'
    'FREEONCE_STACKS=0 to 32'
    'FREEONCE_LEAKS=0|1'
    'FREEONCE_SAMPLE=0|1|1/N'
    'FREEONCE_SHARED=auto|0|1'
    'FREEONCE_CURES=all|none|state,exit,locks,identity'
    'FREEONCE_WIPE=0|1'
    'FREEONCE_DUMP=0|1'
    'FREEONCE_LOCK=0|1'
)
# options: end

_freeonce_subcommands()
{
    "$1" --help 2>/dev/null </dev/null |
        command sed -n '/^Examples/q; s/^  \([a-z][a-z-]*\)  *[^ ].*/\1/p'
}

# One line a flag: --long:META:short.  META is empty where there is no argument, and begins with [
# where it is optional.
_freeonce_flags()
{
    "$1" "$2" --help 2>/dev/null </dev/null | command sed -n -E \
        -e 's/^ +(-(.), )?(--[a-z][a-z-]*)((\[?)=([^] ]+))?.*/\3:\5\6:\2/p' -e t \
        -e 's/^ +-(.)( ([A-Z|]+))?(  .*)?$/:\3:\1/p'
}

# An option of the library, as NAME= and its value; $1 is what stands in front of the names.
_freeonce_setting()
{
    local row choice name=FREEONCE_${cur%%=*}
    [[ $cur == F* ]] && set -- FREEONCE_ # both are understood
    if [[ $cur != *=* ]]; then
        for row in "${_freeonce_options[@]}"; do
            row=$1${row#FREEONCE_}
            COMPREPLY+=($(compgen -W "${row%%=*}=" -- "$cur"))
        done
        compopt -o nospace
        return
    fi
    name=${name/#FREEONCE_FREEONCE_/FREEONCE_} cur=${cur#*=}
    for row in "${_freeonce_options[@]}"; do
        [[ ${row%%=*} == "$name" ]] || continue
        local IFS='|'
        for choice in ${row#*=}; do
            case $choice in
                /*) [[ $cur == /* ]] && _filedir ;;
                number | bytes | *[A-Z\ ]*) ;;
                *) COMPREPLY+=($(compgen -W "$choice" -- "$cur")) ;;
            esac
        done
    done
}

_freeonce_units()
{
    COMPREPLY=($(compgen -W "$(command systemctl list-unit-files --no-legend --no-pager \
        --type=service 2>/dev/null | command sed 's/ .*//')" -- "$cur"))
}

# The values of an argument of subcommand $1 that --help calls $2.
_freeonce_argument()
{
    case $2 in
        *NAME=VALUE) _freeonce_setting "${2%NAME=VALUE}" ;;
        *'|'*) COMPREPLY=($(compgen -W "${2//|/ }" -- "$cur")) ;;
        FORMAT)
            local formats='text json junit sarif html github'
            [[ $1 == options ]] && formats='table json'
            COMPREPLY=($(compgen -W "$formats" -- "$cur"))
            ;;
        FILE | JOURNAL | LIBRARY | PATH) _filedir ;;
        DIR | DIRECTORY) _filedir -d ;;
        WHERE) cur=LOG=$cur && _freeonce_setting '' ;;
        SECONDS) [[ $1 == heap ]] || COMPREPLY=($(compgen -W forever -- "$cur")) ;;
        UNIT)
            _freeonce_units
            _filedir
            ;;
    esac
}

# Sets position to the first word from $1 on that is no flag and no flag's argument, and meta to
# what the word in front of the cursor wants.
_freeonce_scan()
{
    local i flag word
    meta=''
    for ((i = $1; i < cword; i++)); do
        word=${words[i]} meta=''
        [[ $word == -- ]] && { position=$((i + 1)); return; }
        [[ $word == -?* ]] || { position=$i; return; }
        [[ $word == *=* ]] && continue
        for flag in "${flags[@]}"; do
            IFS=: read -r long argument short <<<"$flag"
            if [[ ($word == "$long" || $word == "-$short") && $argument != '['* ]]; then
                meta=$argument
            fi
        done
        if [[ -n $meta ]]; then
            ((i + 1 < cword)) || break
            ((++i)) && meta=''
        fi
    done
    position=$cword
}

# A PID, a unit, or the word $1.
_freeonce_processes()
{
    local units
    _freeonce_units
    units=("${COMPREPLY[@]}")
    _pids
    COMPREPLY+=("${units[@]}" $(compgen -W "$1" -- "$cur"))
}

_freeonce()
{
    local cur prev words cword split
    _init_completion -s || return

    local sub=run from=1 position meta long argument short flag
    local subcommands=() flags=()
    mapfile -t subcommands < <(_freeonce_subcommands "$1")
    if ((cword > 1)) && [[ " ${subcommands[*]} " == *" ${words[1]} "* ]]; then
        sub=${words[1]} from=2
    fi
    mapfile -t flags < <(_freeonce_flags "$1" "$sub")

    _freeonce_scan "$from"
    if $split; then # --long=value
        for flag in "${flags[@]}"; do
            IFS=: read -r long argument short <<<"$flag"
            [[ $long == "$prev" ]] && _freeonce_argument "$sub" "${argument#[}"
        done
    elif [[ -n $meta ]]; then
        _freeonce_argument "$sub" "$meta"
    elif [[ $sub == run ]] && ((position < cword)); then
        _command_offset "$position"
    elif [[ $cur == -* ]]; then
        ((cword == 1)) && [[ " ${flags[*]}" != *" --help:"* ]] && flags+=(--help --version)
        COMPREPLY=($(compgen -W "${flags[*]%%:*}" -- "$cur"))
    elif [[ $sub == run ]]; then
        _command_offset "$position"
        ((cword == 1)) && COMPREPLY+=($(compgen -W "${subcommands[*]}" -- "$cur"))
    else
        case $sub in
            systemd) _freeonce_argument "$sub" UNIT ;;
            doctor)
                _freeonce_processes ''
                COMPREPLY+=($(compgen -c -- "$cur"))
                _filedir
                ;;
            options) COMPREPLY=($(compgen -W "${_freeonce_options[*]%%=*}" -- "$cur")) ;;
            heap)
                _pids
                _filedir
                ;;
            status | top) _freeonce_processes all ;;
            metrics)
                _pids
                COMPREPLY+=($(compgen -W all -- "$cur"))
                ;;
            *) _filedir ;;
        esac
    fi
} &&
    complete -F _freeonce freeonce
