#!/usr/bin/env bash
# Checks the habits of the workspace: what no compiler looks at, and what a new member or step easily forgets.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$ROOT" || exit 1

# inherits MANIFEST KEY: as the table [lints] or as a line of [package].
inherits() {
    if [ "$2" = lints ]; then
        grep -A 1 -x '\[lints\]' "$1" | grep -qx 'workspace = true'
    else
        grep -qx "$2.workspace = true" "$1"
    fi
}

members() {
    local manifest key
    for manifest in step*/Cargo.toml tools/*/Cargo.toml; do
        for key in lints edition rust-version license version publish; do
            check "$manifest takes its $key from the workspace" inherits "$manifest" "$key"
        done
        check "$manifest names no version of a dependency" no_version "$manifest"
    done
}

# Versions stand in one place: a dependency says `name.workspace = true` or `{ workspace = true, .. }`.
no_version() {
    ! awk '/^\[/ { section = $0 } section ~ /dependencies/ && /=/ && !/workspace = true/ { print; wrong = 1 } END { exit !wrong }' "$1"
}

steps() {
    local step
    for step in step[1-8]; do
        check "$step: no step number in a source file" no_number "$step"
    done
    for step in 2 3 4 5 6 7 8 whoami; do
        check "scripts/diff_step.sh $step shows a difference" shows_a_diff "$step"
    done
    for step in '' 1 9 x '5 6' --stat; do
        # shellcheck disable=SC2086 # words, on purpose
        check "scripts/diff_step.sh [$step] -> status 2" is "$(scripts/diff_step.sh $step >/dev/null 2>&1 || echo $?)" 2
    done
}

no_number() {
    ! grep -rnE '\bstep ?[0-9]' "$1/src"
}

shows_a_diff() {
    scripts/diff_step.sh "$1" >"$SCRATCH/diff" && grep -q '^+++ ' "$SCRATCH/diff" &&
        scripts/diff_step.sh "$1" --stat >"$SCRATCH/stat" && grep -qE '^  lines: \+[1-9]' "$SCRATCH/stat" &&
        ! grep -q '^+++ ' "$SCRATCH/stat"
}

secrets() {
    local path
    for path in keys/private.pem keys/public.pem .data/auth-server.db target/debug/step1; do
        check "git ignores $path" git check-ignore -q "$path"
    done
    check "no key is in git" is "$(git ls-files '*.pem' '*.key' '*.db')" ''
}

shells() {
    local script
    for script in scripts/*.sh scripts/checks/*.sh .ci/run; do
        check "$script is a shell script" bash -n "$script"
    done
    if command -v shellcheck >/dev/null 2>&1; then
        check "shellcheck has nothing to say" shellcheck -x scripts/*.sh scripts/checks/*.sh .ci/run
    else
        echo "# no shellcheck here: apt-get install shellcheck, brew install shellcheck"
    fi
}

members
steps
if git rev-parse --git-dir >/dev/null 2>&1; then
    secrets
fi
shells
finish
