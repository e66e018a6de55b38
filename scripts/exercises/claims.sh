#!/usr/bin/env bash
# Runs the claims of one exercise: `exercise.sh check` does so with the reader's binary.
#
#   CHECKS_BIN=DIR scripts/exercises/claims.sh 6      step 6's claims, then those of steps 1 to 5: nothing is taken away
#   CHECKS_BIN=DIR scripts/exercises/claims.sh tool   those of an exercise beyond the steps, in tool.sh
#   scripts/exercises/claims.sh --list 6              the claims that are this exercise's own, without a server
#
# CHECKS_FIRST=yes ends at the first claim that fails; CHECKS_SERVICE=NAME is how the server calls itself.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

LIST=no
if [ "${1-}" = --list ]; then
    LIST=yes
    shift
fi
EXERCISE=${1-}

# The first start is a claim of its own: most exercises begin with a flag that is not there yet.
start() {
    launch "$@"
    if eventually settled && ! ended "$PID" && eventually healthy; then
        [ "$SERVERS" -gt 1 ] || pass "the server starts"
        return
    fi
    fail "the server starts"
    printf '    command:  %s\n' "$(printf '%q ' "$@")"
    printf '    wrong:    it ends, or never says where it is listening\n'
    tail -n 6 "$LOG" | sed 's/^/    its log:  /'
    finish
}

# ---- the eight steps --------------------------------------------------------------------------------------------

# Those of the step itself come first: they are what the exercise is about.
claims_of_step() {
    local number
    STEP=$1
    SERVICE=${SERVICE:-step$STEP}
    load_exceptions "$STEP"
    for number in 1 2 3 4 5 6 7 8; do
        # shellcheck source=/dev/null
        [ "$number" -gt "$STEP" ] || . "$ROOT/scripts/checks/step$number.sh"
    done
    echo "# step $STEP"
    start_usual
    [ "$STEP" -lt 8 ] || put_the_wait_off
    "checks_of_step$STEP"
    [ "$LIST" = no ] || return
    for ((number = 1; number < STEP; number++)); do
        echo "# step $number"
        "checks_of_step$number"
    done
    echo "# step $STEP"
    [ "$STEP" -lt 8 ] || short_lived=$SHORT_LIVED ends=$ENDS wait_for_the_end
    check "every exception is one of these claims" exceptions_used "$STEP"
}

# Step 8 waits half a minute for a token to end. Until then there is enough else to check.
put_the_wait_off() {
    eval "wait_for_the_end$(declare -f expired_tokens | tail -n +2 | sed '1s/^/ () /')"
    # shellcheck disable=SC2154 # both are the caller's
    [ "$LIST" = yes ] || expired_tokens() {
        SHORT_LIVED=$short_lived ENDS=$ends
    }
}

# ---- the list ---------------------------------------------------------------------------------------------------

# What is claimed, without asking anybody: each function that would talk to a server does nothing.
only_names() {
    URL=http://127.0.0.1:9000
    RESOURCE=http://localhost:9000/mcp
    LOG=/dev/null
    VALUE=''
    for name in launch stop request build make_keys token as part base64url header challenge eventually operate; do
        eval "$name() { :; }"
    done
    ended() {
        return 1
    }
    start() {
        [ -n "${STARTED-}" ] || echo "the server starts"
        STARTED=yes
    }
    expect() {
        echo "$1"
    }
    check() {
        echo "$1"
    }
    # The wait for a token to end is over at once.
    sleep() {
        ends=0
    }
}

case $EXERCISE in
[2-8]) what=claims_of_step ;;
tool | rmcp | issuer)
    # shellcheck source=/dev/null
    . "$ROOT/scripts/exercises/$EXERCISE.sh"
    what=claims_of_exercise
    ;;
*) die "there is no exercise '$EXERCISE': 2 to 8, tool, rmcp or issuer." ;;
esac
if [ "$LIST" = yes ]; then
    only_names
    "$what" "$EXERCISE" 2>/dev/null | grep -v '^# '
    FINISHED=yes
    exit 0
fi
"$what" "$EXERCISE"
finish
