#!/usr/bin/env bash
# Breaks the programs on purpose, one flaw at a time, and demands that their test scripts notice.
#
#   scripts/break_it.sh                               every patch in scripts/sabotage
#   scripts/break_it.sh step6-audience-unchecked ..   only these
#   scripts/break_it.sh --list                        what there is, and what each one breaks
#
# Each patch says at its top which step it breaks (or which script of which program must notice: `Script`, `Binary`, and
# `With` for the programs that the script needs beside it), what is wrong then, and which claim must turn red. It is applied to
# a copy of the workspace in target/sabotage, never to your files. To try one out by hand:
#   git apply scripts/sabotage/step6-audience-unchecked.patch; scripts/test_step6.sh; git checkout step6
#
# A new one: change a step, `git diff step6 >scripts/sabotage/step6-NAME.patch`, undo, write its head as CONTRIBUTING.md shows.
set -u

PATCHES=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/sabotage

# field NAME PATCH: what a patch says of itself.
field() {
    sed -n "s/^# $1: //p" "$PATCHES/$2.patch"
}

names() {
    local patch
    for patch in "$PATCHES"/*.patch; do
        basename "$patch" .patch
    done
}

# What asks for no check is answered before any is counted.
for name; do
    case $name in
    -h | --help)
        awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "${BASH_SOURCE[0]}"
        exit 0
        ;;
    --list)
        for patch in $(names); do
            printf '%-42s  %s\n' "$patch" "$(field Breaks "$patch")"
        done
        exit 0
        ;;
    *)
        [ -f "$PATCHES/$name.patch" ] || {
            echo "there is no sabotage '$name'; scripts/break_it.sh --list names them." >&2
            exit 2
        }
        ;;
    esac
done

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PLACE=$TARGET/sabotage
COPY=$PLACE/workspace

# The script that must turn red, and the program that it tests.
script() {
    local step
    step=$(field Step "$1")
    if [ -n "$step" ]; then
        echo "test_step$step.sh"
    else
        field Script "$1"
    fi
}

binary() {
    local step
    step=$(field Step "$1")
    if [ -n "$step" ]; then
        echo "step$step"
    else
        field Binary "$1"
    fi
}

# ---- making the broken binaries ---------------------------------------------------------------------------------

# A copy of the sources as they are now, and a target folder of its own which begins with what is compiled already:
# dependencies only, by hard links. The workspace's own binaries are made anew, so nothing of yours is written over.
prepare() {
    local now long='it was built there before, so this takes less than a minute'
    rm -rf "$COPY" "${PLACE:?}/bin"
    mkdir -p "$COPY" "$PLACE/bin"
    (cd "$ROOT" && cp -Rp Cargo.toml Cargo.lock step[1-8] examples tools "$COPY/") || die "the workspace cannot be copied."
    now=$(rustc --version && cksum <"$ROOT/Cargo.lock")
    if [ "$(cat "$PLACE/made-for" 2>/dev/null)" != "$now" ]; then
        long='the first time this takes two to five minutes; later, less than one'
        rm -rf "$PLACE/target"
        mkdir -p "$PLACE/target/debug"
        seed
        echo "$now" >"$PLACE/made-for"
    fi
    echo "# building the workspace once more, in $PLACE: $long"
    compile || die "the workspace does not build: $(tail -n 20 "$SCRATCH/compile.log")"
}

seed() {
    local from=$TARGET/debug to=$PLACE/target/debug member
    [ -d "$from/.fingerprint" ] || return 0
    cp -Rp "$from/.fingerprint" "$to/"
    cp -Rl "$from/deps" "$from/build" "$to/" 2>/dev/null || cp -Rp "$from/deps" "$from/build" "$to/"
    for member in "$ROOT"/step[1-8] "$ROOT"/examples/* "$ROOT"/tools/*; do
        member=$(basename "$member")
        rm -rf "$to/.fingerprint/$member"-* "$to/deps/$member"-* "$to/deps/${member//-/_}"-* "$to/deps/lib${member//-/_}"-*
    done
}

# All members at a time, because cargo chooses the features of dependencies by what is built together.
compile() {
    (cd "$COPY" && CARGO_TERM_COLOR=never cargo build --locked --quiet --workspace --bins --target-dir "$PLACE/target") \
        >"$SCRATCH/compile.log" 2>&1
}

# The copy is no part of the repository around it.
apply() {
    (cd "$COPY" && GIT_CEILING_DIRECTORIES=$PLACE git apply "$@") 2>&1
}

# For each name one line: the name, and nothing or what went wrong. The binaries are put aside, so that the next are
# built while these are checked.
build_all() {
    local name problem program
    for name; do
        problem=
        if ! apply "$PATCHES/$name.patch" >"$SCRATCH/apply.log"; then
            problem="it does not apply: $(head -n 1 "$SCRATCH/apply.log")"
        else
            mkdir -p "$PLACE/bin/$name"
            if compile; then
                for program in "$(binary "$name")" gen-token $(field With "$name"); do
                    cp "$PLACE/target/debug/$program" "$PLACE/bin/$name/"
                done
            else
                problem="it does not build: $(grep -m 1 '^error' "$SCRATCH/compile.log")"
            fi
            apply -R "$PATCHES/$name.patch" >/dev/null
        fi
        printf '%s\t%s\n' "$name" "$problem"
    done
}

# ---- judging ----------------------------------------------------------------------------------------------------

# The script must end in failure, and the claim that the patch names must be what failed.
demand_red() {
    local name=$1 script red status
    script=$(script "$name")
    red=$(field Red "$name")
    CHECKS_BIN=$PLACE/bin/$name CHECKS_FROM=$(field Step "$name") CHECKS_UNTIL=$red \
        "$ROOT/scripts/$script" >"$SCRATCH/red.log" 2>&1 </dev/null
    status=$?
    rm -rf "${PLACE:?}/bin/$name"
    if [ "$status" -ne 0 ] && grep -Eq '^not ok [0-9]+ - ' "$SCRATCH/red.log" &&
        sed -n 's/^not ok [0-9]* - //p' "$SCRATCH/red.log" | grep -qxF -e "$red"; then
        pass "sabotage $name turns $script red at: $red"
    else
        fail "sabotage $name turns $script red at: $red"
        printf '    breaks:   %s\n    status:   %s\n' "$(field Breaks "$name")" "$status"
        grep -Ev '^ok ' "$SCRATCH/red.log" | tail -n 20 | sed 's/^/    /'
    fi
}

# shellcheck disable=SC2046 # names have no spaces
[ $# -gt 0 ] || set -- $(names)

prepare
mkfifo "$SCRATCH/built"
build_all "$@" >"$SCRATCH/built" &
CHILDREN="$CHILDREN $!"
while IFS=$'\t' read -r name problem <&6; do
    if [ -n "$problem" ]; then
        fail "sabotage $name: $problem"
    else
        demand_red "$name"
    fi
done 6<"$SCRATCH/built"
check "every sabotage was tried" is "$((PASSED + FAILED))" "$#"
finish
