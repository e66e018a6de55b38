#!/usr/bin/env bash
# The one test command: everything that is checked here, part by part.
#
#   scripts/test_all.sh                 all parts
#   scripts/test_all.sh fmt step6       only these
#   scripts/test_all.sh --list          their names
#   scripts/test_all.sh clients         real MCP clients, from npm and PyPI: only when named, it needs the network
#   scripts/test_all.sh oidc-provider   mcp-client at a certified OpenID provider, from npm: likewise
#   scripts/test_all.sh keycloak        step8 with a real Keycloak, from Maven: likewise; 700 MB of memory
#   scripts/test_all.sh deploy          two replicas and an issuer behind the real nginx, and faults: likewise
#   scripts/test_all.sh book            builds the book and follows its links; likewise
#   scripts/test_all.sh deny            licenses, sources and banned crates, by cargo-deny: only when named, likewise
#
# Needs bash, curl, git, a C compiler and the Rust toolchain with rustfmt and clippy; what is missing is named before
# anything is compiled. A part that fails does not stop the others; its output is shown. On a terminal, a part shows
# what it is at. The last line is the sum of all checks, and the exit status is 0 only if none failed. What lives on
# packages from elsewhere may be skipped on your machine; with CI=true it is installed, and may not.
set -u

# shellcheck source-path=SCRIPTDIR source=toolchain.sh
. "$(dirname "${BASH_SOURCE[0]}")/toolchain.sh"
export CARGO_TARGET_DIR=$TARGET
export CARGO_TERM_COLOR=never
cd "$ROOT" || exit 1

LOG=
WATCHER=
on_exit() {
    watch_no_more
    [ -z "$LOG" ] || rm -f "$LOG"
}
trap on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

PASSED=0
FAILED=0
SKIPPED=0

# ---- the parts --------------------------------------------------------------------------------------------------

PARTS='fmt clippy build test library workspace step1 step2 step3 step4 step5 step6 step7 step8 auth-server rmcp-server github-profile whoami exercise attack readme sabotage'

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

run_keycloak() {
    scripts/test_keycloak.sh
}

run_deploy() {
    scripts/test_deploy.sh
}

run_rmcp_server() {
    scripts/test_rmcp_server.sh
}

run_whoami() {
    scripts/test_whoami.sh
}

run_exercise() {
    scripts/test_exercise.sh
}

run_attack() {
    scripts/test_attack.sh
}

run_github_profile() {
    scripts/test_github_profile.sh
}

run_auth_server() {
    scripts/test_auth_server.sh
}

# mdBook takes a minute to build, and the pictures of Mermaid come from npm: neither is fetched unasked.
run_book() {
    local message
    if [ -n "${CI-}" ] || message=$(scripts/book.sh --missing); then
        scripts/book.sh --check
    else
        echo "# skipped: $message"
        echo '0 passed, 0 failed, 1 skipped'
    fi
}

# Not the advisories: they come from elsewhere, and change while nothing here does.
run_deny() {
    local version=0.20.2 deny=$TARGET/cargo-deny/bin/cargo-deny
    if here cargo-deny; then
        deny=cargo-deny
    elif [ -n "${CI-}" ] && ! [ -x "$deny" ]; then
        cargo install --quiet --locked --no-default-features --root "$TARGET/cargo-deny" \
            --target-dir "$TARGET/cargo-deny-build" "cargo-deny@$version" || return
        rm -rf "$TARGET/cargo-deny-build"
    elif ! [ -x "$deny" ]; then
        echo "# skipped: cargo-deny is not here (cargo install --locked cargo-deny@$version)"
        return
    fi
    "$deny" --locked check bans licenses sources
}

missing() {
    echo "$1 is missing; install it with: rustup component add $1"
    return 1
}

# ---- running them -----------------------------------------------------------------------------------------------

# part NAME: runs one, counts its checks, says so in one line; shows what it printed if it failed.
part() {
    local name=$1 status passed failed skipped began=$SECONDS
    watch "$name"
    case $name in
    step[1-8]) "scripts/test_$name.sh" ;;
    *) "run_${name//-/_}" ;;
    esac >"$LOG" 2>&1 </dev/null
    status=$?
    watch_no_more
    count "$name" "$status"
    PASSED=$((PASSED + passed))
    FAILED=$((FAILED + failed))
    SKIPPED=$((SKIPPED + skipped))
    printf '%-14s %s, %s s\n' "$name" "$(sum "$passed" "$failed" "$skipped")" "$((SECONDS - began))"
    if [ "$failed" -gt 0 ]; then
        trouble | sed 's/^/    /'
    elif [ "$skipped" -gt 0 ]; then
        grep -E '^# skipped: ' "$LOG" | sed 's/^# /    /'
    fi
}

sum() {
    printf '%s passed, %s failed' "$1" "$2"
    [ "$3" -eq 0 ] || printf ', %s skipped' "$3"
}

# watch NAME: on a terminal, says once a second what runs, for how long, and the newest line of what it prints. Each
# such line is written over the last, and nothing of them is left.
watch() {
    if [ -t 1 ]; then
        : >"$LOG"
        progress "$1" &
        WATCHER=$!
    fi
}

watch_no_more() {
    if [ -n "$WATCHER" ]; then
        kill "$WATCHER" 2>/dev/null
        wait "$WATCHER" 2>/dev/null
        WATCHER=
        printf '\r\033[K'
    fi
}

progress() {
    local began=$SECONDS line width
    while :; do
        width=$(tput cols 2>/dev/null || echo 80)
        line=$(tail -n 1 "$LOG" | tr -d '\000-\037\177')
        line=$(printf '%-14s %4s s  %s' "$1" "$((SECONDS - began))" "$line")
        printf '\r\033[K%s' "${line:0:$((width - 1))}"
        sleep 1
    done
}

# Sets passed, failed and skipped from what the part printed. A part that fails counts for at least one failure, and
# one that claims to be well without having checked or skipped anything does too.
count() {
    case $1 in
    fmt | clippy | build) passed=$(($2 == 0)) failed=$(($2 != 0)) skipped=0 ;;
    deny)
        skipped=$(grep -c '^# skipped: ' "$LOG")
        passed=$(($2 == 0 && skipped == 0)) failed=$(($2 != 0))
        ;;
    test)
        read -r passed failed skipped < <(awk '/^test result: / { passed += $4; failed += $6; ignored += $8 }
            END { print passed + 0, failed + 0, ignored + 0 }' "$LOG")
        ;;
    *)
        read -r passed failed skipped < <(awk '/^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$/ {
            passed = $1; failed = $3; skipped = $5 } END { print passed + 0, failed + 0, skipped + 0 }' "$LOG")
        ;;
    esac
    if [ "$failed" -eq 0 ] && { [ "$2" -ne 0 ] || [ "$((passed + skipped))" -eq 0 ]; }; then
        failed=1
    fi
}

# What matters of a failure: without the claims that hold, at most 200 lines, the newest.
trouble() {
    grep -Ev '^(ok [0-9]+ - |# |test .* \.\.\. ok$| *(Compiling|Checking|Running|Finished) )' "$LOG" | tail -n 200
}

is_part() {
    case " $PARTS clients oidc-provider keycloak deploy book deny " in
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
need rust curl:7.82 git cc
# Here, where it is seen: building it takes a minute, once.
find_jq
LOG=$(mktemp "${TMPDIR:-/tmp}/test-all.XXXXXX") || exit 1
# The authorization server may not be there, in a copy of the steps alone.
# shellcheck disable=SC2048
for name in $*; do
    if [ "$name" = auth-server ] && ! [ -f scripts/test_auth_server.sh ]; then
        continue
    fi
    part "$name"
done

sum "$PASSED" "$FAILED" "$SKIPPED"
echo
[ "$FAILED" -eq 0 ]
