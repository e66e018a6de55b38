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

# ---- scripts/carry.sh, in a small repository of its own ----------------------------------------------------------

carrying() {
    local place=$SCRATCH/carry arguments
    make_steps "$place"
    cd "$place" || exit 1
    sed -i.before 's/^line 2$/line two/' step4/src/a.rs
    carry step4/src/a.rs
    check "carry.sh: where it fits, status 0" is "$EXIT" 0
    check "carry.sh: an unchanged file stays the same" cmp step4/src/a.rs step5/src/a.rs
    check "carry.sh: a file that has grown gets the change" is "$(sed -n '2p;$p' step6/src/a.rs | tr '\n' ' ')" 'line two grown '
    check "carry.sh: examples/whoami gets it" is "$(sed -n '2p;$p' examples/whoami/src/a.rs | tr '\n' ' ')" 'line two grown '
    check "carry.sh: earlier steps do not" grep -qx 'line 2' step3/src/a.rs
    check "carry.sh: it says that an earlier step has the same lines" grep -q 'note: step3/src/a.rs' carry.log
    cp step6/src/a.rs once
    carry step4/src/a.rs
    check "carry.sh: twice is once" cmp once step6/src/a.rs
    git_here commit -q -a -m change
    carry step4/src/a.rs
    check "carry.sh: what is committed was not changed" grep -q 'nothing was changed' carry.log
    git_here checkout -q HEAD~1 -- step5
    carry --since HEAD~1 step4/src/a.rs
    check "carry.sh: --since carries what was committed" cmp step4/src/a.rs step5/src/a.rs

    sed -i.before 's/^grown$/shrunk/' step8/src/a.rs
    echo 'after all' >>step6/src/a.rs
    cp step8/src/a.rs before
    carry step6/src/a.rs
    check "carry.sh: where it does not fit, status 1" is "$EXIT" 1
    check "carry.sh: it names the file and the line" says_where
    check "carry.sh: it leaves that file alone" cmp before step8/src/a.rs
    check "carry.sh: the others have it" grep -qx 'after all' step7/src/a.rs

    mkdir step5/src/new && echo new >step5/src/new/b.rs
    carry step5/src/new/b.rs
    check "carry.sh: a new file comes along" cmp step5/src/new/b.rs step8/src/new/b.rs
    rm step1/src/c.rs
    carry step1/src/c.rs
    check "carry.sh: a file that is gone goes, where it is the same" is "$(echo step*/src/c.rs)" step8/src/c.rs
    check "carry.sh: and is kept where it has grown, with status 1" is "$EXIT" 1
    sed -i.before 's/^line 5$/line five/' step2/src/a.rs
    carry --dry-run step2/src/a.rs
    check "carry.sh: --dry-run writes nothing" grep -qx 'line 5' step3/src/a.rs
    for arguments in 'README.md' 'step9/src/a.rs' 'step4/src/none.rs' '' '--since nowhere step4/src/a.rs'; do
        # shellcheck disable=SC2086 # words, on purpose
        carry $arguments
        check "carry.sh [$arguments] -> status 2" is "$EXIT" 2
    done
    carry --bogus step4/src/a.rs
    check "carry.sh: it names the option that it does not know" grep -q 'no option --bogus' carry.log
    carry --dry-run step8/src/a.rs
    check "carry.sh: after step 8 there is none, and it says so" grep -q 'step8 is the last step' carry.log
    cd "$ROOT" || exit 1
}

# Eight steps and the example: a.rs grows in step 6, c.rs in step 8.
make_steps() {
    local house
    mkdir -p "$1/scripts" && cp "$ROOT/scripts/carry.sh" "$ROOT/scripts/toolchain.sh" "$1/scripts/"
    for house in step1 step2 step3 step4 step5 step6 step7 step8 examples/whoami; do
        mkdir -p "$1/$house/src"
        printf 'line %s\n' 1 2 3 4 5 6 7 8 9 >"$1/$house/src/a.rs"
        case $house in step[678] | examples/*) echo grown >>"$1/$house/src/a.rs" ;; esac
        case $house in examples/*) ;; *) echo "c" >"$1/$house/src/c.rs" ;; esac
    done
    echo grown >>"$1/step8/src/c.rs"
    rm -rf "$1/examples/whoami/src/c.rs"
    (cd "$1" && git_here init -q . && git_here add -A && git_here commit -q -m begin) >"$SCRATCH/git.log" 2>&1 ||
        die "git: $(cat "$SCRATCH/git.log")"
}

git_here() {
    GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 git -c user.name=checks -c user.email=checks@localhost "$@"
}

# carry ARGUMENT..: EXIT is its status, carry.log what it said.
carry() {
    scripts/carry.sh "$@" >carry.log 2>&1
    EXIT=$?
}

says_where() {
    if ! grep -q 'CANNOT *step8/src/a.rs' carry.log || ! grep -q 'line 10:' carry.log; then
        cat carry.log
        return 1
    fi
}

# ---- what the scripts that take minutes say at once --------------------------------------------------------------

# says STATUS PATTERN COMMAND..: the command ends so, and with a line like that.
says() {
    local wanted=$1 pattern=$2 said status
    shift 2
    said=$("$@" 2>&1 </dev/null)
    status=$?
    if [ "$status" -ne "$wanted" ] || ! grep -qe "$pattern" <<<"$said"; then
        printf 'status %s\n%s\n' "$status" "$said"
        return 1
    fi
}

# no_count COMMAND..: it counts no check as passed or failed.
no_count() {
    ! "$@" 2>&1 </dev/null | grep -E '^(not )?ok |passed'
}

words() {
    local script
    for script in break_it.sh carry.sh diff_step.sh prepare.sh; do
        check "$script --help is no error, and shows how to call it" says 0 "^  *scripts/$script" "scripts/$script" --help
        check "$script names an option that it does not know" says 2 --bogus "scripts/$script" --bogus
    done
    check "break_it.sh: a typo is not counted as a check" no_count scripts/break_it.sh --bogus
    check "break_it.sh --list: what is wrong stands in one column" is \
        "$(scripts/break_it.sh --list | cut -c 43-45 | grep -vc '^  [^ ]')" 0
}

members
steps
words
carrying
if git rev-parse --git-dir >/dev/null 2>&1; then
    secrets
fi
shells
finish
