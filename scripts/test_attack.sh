#!/usr/bin/env bash
# Checks the break-in lab: each attack fools whom it is said to fool, and not the step that stops it. And the lab is honest:
# it says so, and ends with 1, where that is not so.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$ROOT" || exit 1
export CARGO_TARGET_DIR=$TARGET
SAID=$SCRATCH/said

# lab STEP: plays its attacks.
lab() {
    scripts/attack.sh "$@" >"$SAID" 2>&1
    EXIT=$?
}

# outcomes: one line for each attack: its title, who was fooled, who was not.
outcomes() {
    awk '
        /^[0-9]+\. / { title = $0; sub(/^[0-9]+\. /, "", title) }
        /^     [^ ].*: / { line = $0; sub(/^     /, "", line); who = line; sub(/: .*/, "", who); sub(/^[^:]*: /, "", line)
            seen[title] = seen[title] "\t" who "\t" line; if (!(title in order)) order[title] = ++n; name[order[title]] = title }
        END { for (i = 1; i <= n; i++) print name[i] seen[name[i]] }
    ' "$SAID"
}

# as_told OUTCOME-OF-ONE OUTCOME-OF-THE-OTHER
as_told() {
    case $1 in fooled*) ;; *) echo "$1" && return 1 ;; esac
    case $2 in 'refused, '* | 'not fooled, '*) ;; *) echo "$2" && return 1 ;; esac
}

# plays STEP ATTACKS
plays() {
    local title victim first guard second
    lab "$1"
    while IFS=$'\t' read -r title victim first guard second; do
        check "attack $1: $title fools $victim, and not $guard" as_told "$first" "$second"
    done < <(outcomes)
    check "attack $1: $2 attacks, all as told" is "$EXIT $(tail -n 1 "$SAID")" "0 $2 attacks, all as told: step$1 was not fooled."
    check "attack $1 cuts nothing off" is "$(grep -c '\.\.$' "$SAID")" 0
    check "attack $1 fits 80 columns" is "$(awk 'length($0) > 80' "$SAID")" ''
}

usage() {
    local words
    for words in '' 1 3 5 9 x '6 7'; do
        # shellcheck disable=SC2086 # words
        lab $words
        check "attack.sh [$words] -> status 2, and which there are" is "$EXIT $(grep -c '2, 4, 6, 7 or 8' "$SAID")" '2 1'
    done
    lab --help
    check "attack.sh --help -> status 0, and what it does" is "$EXIT $(grep -c 'The break-in lab' "$SAID")" '0 1'
}

# With the servers changed round, nothing is as told.
honesty() {
    mkdir "$SCRATCH/swapped"
    ln -s "$BIN/gen-token" "$SCRATCH/swapped/"
    ln -s "$BIN/step6" "$SCRATCH/swapped/step5"
    ln -s "$BIN/step6" "$SCRATCH/swapped/step6"
    CHECKS_BIN=$SCRATCH/swapped lab 6
    check "an attack that fools nobody is said, and ends with 1" is "$EXIT $(grep -c 'NOT AS TOLD' "$SAID")" '1 9'
    ln -s "$BIN/step7" "$SCRATCH/swapped/step7"
    # shellcheck disable=SC2016 # for the other shell
    printf '#!/bin/sh\nexec "%s" --public-key "$2" --issuer "$4" --resource "$6"\n' "$BIN/step7" >"$SCRATCH/swapped/step8"
    chmod +x "$SCRATCH/swapped/step8"
    CHECKS_BIN=$SCRATCH/swapped lab 8
    check "a step that is fooled is said, and ends with 1" is "$EXIT $(grep -c 'step8: NOT AS TOLD' "$SAID")" '1 6'
    ln -sf "$BIN/step5" "$SCRATCH/swapped/step6"
    CHECKS_BIN=$SCRATCH/swapped lab 6
    check "a server that does not start is no success" is "$EXIT $(grep -c 'as told' "$SAID")" '1 0'
}

build step1 step2 step3 step4 step5 step6 step7 step8 gen-token auth-server
export CHECKS_BIN=$BIN
usage
plays 2 4
plays 4 4
plays 6 9
plays 7 4
plays 8 6
honesty
finish
