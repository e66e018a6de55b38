#!/usr/bin/env bash
# What servers can make of mcp-client: those of its tests that need no other program, one claim for each. It is there for
# scripts/break_it.sh, which brings a broken mcp-client along (CHECKS_BIN); `cargo test -p mcp-client` runs them, too.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need rust cc

TESTS='hostile manners output'
PLACE=$SCRATCH/place

# The tests are those of this workspace, whichever binary they judge. `NAME<tab>FILE` for each.
compiled() {
    local name options=
    for name in $TESTS; do
        options="$options --test $name"
    done
    # shellcheck disable=SC2086
    (cd "$ROOT" && cargo test --locked --quiet --no-run --message-format json --target-dir "$TARGET" -p mcp-client $options) |
        "$JQ" -r 'select(.reason == "compiler-artifact" and .executable != null and .profile.test)
            | .target.name + "\t" + .executable'
}

# A test looks for the program in the folder above its own, with cargo's list of what it was made from.
put_together() {
    local name file list=$PLACE/mcp-client.d
    mkdir -p "$PLACE/deps"
    cp "$BIN/mcp-client" "$PLACE/" || die "there is no $BIN/mcp-client"
    touch -t 200001010000 "$PLACE/source"
    printf '%s: %s\n' "${PLACE// /\\ }/mcp-client" "${PLACE// /\\ }/source" >"$list"
    compiled >"$SCRATCH/compiled"
    while IFS=$'\t' read -r name file <&6; do
        cp "$file" "$PLACE/deps/$name"
    done 6<"$SCRATCH/compiled"
}

# run NAME: a claim for each of its tests, or only for the one that somebody is after.
run() {
    local word test dots outcome wanted=()
    if [ -n "${CHECKS_UNTIL-}" ]; then
        wanted=(--exact "${CHECKS_UNTIL// /_}")
    fi
    "$PLACE/deps/$1" ${wanted[@]+"${wanted[@]}"} >"$SCRATCH/$1.log" 2>&1
    grep -a '^test ' "$SCRATCH/$1.log" >"$SCRATCH/claims"
    while read -r word test dots outcome <&6; do
        [ "$word $dots" = 'test ...' ] || continue
        if [ "$outcome" = ok ]; then
            pass "${test//_/ }"
        else
            grep -a -A 6 "^thread '$test'" "$SCRATCH/$1.log" | cut -c 1-300 | sed 's/^/    /'
            fail "${test//_/ }"
        fi
    done 6<"$SCRATCH/claims"
}

build mcp-client
put_together
for name in $TESTS; do
    [ -f "$PLACE/deps/$name" ] || die "the test $name was not compiled."
    run "$name"
done
finish
