# What does zsh offer for a command line?  Usage: zsh -f complete.zsh FOLDER LINE
# A second zsh on a terminal of its own gets the line and a Tab; compadd tells what it was given.
zmodload zsh/zpty
folder=$1 line=$2

zpty shell "zsh -f -i" || exit 77
send() { zpty -w shell "$1" }
send "PS1= PS2= PROMPT_EOL_MARK= ; stty -echo; fpath=(${(q)folder} \$fpath); autoload -Uz compinit"
send 'compinit -u -D'
send 'zstyle ":completion:*" list-prompt ""; setopt no_beep'
send 'compadd() {
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
        builtin compadd "$@"
        return
    fi
    typeset -ga offered
    builtin compadd -A offered "$@"
    print -rl -- "offered:"$^offered
}'
send 'finish() { compinsert() { }; print -r -- "<end>" }'
send 'complete-it() { print -r -- "<begin>"; zle complete-word; print -r -- "<end>" }'
send 'zle -N complete-it; bindkey "^I" complete-it; print ready-$((1 + 1))'
zpty -r -m shell got '*ready-2*'
zpty -w -n shell "$line"$'\t'
zpty -r -m shell got '*<begin>*<end>*'
print -r -- "$got" | tr -d '\r' | sed -n 's/^offered://p' | sort -u
zpty -d shell
