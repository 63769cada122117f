# Completes a command line as an interactive zsh does, and prints what it then shows.
# usage: zsh -f complete.zsh FUNCTIONS-DIRECTORY COMMAND-LINE
zmodload zsh/zpty
setopt no_beep

zpty shell "zsh -f -i"
answer() { # until the text is seen, or 10 s have passed
    local text chunk
    local -F end=$((EPOCHREALTIME + 10))
    while ((EPOCHREALTIME < end)); do
        if zpty -rt shell chunk; then
            text+=$chunk
            [[ $text == *$1* ]] && break
        else
            sleep 0.02
        fi
    done
    print -r -- "$text"
}
zmodload zsh/datetime
zpty -w shell "PS1=; fpath=(${(q)1} \$fpath); autoload -Uz compinit; compinit -u -D; unsetopt zle_bracketed_paste; print REA''DY"
answer READY > /dev/null
# Tab completes; Ctrl-A and a print in front show the line that came of it.
zpty -wn shell "$2"$'\t'$'\C-A'"print -r -- LINE=; : "$'\C-E'$'\n'"print E''ND"$'\n'
answer $'END\r' | tr -d '\033'
