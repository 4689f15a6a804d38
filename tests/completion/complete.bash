# What does bash offer for a command line?  Usage: bash complete.bash COMPLETION LINE
# shellcheck shell=bash disable=SC1090,SC1091,SC2001,SC2034 # sources what it is given, sets readline's variables
source /usr/share/bash-completion/bash_completion
source "$1"
compopt() { :; } # readline is not there

COMP_LINE=$2 COMP_POINT=${#2}
read -r -a COMP_WORDS < <(sed 's/[=:]\+/ & /g' <<<"$COMP_LINE") # as readline splits it
[[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_freeonce "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
