#!/usr/bin/env bash
# Fetches and builds all that a workshop needs, the day before, so that nothing is downloaded in the room.
#
#   scripts/prepare.sh           tools, crates, every program, every test, and a login that is tried
#   scripts/prepare.sh --check   the same without network, as it will be in the room: what is missing is named
#
# It takes ten to twenty minutes the first time, and half a minute when everything is there. Afterwards all programs, tests
# and scripts of the steps run with `export CARGO_NET_OFFLINE=true`.
set -eu

# shellcheck source-path=SCRIPTDIR source=toolchain.sh
. "$(dirname "${BASH_SOURCE[0]}")/toolchain.sh"

case ${1-} in
'') ;;
--check) export CARGO_NET_OFFLINE=true ;;
-h | --help)
    sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
*)
    echo "prepare.sh does not know '$1'; usage: scripts/prepare.sh [--check]" >&2
    exit 2
    ;;
esac

# say WHAT: a line before each part, since some take minutes.
say() {
    printf '\n### %s\n\n' "$1"
}

export CARGO_TARGET_DIR=$TARGET
cd "$ROOT"
say "1 of 4: the tools that must be here"
need rust curl:7.82 git cc
find_jq
echo "rust, curl, git, a C compiler and jq are here."
say "2 of 4: the crates, $(grep -c '^\[\[package\]\]' Cargo.lock) of them"
cargo fetch --locked
say "3 of 4: every program and every test"
cargo build --locked --workspace --bins
cargo test --locked --workspace --no-run --quiet
say "4 of 4: one login, from the first refusal to the tool"
scripts/demo.sh >"$TARGET/prepare.log" 2>&1 || {
    cat "$TARGET/prepare.log"
    exit 1
}
echo "alice logged in, admin stepped up, bob was refused."
say "Everything is here"
echo "In the room: export CARGO_NET_OFFLINE=true, then cargo run -p step1"
