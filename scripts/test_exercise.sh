#!/usr/bin/env bash
# Checks the exercises as a reader meets them: a start that fails at a named claim, a solution that passes, another one that
# passes, too, and work that is never lost. It works in a folder of its own, exercise.test/.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$ROOT" || exit 1
export CARGO_TARGET_DIR=$TARGET
export EXERCISE_FOLDER=$ROOT/exercise.test
# Another name than the reader's: cargo would take the one package for the other.
export EXERCISE_SERVER=server-under-test
SERVER=exercise.test/$EXERCISE_SERVER
SAID=$SCRATCH/said

# exercise [argument..]: runs the script; what it says goes to SAID, its status to EXIT.
exercise() {
    scripts/exercise.sh "$@" >"$SAID" 2>&1
    EXIT=$?
}

# said STATUS TEXT: whether the last run ended so and said this on one line.
said() {
    if [ "$EXIT" != "$1" ] || ! grep -qF -e "$2" "$SAID"; then
        echo "status $EXIT, and it said:"
        cat "$SAID"
        return 1
    fi
}

# stops_at CLAIM: whether the last check was red, for this claim, with a hint and a place to read.
stops_at() {
    if ! said 1 'not ok' || ! sed -n 's/^not ok [0-9]* - //p' "$SAID" | grep -qxF -e "$1" ||
        ! grep -q '^read: ' "$SAID" || ! grep -q '^hint 1 of ' "$SAID"; then
        cat "$SAID"
        return 1
    fi
}

holds() {
    said 0 "Exercise $1: every claim holds"
}

# What must not change: git's view, the lock file, and the repository's own programs.
repository() {
    git status --porcelain 2>/dev/null
    cksum Cargo.lock Cargo.toml "$BIN"/step[1-8] 2>/dev/null
}

# in_server FILE SED..: changes one of the reader's files.
in_server() {
    local file=$SERVER/$1
    shift
    sed "$@" "$file" >"$SCRATCH/changed" && ! cmp -s "$SCRATCH/changed" "$file" && cp "$SCRATCH/changed" "$file"
}

put_away() {
    rm -rf "$EXERCISE_FOLDER"
}

# ---- words ------------------------------------------------------------------------------------------------------

what_is_said() {
    local command
    exercise
    check "without an exercise: all of them, and how to begin" said 0 'scripts/exercise.sh start 2'
    check "every exercise has a title" is "$(grep -cE '^  ([2-8]|tool|rmcp|issuer) +[a-z]' "$SAID")" 10
    for command in check watch hint next solution reset claims; do
        exercise "$command"
        check "$command without an exercise -> status 1, and what to do" said 1 'no exercise was started yet: scripts/exercise.sh start'
    done
    for command in 'start 1' 'start 9' 'start six'; do
        # shellcheck disable=SC2086 # words
        exercise $command
        check "$command -> status 2, and which there are" said 2 'there are: 2 3 4 5 6 7 8 tool rmcp issuer'
    done
    for command in start 'start 2 3' 'check 6' 'watch now' 'next step' frobnicate; do
        # shellcheck disable=SC2086
        exercise $command
        check "$command -> status 2, and how to call it" said 2 'scripts/exercise.sh start|check|watch|hint'
    done
    exercise start 1
    check "start 1: there is nothing before it" said 2 'step 1 has nothing before it: scripts/exercise.sh start 2'
    mkdir "$EXERCISE_FOLDER"
    echo mine >"$EXERCISE_FOLDER/notes"
    exercise start 2
    check "a folder of somebody else is not taken" said 1 'move it away first'
    check "nor changed" is "$(ls "$EXERCISE_FOLDER")" notes
    put_away
    exercise verify-hints
    check "each claim has a hint, and each key fits a claim" is "$EXIT $(cat "$SAID")" '0 '
}

# ---- one exercise from its start to the next --------------------------------------------------------------------

a_step() {
    exercise start 3
    check "start names the goal" said 0 'Exercise 3: it describes what it offers'
    check "start names the files to write" said 0 'src/tools.rs'
    check "start says where your files are" said 0 "Your files: $SERVER/src. Then: scripts/exercise.sh check"
    check "start begins with the step before" cmp -s step2/src/mcp.rs "$SERVER/src/mcp.rs"
    exercise check
    check "check fails at the first claim that is new" stops_at "initialize declares tools and prompts, and nothing else"
    check "it says how far one is" said 1 'Exercise 3: 1 of 16 claims hold'
    exercise
    check "progress outlives a check" said 0 '1 of 16 claims hold'
    check "and what to do next is said" said 0 'It failed at: initialize declares tools and prompts'

    echo 'fn unfinished(' >>"$SERVER/src/mcp.rs"
    exercise check
    check "what does not compile -> status 1 and the compiler's message" said 1 "$EXERCISE_SERVER/src/mcp.rs:"
    check "and nothing else" is "$(grep -cE '^(not ok|ok|hint|read|Exercise)' "$SAID")" 0
    exercise start 4
    check "start leaves your work alone, and names reset" said 1 'scripts/exercise.sh reset 4'
    check "it is still there" grep -q 'fn unfinished' "$SERVER/src/mcp.rs"
    exercise next --foo
    check "next names an argument it does not take" said 2 "not '--foo'"
    exercise next
    check "next waits for the claims" said 1 'is not done'
    exercise solution
    check "the solution puts your work aside" said 0 'exercise.test/mine/3-1'
    check "where it is whole" grep -q 'fn unfinished' exercise.test/mine/3-1/src/mcp.rs
    check "the solution is the step" cmp -s step3/src/tools.rs "$SERVER/src/tools.rs"
    exercise next
    check "next waits for a check, too" said 1 'scripts/exercise.sh check'

    # Another solution: other names for the package, its program, a module and its functions, another order.
    in_server Cargo.toml -e 's/^name = .*/name = "gatekeeper"/' -e '/^\[lints\]/i\
[[bin]]\
name = "keeper"\
path = "src/main.rs"\

'
    mv "$SERVER/src/tools.rs" "$SERVER/src/toolbox.rs"
    sed -i.old -e 's/tools::list/toolbox::every_tool/' -e 's/crate::tools/crate::toolbox/' -e 's/^mod tools/mod toolbox/' \
        "$SERVER"/src/*.rs && rm -f "$SERVER"/src/*.old
    in_server src/toolbox.rs -e 's/fn list/fn every_tool/' -e 's/Returns the current time/Tells the time of day/'
    exercise check
    check "a different solution passes, whatever its package is called" holds 3
    check "the claims of its own and those before are counted apart" grep -qE ': 16 of 16, and [1-9][0-9]* of the steps before \(' "$SAID"
    exercise
    check "progress says what is done" said 0 'done, with our solution'

    in_server src/config.rs 's/= 256 \* 1024/= 128 * 1024/'
    exercise check
    check "what an earlier step claims is demanded still" stops_at "a body of 256 KiB -> 200"
    check "and it is said whose claim that is" said 1 'a claim of step 2 (scripts/checks/step2.sh)'
    in_server src/config.rs 's/= 128 \* 1024/= 256 * 1024/'
    exercise next
    check "a claim that failed bars the way to the next" said 1 'is not done'
}

# What a hint shows grows, and is remembered.
hints() {
    exercise reset 6
    check "reset puts your work aside" said 0 'exercise.test/mine/3-2'
    check "reset begins another exercise where told so" said 0 'Exercise 6: nobody gets in'
    exercise hint
    check "no hint before a check" said 1 'no claim has failed yet'
    exercise solution
    in_server src/auth.rs 's/validation.set_audience.*/validation.validate_aud = false;/'
    exercise check
    check "a check that was forgotten is found by its claim" stops_at "--break audience -> 401 invalid_token"
    check "its request can be copied" grep -qE "^    request:  curl -H .Content-Type: application/json. .*Authorization: Bearer TOKEN.* http://localhost:9000/mcp" "$SAID"
    check "with one hint of two" is "$(grep -c '^hint ' "$SAID")" 1
    check "and where to read" grep -qF rfc8707 "$SAID"
    check "no token is shown" is "$(grep -c eyJ "$SAID")" 0
    exercise hint
    check "hint unfolds the next one" is "$EXIT $(grep -c '^hint ' "$SAID")" '0 2'
    exercise hint
    check "after the last hint the solution is named" said 0 'scripts/exercise.sh solution'
}

# ---- beyond the steps -------------------------------------------------------------------------------------------

# beyond NAME CLAIM: from its start, which fails there, to our solution, which passes.
beyond() {
    exercise reset "$1"
    exercise check
    check "$1 fails at first" stops_at "$2"
    exercise solution
    exercise check
    check "our solution of $1 passes" holds "$1"
    check "and is not compared with itself" is "$(grep -c "git diff --no-index $SERVER.* \(exercise.test/ours\|examples/rmcp-server\)" "$SAID")" 1
}

beyond_the_steps() {
    beyond issuer "a token of the company gets in"
    in_server settings.env 's,=/groups,=/groups\,/roles,'
    exercise check
    check "issuer: a setting that is too generous is found" stops_at "the job titles in roles are no roles here: audit_log -> 403, the role forbids it: no challenge"
    beyond rmcp "the server starts"
    exercise next
    check "next leads on" said 0 "Exercise issuer: your company's issuer"
    beyond tool "tools/list has word_count, for a user"
    in_server src/rules.rs '/"word_count"/d'
    exercise check
    check "tool: without its row a tool does not exist" stops_at "tools/list has word_count, for a user"
    check "tool: and the hint names the row" grep -q 'row in' "$SAID"
    echo '// tried' >>"$SERVER/src/rules.rs"
    exercise check
    check "tool: a claim that fails again shows the next hint" grep -q '^hint 2 of 2' "$SAID"
    check "tool: the last hint names the solution" said 1 'That is every hint'
    exercise solution
    check "tool: our solution extends the tests, too" is "$(grep -l '"word_count"' "$SERVER"/src/tests/*.rs | wc -l | tr -d ' ')" 2
    in_server src/tools.rs '/"words": {/,/^}/s/"additionalProperties": false/"additionalProperties": true/'
    exercise check
    check "tool: a schema that is open is refused" stops_at "its schema says what comes back: words and characters, described, and nothing else"
    check "tool: the value that is wrong is shown" grep -q 'additionalProperties. is' "$SAID"
    check "tool: and what it must be" said 1 'true, expected false'
    exercise solution
    in_server src/tools.rs 's/    let words = /    assert!(arguments.text.is_empty(), "it fell over");\
    let words = /'
    exercise check
    check "tool: a panic is shown" said 1 'its log:  it fell over'
    exercise solution
    exercise check
    check "then the work that was put aside is compared" grep -q 'git diff --no-index exercise.test/mine/tool-[0-9]*/src exercise.test/ours/src' "$SAID"
}

# ---- watching ---------------------------------------------------------------------------------------------------

# With job control a child of a script can be interrupted as from a terminal.
watching() {
    local watcher
    set -m
    scripts/exercise.sh watch >"$SAID" 2>&1 &
    watcher=$!
    set +m
    CHILDREN="$CHILDREN $watcher"
    check "watch checks at once" patiently shows 'every claim holds' 1
    in_server src/tools.rs 's/split_whitespace/split_ascii_whitespace/'
    check "it says when" grep -qE 'Ctrl-C ends it\. [0-9:]{8}: building' "$SAID"
    check "and again at a save" patiently shows 'every claim holds' 2
    echo 'fn unfinished(' >>"$SERVER/src/tools.rs"
    check "also when it does not compile" patiently shows 'error' 1
    interrupt "$watcher"
    wait "$watcher"
    EXIT=$?
    check "Ctrl-C ends it cleanly" said 0 'No longer watching.'
    check "and leaves no process behind" nobody_of "$watcher"
}

# interrupt PID: Ctrl-C. Where whoever started this script has it ignored (nohup does), nobody below can listen to it, and
# the other polite signal has to do.
interrupt() {
    if bash -c 'trap "exit 0" INT; kill -INT $$; exit 1'; then
        kill -INT "$1"
    else
        kill -TERM "$1"
    fi
}

# nobody_of GROUP: whether no process of this group is left.
nobody_of() {
    ! kill -0 -- "-$1" 2>/dev/null
}

# shows TEXT N: whether it was said at least so often.
shows() {
    [ "$(grep -c -e "$1" "$SAID")" -ge "$2" ]
}

# As `eventually`, for what takes a build.
patiently() {
    local left=600
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || {
            cat "$SAID"
            return 1
        }
        sleep 0.2
    done
}

shells() {
    local script
    for script in scripts/exercises/*.sh; do
        check "$script is a shell script" bash -n "$script"
    done
    if here shellcheck; then
        check "shellcheck has nothing to say" shellcheck -x scripts/exercises/*.sh
    fi
    check "the Rust of the exercises is formatted" rustfmt --check --edition 2024 \
        scripts/exercises/rmcp/src/main.rs scripts/exercises/issuer/company/src/main.rs
}

build step3 gen-token
put_away
BEFORE=$(repository)
what_is_said
a_step
hints
beyond_the_steps
watching
check "nothing of the repository has changed" is "$(repository)" "$BEFORE"
put_away
shells
finish
