#!/usr/bin/env bash
# The one test command: everything that is checked here, part by part.
#
#   scripts/test_all.sh                 all parts
#   scripts/test_all.sh fmt step6       only these
#   scripts/test_all.sh --list          their names
#   scripts/test_all.sh clients         real MCP clients, from npm and PyPI: only when named, it needs the network
#   scripts/test_all.sh oidc-provider   mcp-client at a certified OpenID provider, from npm: likewise
#
# Needs bash, curl, git and the Rust toolchain with rustfmt and clippy. A part that fails does not stop the others;
# its output is shown. The last line is the sum of all checks, and the exit status is 0 only if none failed.
set -u

ROOT=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 1
case ${CARGO_TARGET_DIR-} in
'') export CARGO_TARGET_DIR=$ROOT/target ;;
/*) ;;
*) export CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR ;;
esac
export CARGO_TERM_COLOR=never
cd "$ROOT" || exit 1

LOG=$(mktemp "${TMPDIR:-/tmp}/test-all.XXXXXX") || exit 1
trap 'rm -f "$LOG"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

PASSED=0
FAILED=0

# ---- the parts --------------------------------------------------------------------------------------------------

PARTS='fmt clippy build test library workspace step1 step2 step3 step4 step5 step6 step7 step8 auth-server readme sabotage'

run_fmt() {
    cargo fmt --version || missing rustfmt || return
    cargo fmt --all --check
}

run_clippy() {
    cargo clippy --version || missing clippy || return
    cargo clippy --workspace --all-targets --locked -- -D warnings
}

# `cargo test` alone builds no binaries: other parts would run those of yesterday.
run_build() {
    cargo build --workspace --bins --locked || return
    # The other parts take these. Left to themselves they build one package at a time, which makes cargo choose other
    # features for the same dependencies, and compile those once more.
    export CHECKS_BIN=$CARGO_TARGET_DIR/debug
}

run_test() {
    cargo test --workspace --locked --no-fail-fast
}

run_library() {
    scripts/test_lib.sh
}

run_workspace() {
    scripts/test_workspace.sh
}

run_readme() {
    scripts/readme_commands.sh
}

run_sabotage() {
    scripts/break_it.sh
}

run_clients() {
    scripts/test_clients.sh
}

run_oidc_provider() {
    scripts/test_oidc_provider.sh
}

run_auth_server() {
    scripts/test_auth_server.sh
}

missing() {
    echo "$1 is missing; install it with: rustup component add $1"
    return 1
}

# ---- running them -----------------------------------------------------------------------------------------------

# part NAME: runs one, counts its checks, says so in one line; shows what it printed if it failed.
part() {
    local name=$1 status passed failed began=$SECONDS
    printf '%-12s ' "$name"
    case $name in
    step[1-8]) "scripts/test_$name.sh" ;;
    *) "run_${name//-/_}" ;;
    esac >"$LOG" 2>&1 </dev/null
    status=$?
    count "$name" "$status"
    PASSED=$((PASSED + passed))
    FAILED=$((FAILED + failed))
    printf '%4s passed, %s failed, %s s\n' "$passed" "$failed" "$((SECONDS - began))"
    if [ "$failed" -gt 0 ]; then
        trouble | sed 's/^/    /'
    fi
}

# Sets passed and failed from what the part printed. A part that fails counts for at least one failure, and one that
# claims to be well without having checked anything does too.
count() {
    case $1 in
    fmt | clippy | build) passed=$(($2 == 0)) failed=$(($2 != 0)) ;;
    test)
        read -r passed failed < <(awk '/^test result: / { passed += $4; failed += $6 } END { print passed + 0, failed + 0 }' "$LOG")
        ;;
    *)
        read -r passed failed < <(awk '/^[0-9]+ passed, [0-9]+ failed$/ { passed = $1; failed = $3 }
            END { print passed + 0, failed + 0 }' "$LOG")
        ;;
    esac
    if [ "$failed" -eq 0 ] && { [ "$2" -ne 0 ] || [ "$passed" -eq 0 ]; } && ! skipped "$1" "$2"; then
        failed=1
    fi
}

# A part that lives on packages from elsewhere may do without them, if it says so.
skipped() {
    [ "$1" = oidc-provider ] && [ "$2" -eq 0 ] && grep -q '^# skipped: ' "$LOG"
}

# What matters of a failure: without the claims that hold, at most 200 lines, the newest.
trouble() {
    grep -Ev '^(ok [0-9]+ - |# |test .* \.\.\. ok$| *(Compiling|Checking|Running|Finished) )' "$LOG" | tail -n 200
}

is_part() {
    case " $PARTS clients oidc-provider " in
    *" $1 "*) ;;
    *)
        echo "There is no part '$1'. The parts: $PARTS" >&2
        exit 2
        ;;
    esac
}

if [ "${1-}" = --list ]; then
    echo "$PARTS"
    exit 0
fi
for name; do
    is_part "$name"
done
[ $# -gt 0 ] || set -- "$PARTS"
# The authorization server may not be there, in a copy of the steps alone.
# shellcheck disable=SC2048
for name in $*; do
    if [ "$name" = auth-server ] && ! [ -f scripts/test_auth_server.sh ]; then
        continue
    fi
    part "$name"
done

echo "$PASSED passed, $FAILED failed"
[ "$FAILED" -eq 0 ]
