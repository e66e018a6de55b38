#!/usr/bin/env bash
# Exercises: write the next step yourself, and let the real claims judge your server.
#
#   scripts/exercise.sh                where you are, and what to do next
#   scripts/exercise.sh start 6        makes exercise/ from step 5; also 2 to 8, tool, rmcp and issuer
#   scripts/exercise.sh check          builds your server and shows the first claim that fails
#   scripts/exercise.sh watch          the same again at each save, until Ctrl-C
#   scripts/exercise.sh hint           the next hint for that claim
#   scripts/exercise.sh next           the next exercise, once all claims hold; `next --mine`: on top of your own files
#   scripts/exercise.sh solution       puts your work aside and writes ours
#   scripts/exercise.sh reset          puts your work aside and begins again; `reset 7`: with another exercise
#   scripts/exercise.sh claims         everything that is claimed, in its order
#   scripts/exercise.sh verify-hints   for whoever writes hints: each claim has one, and each key fits a claim
#
# `check` ends with 1 if a claim fails and with 0 if none does. It starts your real program and asks it over HTTP, so a
# solution that looks quite different from ours passes, too. Nothing outside of exercise/ and the target folder is
# written, and git does not see exercise/. Whatever you wrote is never deleted: it is moved to exercise/mine/.
set -u

# shellcheck source-path=SCRIPTDIR source=toolchain.sh
. "$(dirname "${BASH_SOURCE[0]}")/toolchain.sh"
# shellcheck source-path=SCRIPTDIR source=exercises/workspace.sh
. "$ROOT/scripts/exercises/workspace.sh"

ALL='2 3 4 5 6 7 8 tool rmcp issuer'
TEXTS=$ROOT/scripts/exercises
# Both for the tests of this script, which must not meet what you are writing: cargo tells packages apart by the name of
# their folder within the workspace, and takes one for the other where that is the same.
EXERCISE=${EXERCISE_FOLDER:-$ROOT/exercise}
SERVER=$EXERCISE/${EXERCISE_SERVER:-server}
# As the reader sees them.
SHOWN=${EXERCISE#"$ROOT"/}
SHOWN_SERVER=${SERVER#"$ROOT"/}

SCRATCH=
CHILD=
on_exit() {
    end_child
    [ -z "$SCRATCH" ] || rm -rf "$SCRATCH"
}
trap on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Only ever a process that `apart` started.
end_child() {
    [ -n "$CHILD" ] || return 0
    kill -TERM "$CHILD" 2>/dev/null
    wait "$CHILD" 2>/dev/null
    CHILD=
}

# Runs a command so that a signal ends it at once: bash looks at signals between commands, and while it waits.
apart() {
    local status
    "$@" &
    CHILD=$!
    wait "$CHILD"
    status=$?
    CHILD=
    return "$status"
}

die() {
    echo "$*" >&2
    exit 1
}

usage() {
    echo "$1; scripts/exercise.sh start|check|watch|hint|next|solution|reset|claims, or nothing to see where you are" >&2
    exit 2
}

# ---- what is remembered -----------------------------------------------------------------------------------------

# One line for each event, in exercise/progress: the newest counts.
#   start NAME           this is the exercise at hand
#   held NAME N M        of M claims of its own N held at the last check
#   done NAME SUM        every claim held, with files of this checksum
#   shown NAME           the solution was written
#   hint NAME GROUP N    so many hints were unfolded
#   aside NAME PATH      where work of the reader was moved
remember() {
    echo "$*" >>"$EXERCISE/progress"
}

# recall FIELDS..: what follows these words in the newest line that begins with them.
recall() {
    [ -f "$EXERCISE/progress" ] || return 0
    awk -v words="$*" 'index($0 " ", words " ") == 1 { rest = substr($0, length(words) + 2) } END { print rest }' \
        "$EXERCISE/progress"
}

is_remembered() {
    [ -f "$EXERCISE/progress" ] && grep -q "^$*\( \|\$\)" "$EXERCISE/progress"
}

# The exercise at hand; ends the script where there is none.
current() {
    NAME=$(recall start)
    if [ -z "$NAME" ] || ! [ -d "$SERVER" ]; then
        die "no exercise was started yet: scripts/exercise.sh start 6"
    fi
}

# A checksum of everything the reader may change.
files_now() {
    (cd "$SERVER" && find . -type f -exec cksum {} + | sort | cksum | tr ' ' -)
}

# Whether the files are still those that this script has written.
is_untouched() {
    [ "$(files_now)" = "$(cat "$EXERCISE/.written" 2>/dev/null)" ]
}

is_exercise() {
    case " $ALL " in *" $1 "*) return ;; esac
    [ "$1" != 1 ] || echo "step 1 has nothing before it: scripts/exercise.sh start 2" >&2
    echo "there is no exercise '$1'; there are: $ALL" >&2
    exit 2
}

# ---- the texts --------------------------------------------------------------------------------------------------

title() {
    sed -n '1s/^# Exercise [^:]*: //p' "$TEXTS/$1.md"
}

# The goal and the files to write, without the hints; links as seen from the exercise's folder.
goal() {
    sed -e '/^## Hints/,$d' -e 's,](\.\./\.\./,](../,g' "$TEXTS/$1.md"
}

# Markdown for a terminal: links become their text and where they lead, paragraphs are broken before column 80.
plain() {
    sed -e 's|(\(\.\./\)*|(|g' -e 's/\[\([^]]*\)\](\([^)]*\))/\1 (\2)/g' | awk '
        function out() { if (text != "") print text; text = "" }
        /^```/ { out(); code = !code; next }
        code || /^[|#]/ || /^$/ { out(); print; next }
        /^(- |[0-9]+\. |read: |hint )/ { out() }
        { sub(/^ +/, ""); text = text (text == "" ? "" : " ") $0 }
        END { out() }
    ' | fold -s -w 78 | sed 's/ *$//'
}

# hints_of NAME: the hints as lines of `kind<tab>group<tab>text`: `key` is a claim, with * for any text, `read` is where
# to read, `hint` is one hint. Lines that are indented go on with the line before.
hints_of() {
    [ -f "$TEXTS/$1.md" ] || return 0
    awk '
        function out() { if (kind != "") print kind "\t" group "\t" text; kind = "" }
        /^## / { hints = ($0 == "## Hints") }
        !hints { next }
        /^### / { out(); group++ }
        /^- `/ { out(); kind = "key"; text = $0; sub(/^- `/, "", text); sub(/`$/, "", text) }
        /^Read: / { out(); kind = "read"; text = substr($0, 7) }
        /^[0-9]+\. / { out(); kind = "hint"; text = $0; sub(/^[0-9]+\. /, "", text) }
        /^  +[^ ]/ && kind != "" { more = $0; sub(/^ +/, "", more); text = text " " more }
        END { out() }
    ' "$TEXTS/$1.md"
}

# like CLAIM KEY: whether a claim is what a key means.
like() {
    local pattern=$2 special
    for special in \\ '?' '[' '('; do
        pattern=${pattern//"$special"/"\\$special"}
    done
    # shellcheck disable=SC2053
    [[ $1 == $pattern ]]
}

# group_of NAME CLAIM: the number of the first group of hints with a key for this claim.
group_of() {
    local kind group text
    while IFS=$'\t' read -r kind group text; do
        if [ "$kind" = key ] && like "$2" "$text"; then
            echo "$group"
            return
        fi
    done < <(hints_of "$1")
}

# hints_in NAME GROUP: how many hints a group has.
hints_in() {
    hints_of "$1" | awk -F '\t' -v group="$2" '$1 == "hint" && $2 == group { n++ } END { print n + 0 }'
}

# tell NAME GROUP COUNT: the first hints of a group, and then where to read: that may be our solution.
tell() {
    local kind group text number=0 all places=
    all=$(hints_in "$1" "$2")
    {
        while IFS=$'\t' read -r kind group text; do
            [ "$group" = "$2" ] || continue
            case $kind in
            read) places=$text ;;
            hint)
                number=$((number + 1))
                [ "$number" -gt "$3" ] || echo "hint $number of $all: $text"
                ;;
            esac
        done < <(hints_of "$1")
        [ -z "$places" ] || echo "read: $places"
    } | plain
}

# ---- making an exercise -----------------------------------------------------------------------------------------

# at_work WHAT: on a terminal, what takes a while; the next such line or `at_work ''` takes its place.
at_work() {
    [ ! -t 1 ] || printf '\r\033[K%s' "$1"
}

# The workspace around the server.
write_workspace() {
    set -- "$1" "${SERVER##*/}"
    [ "$1" != issuer ] || set -- "$@" company
    shift
    workspace_manifest .. "$@" >"$EXERCISE/Cargo.toml"
}

# The root's lock file names every version that a step may need, also those of a dependency that is still to be added.
# Cargo leaves out what is not used; where the manifest changes, the whole file has to be there again.
write_lock() {
    local now
    now=$(cat "$ROOT/Cargo.lock" "$ROOT/Cargo.toml" "$SERVER/Cargo.toml" | cksum)
    if [ "$(cat "$EXERCISE/.locked" 2>/dev/null)" != "$now" ] || ! [ -f "$EXERCISE/Cargo.lock" ]; then
        write_workspace "$1"
        cp "$ROOT/Cargo.lock" "$EXERCISE/Cargo.lock"
        echo "$now" >"$EXERCISE/.locked"
    fi
}

# copy_package FOLDER NAME: its sources and manifest become the server, as the package NAME.
copy_package() {
    rm -rf "$SERVER"
    mkdir -p "$SERVER" || exit 1
    cp -R "$1/src" "$SERVER/src" || exit 1
    sed "s/^name = \"${1##*/}\"\$/name = \"$2\"/" "$1/Cargo.toml" >"$SERVER/Cargo.toml"
}

# write_start NAME: the files that an exercise begins with.
write_start() {
    case $1 in
    [2-8]) copy_package "$ROOT/step$(($1 - 1))" "step$1" ;;
    tool) copy_package "$ROOT/step8" step8 ;;
    rmcp) copy_package "$TEXTS/rmcp" rmcp-server ;;
    issuer)
        copy_package "$ROOT/step8" step8
        cp "$TEXTS/issuer/settings.env" "$SERVER/"
        ;;
    esac
}

# What stands in for the company in the exercise `issuer`.
write_company() {
    [ "$1" = issuer ] || return 0
    rm -rf "$EXERCISE/company"
    cp -R "$TEXTS/issuer/company" "$EXERCISE/company" || exit 1
}

# write_solution NAME: the files as they are when every claim holds.
write_solution() {
    case $1 in
    [2-8]) copy_package "$ROOT/step$1" "step$1" ;;
    rmcp) copy_package "$ROOT/examples/rmcp-server" rmcp-server ;;
    *)
        need git
        write_start "$1"
        # Our folder is no part of the repository around it.
        (cd "$SERVER" && GIT_CEILING_DIRECTORIES=$EXERCISE git apply "$TEXTS/$1.patch") ||
            die "the solution of $1 does not apply any more: $TEXTS/$1.patch"
        ;;
    esac
}

# begin NAME: the exercise from its start.
begin() {
    mkdir -p "$EXERCISE"
    write_start "$1"
    write_company "$1"
    write_workspace "$1"
    rm -f "$EXERCISE/.locked" "$EXERCISE/.failed"
    files_now >"$EXERCISE/.written"
    goal "$1" >"$EXERCISE/README.md"
    remember start "$1"
    sed 's,^# ,,' "$EXERCISE/README.md" | plain
    echo "Your files: $SHOWN_SERVER/src. Then: scripts/exercise.sh check, or scripts/exercise.sh watch"
}

# Moves the reader's work out of the way, and says where to.
put_aside() {
    local number=1 name=$1
    [ -d "$SERVER" ] || return 0
    is_untouched && return
    while [ -e "$EXERCISE/mine/$name-$number" ]; do
        number=$((number + 1))
    done
    mkdir -p "$EXERCISE/mine"
    mv "$SERVER" "$EXERCISE/mine/$name-$number" || exit 1
    remember aside "$name" "mine/$name-$number"
    echo "Your files are now in $SHOWN/mine/$name-$number."
}

start() {
    is_exercise "$1"
    if [ -e "$EXERCISE" ] && ! [ -f "$EXERCISE/progress" ]; then
        die "$SHOWN/ is there, and not of this script: move it away first."
    fi
    if [ -d "$SERVER" ] && ! is_untouched; then
        die "$SHOWN_SERVER/ holds your work on $(recall start), and stays as it is. Put it aside and begin: scripts/exercise.sh reset $1"
    fi
    begin "$1"
}

reset() {
    current
    is_exercise "${1:-$NAME}"
    put_aside "$NAME"
    begin "${1:-$NAME}"
}

solution() {
    current
    put_aside "$NAME"
    write_solution "$NAME"
    rm -f "$EXERCISE/.locked" "$EXERCISE/.failed"
    files_now >"$EXERCISE/.written"
    remember shown "$NAME"
    echo "$SHOWN_SERVER/ is now our solution of $NAME. See that it holds: scripts/exercise.sh check"
}

# The next exercise: from the repository's own files, or with --mine on top of what the reader has.
next() {
    local following
    case ${1-} in
    '' | --mine) ;;
    *) usage "next takes nothing, or --mine, and not '$1'" ;;
    esac
    current
    [ -f "$EXERCISE/.failed" ] || [ "$(recall "done" "$NAME")" = "$(files_now)" ] ||
        die "whether exercise $NAME is done is not known of these files: scripts/exercise.sh check"
    [ ! -f "$EXERCISE/.failed" ] ||
        die "exercise $NAME is not done: a claim failed at the last check: scripts/exercise.sh check"
    following=${ALL#*"$NAME"}
    following=${following# }
    following=${following%% *}
    [ -n "$following" ] || {
        echo "That was the last exercise. scripts/exercise.sh shows them all."
        return
    }
    case ${1-} in
    '')
        put_aside "$NAME"
        begin "$following"
        ;;
    --mine) begin_on_top "$following" ;;
    esac
}

begin_on_top() {
    case $1 in
    [2-8] | tool) ;;
    *) die "$1 begins with files of its own: scripts/exercise.sh next" ;;
    esac
    sed -i.old "s/^name = \"step$(($1 - 1))\"\$/name = \"step$1\"/" "$SERVER/Cargo.toml" 2>/dev/null
    rm -f "$SERVER/Cargo.toml.old" "$EXERCISE/.written"
    goal "$1" >"$EXERCISE/README.md"
    remember start "$1"
    sed 's,^# ,,' "$EXERCISE/README.md" | plain
    echo "Your own files stay as they are: $SHOWN_SERVER/src. Then: scripts/exercise.sh check"
}

# ---- checking ---------------------------------------------------------------------------------------------------

# Builds the reader's program; on failure shows what the compiler says, and nothing else.
build() {
    write_lock "$1"
    export CARGO_TERM_COLOR=never
    [ ! -t 1 ] || CARGO_TERM_COLOR=always
    apart build_beside "$EXERCISE" --message-format=json-render-diagnostics \
        >"$SCRATCH/built" 2>"$SCRATCH/compiler" || {
        at_work ''
        cat "$SCRATCH/compiler" >&2
        exit 1
    }
    mkdir -p "$SCRATCH/bin"
    link_program "$SERVER" "$(program_of "$1")"
    [ "$1" != issuer ] || link_program "$EXERCISE/company" company
    link_tools
}

# link_program PACKAGE NAME: the program that this package has become, whatever the reader calls it, under NAME.
link_program() {
    local found
    # shellcheck disable=SC2016 # jq's variable
    found=$("$JQ" -r --arg manifest "$1/Cargo.toml" \
        'select(.reason == "compiler-artifact" and .manifest_path == $manifest and .executable != null) | .executable' \
        "$SCRATCH/built" | tail -n 1)
    [ -n "$found" ] || die "the package in ${1#"$ROOT"/} has no program: it needs src/main.rs"
    ln -s "$found" "$SCRATCH/bin/$2"
}

program_of() {
    case $1 in
    [2-8]) echo "step$1" ;;
    rmcp) echo rmcp-server ;;
    *) echo step8 ;;
    esac
}

# What the claims need beside the server, from the repository: CHECKS_BIN has it, or it is built.
link_tools() {
    local from=${CHECKS_BIN-}
    if [ -z "$from" ]; then
        from=$TARGET/debug
        (cd "$ROOT" && apart cargo build --locked --quiet --target-dir "$TARGET" -p gen-token) || exit 1
    fi
    ln -s "$from/gen-token" "$SCRATCH/bin/gen-token"
}

# How the server calls itself: by the name of its package, which is the reader's to choose.
service() {
    sed -n 's/^name *= *"\(.*\)".*/\1/p' "$SERVER/Cargo.toml" | head -n 1
}

check() {
    local began=$SECONDS sum total status
    current
    need rust curl:7.82 cc
    find_jq
    SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/exercise.XXXXXX") || exit 1
    sum=$(files_now)
    at_work "building your server .."
    build "$NAME"
    at_work "asking your server .."
    total=$(claims "$NAME" | wc -l)
    CHECKS_BIN=$SCRATCH/bin CHECKS_FIRST=yes CHECKS_SERVICE=$(service) CHECKS_SETTINGS=$SERVER/settings.env \
        apart "$TEXTS/claims.sh" "$NAME" >"$SCRATCH/claims" 2>&1
    status=$?
    at_work ''
    judge "$status" "$((total))" "$sum" "$((SECONDS - began))"
}

# judge STATUS TOTAL SUM SECONDS: tells how it went, and remembers it.
judge() {
    local held failed section
    section=$(awk '/^# step / { section = $3 } /^not ok / { print section; exit }' "$SCRATCH/claims")
    held=$(awk -v own="$NAME" '/^# step / { other = ($3 != own) } /^ok / && !other { n++ } END { print n + 0 }' "$SCRATCH/claims")
    failed=$(sed -n 's/^not ok [0-9]* - //p' "$SCRATCH/claims" | head -n 1)
    [ "$held" -le "$2" ] || held=$2
    if [ "$1" -eq 0 ] && [ -z "$failed" ]; then
        rm -f "$EXERCISE/.failed"
        remember held "$NAME" "$2" "$2"
        remember "done" "$NAME" "$3"
        echo "Exercise $NAME: every claim holds: $2 of $2$(of_earlier "$2") ($4 s)."
        echo "Next: scripts/exercise.sh next. To compare: $(comparison)"
        return
    fi
    remember held "$NAME" "$held" "$2"
    show_failure "$held" "$2" "$failed" "${section:-$NAME}" "$3"
    exit 1
}

# of_earlier OWN: how many of the claims that held are those of the steps before.
of_earlier() {
    local all
    all=$(grep -c '^ok ' "$SCRATCH/claims")
    [ "$all" -le "$1" ] || echo ", and $((all - $1)) of the steps before"
}

# Our solution where it is no folder of the repository.
write_ours() {
    local SERVER=$EXERCISE/ours
    write_solution "$NAME" >&2
}

# A command that shows the reader's files beside ours.
comparison() {
    local theirs=$SHOWN_SERVER ours aside inside=/src
    case $NAME in
    [2-8]) ours=step$NAME ;;
    rmcp) ours=examples/rmcp-server ;;
    *)
        write_ours
        ours=$SHOWN/ours
        ;;
    esac
    # There the settings are a part of the solution.
    [ "$NAME" != issuer ] || inside=
    # What is checked is ours: then the reader's work is what was put aside for it.
    aside=$(recall aside "$NAME")
    if is_remembered shown "$NAME" && is_untouched && [ -n "$aside" ]; then
        theirs=$SHOWN/$aside
    fi
    echo "git diff --no-index $theirs$inside $ours$inside"
}

NO_MORE='That is every hint. Our solution: scripts/exercise.sh solution (your files are kept)'

# What the first claim that failed says of itself. The server is gone by now: the request names the port of the README.
failure() {
    awk '/^not ok / { shown = 1; next } /^(ok|#) |^[0-9]+ passed/ { shown = 0 } shown' "$SCRATCH/claims" |
        sed '/^    request:/s|http://127\.0\.0\.1:[0-9]*|http://localhost:9000|g'
}

# Broken before column 80; a request stays on one line, so that it can be copied.
narrow() {
    local line
    while IFS= read -r line; do
        case $line in
        '    request:'*) printf '%s\n' "$line" ;;
        *) printf '%s\n' "$line" | cut -c 1-600 | fold -s -w 79 ;;
        esac
    done
}

# what_more COUNT ALL: what there is when so many hints were shown.
what_more() {
    if [ "$1" -lt "$2" ]; then
        echo "More: scripts/exercise.sh hint"
    else
        echo "$NO_MORE"
    fi
}

# hints_for NAME GROUP AGAIN: how many hints to show: one at first, one more when the claim fails again in other files.
hints_for() {
    local count all
    all=$(hints_in "$1" "$2")
    count=$(recall hint "$1" "$2")
    count=$((${count:-1} + ${3:-0}))
    [ "$count" -le "$all" ] || count=$all
    echo "$count"
}

show_failure() {
    local from=$NAME group count again=0
    case $4 in [1-8]) from=$4 ;; esac
    if [ "$(cut -f 1,2 "$EXERCISE/.failed" 2>/dev/null)" = "$from"$'\t'"$3" ] && [ "$(cut -f 3 "$EXERCISE/.failed")" != "$5" ]; then
        again=1
    fi
    [ -z "$3" ] || printf '%s\t%s\t%s\n' "$from" "$3" "$5" >"$EXERCISE/.failed"
    printf 'Exercise %s: %s of %s claims hold. The first that does not:\n\n' "$NAME" "$1" "$2"
    if [ -z "$3" ]; then
        cat "$SCRATCH/claims"
        return
    fi
    grep -m 1 '^not ok ' "$SCRATCH/claims"
    failure | sed 's/eyJ[A-Za-z0-9_.-]*/TOKEN/g' | narrow
    echo
    [ "$from" = "$NAME" ] || echo "This held before you began: it is a claim of step $from (scripts/checks/step$from.sh)."
    group=$(group_of "$from" "$3")
    if [ -n "$group" ]; then
        count=$(hints_for "$from" "$group" "$again")
        remember hint "$from" "$group" "$count"
        tell "$from" "$group" "$count"
        what_more "$count" "$(hints_in "$from" "$group")"
    fi
}

hint() {
    local from claim group count all
    current
    [ -f "$EXERCISE/.failed" ] || die "no claim has failed yet: scripts/exercise.sh check"
    IFS=$'\t' read -r from claim _ <"$EXERCISE/.failed"
    group=$(group_of "$from" "$claim")
    [ -n "$group" ] || die "there is no hint for: $claim"
    all=$(hints_in "$from" "$group")
    count=$(($(recall hint "$from" "$group") + 1))
    echo "$claim"
    [ "$count" -le "$all" ] || count=$all
    tell "$from" "$group" "$count"
    what_more "$count" "$all"
    remember hint "$from" "$group" "$count"
}

# claims NAME: everything that is claimed, one a line.
claims() {
    "$TEXTS/claims.sh" --list "$1"
}

# Whether the hints and the claims of every exercise fit: each claim has a hint, and each key fits a claim.
verify_hints() {
    local name claim kind group text wrong=0
    for name in $ALL; do
        claims "$name" >"$SCRATCH/names"
        while IFS= read -r claim; do
            [ -n "$(group_of "$name" "$claim")" ] || {
                echo "$name: no hint for the claim: $claim"
                wrong=1
            }
        done <"$SCRATCH/names"
        while IFS=$'\t' read -r kind group text; do
            if [ "$kind" = key ] && ! names_one "$text"; then
                echo "$name: no claim for the key: $text"
                wrong=1
            fi
        done < <(hints_of "$name")
    done
    return "$wrong"
}

# names_one KEY: whether a key fits any of the claims in hand.
names_one() {
    local claim
    while IFS= read -r claim; do
        ! like "$claim" "$1" || return 0
    done <"$SCRATCH/names"
    return 1
}

# How long nothing may change before watching ends: nobody is there any more.
PATIENCE=7200

watch() {
    local seen='' now idle=0
    current
    trap 'echo; echo "No longer watching."; exit 0' INT TERM
    while [ "$idle" -lt "$PATIENCE" ]; do
        now=$(files_now)
        if [ "$now" != "$seen" ]; then
            seen=$now idle=0
            # What is being checked is of yesterday.
            end_child
            [ ! -t 1 ] || printf '\033[2J\033[H'
            echo "# watching $SHOWN_SERVER; Ctrl-C ends it. $(date +%H:%M:%S): building .."
            "$0" check &
            CHILD=$!
        fi
        sleep 1
        idle=$((idle + 1))
    done
    echo "Nothing has changed for $((PATIENCE / 3600)) hours: no longer watching."
}

# ---- where the reader is ----------------------------------------------------------------------------------------

state_of() {
    local held
    if is_remembered "done" "$1"; then
        is_remembered shown "$1" && echo "done, with our solution" || echo "done"
        return
    fi
    held=$(recall held "$1")
    if [ -n "$held" ]; then
        echo "${held% *} of ${held#* } claims hold"
    elif is_remembered start "$1"; then
        echo "started"
    fi
}

overview() {
    local name here
    here=$(recall start)
    for name in $ALL; do
        printf '%1s %-7s %-52s %s\n' "$([ "$name" = "$here" ] && echo '>')" "$name" "$(title "$name")" "$(state_of "$name")"
    done | sed 's/ *$//'
    echo
    if [ -z "$here" ] || ! [ -d "$SERVER" ]; then
        echo "To begin: scripts/exercise.sh start 2, or wherever you like: start 6"
    elif [ -f "$EXERCISE/.failed" ]; then
        echo "Go on in $SHOWN_SERVER/src. It failed at: $(cut -f 2 "$EXERCISE/.failed")"
        echo "Then: scripts/exercise.sh check (or hint, watch, solution)"
    elif [ "$(recall "done" "$here")" = "$(files_now)" ]; then
        echo "Every claim of $here holds: scripts/exercise.sh next"
    else
        echo "The goal is in $SHOWN/README.md. Go on in $SHOWN_SERVER/src, then: scripts/exercise.sh check"
    fi
}

# ---- the command line -------------------------------------------------------------------------------------------

command=${1-}
[ $# -eq 0 ] || shift
case $command:$# in
:*) overview ;;
start:1) start "$1" ;;
start:*) usage "start takes one exercise: ${ALL// /, }" ;;
reset:[01]) reset "${1-}" ;;
next:[01]) next "${1-}" ;;
check:0 | watch:0 | hint:0 | solution:0) "$command" ;;
claims:0)
    current
    claims "$NAME"
    ;;
verify-hints:0)
    SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/exercise.XXXXXX") || exit 1
    verify_hints
    ;;
help:* | -h:* | --help:*) sed -n '2,/^set -u/{/^set -u/d;s/^# \{0,1\}//;p;}' "$0" ;;
reset:* | next:* | check:* | watch:* | hint:* | solution:* | claims:*)
    usage "$command does not take: $*"
    ;;
*) usage "there is no command '$command'" ;;
esac
