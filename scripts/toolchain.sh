# shellcheck shell=bash
# What must be here before anything is compiled, looked for in one place. Sourced, never run.
#
#   need rust curl:7.82 git cc      every tool that is missing or too old, by name, with the line that installs it
#   find_jq                         sets JQ to jq, or to what does the same
#
# A Rust that is too old is said in one sentence. Left to itself, cargo fails first at the manifest, and names neither
# the version it wants nor the one it is.

# Where the sources and what cargo builds of them lie, for whoever has not said so.
ROOT=${ROOT:-$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
TARGET=${TARGET:-${CARGO_TARGET_DIR:-$ROOT/target}}
case $TARGET in /*) ;; *) TARGET=$PWD/$TARGET ;; esac

# need TOOL[:VERSION]..: ends the script with status 1 unless all of them are here.
need() {
    local wanted lacking=0
    for wanted; do
        case $wanted in
        rust) need_rust ;;
        cc) need_cc ;;
        *) need_tool "${wanted%%:*}" "${wanted#"${wanted%%:*}"}" ;;
        esac || lacking=1
    done
    [ "$lacking" -eq 0 ] || exit 1
}

need_rust() {
    local wanted version
    wanted=$(sed -n 's/^rust-version = "\([0-9.]*\)"$/\1/p' "$ROOT/Cargo.toml")
    if ! here cargo || ! here rustc; then
        echo "this needs Rust $wanted or newer, and there is none; install it with rustup (https://rustup.rs)" >&2
        return 1
    fi
    # Not cargo, which would read the manifest first; and here, because rustup may have another Rust for this folder.
    version=$(cd "$ROOT" && rustc --version 2>&1) || {
        echo "this needs Rust $wanted or newer, but rustc does not run: ${version%%$'\n'*}" >&2
        return 1
    }
    version=$(version_in "$version")
    is_older "$version" "$wanted" || return 0
    echo "this needs Rust $wanted or newer, you have ${version:-one without a version}; install it with rustup (https://rustup.rs)" >&2
    return 1
}

# The C parts (aws-lc, SQLite) are compiled here, and rustc links with it.
need_cc() {
    here "${CC:-cc}" || here gcc || here clang || {
        echo "this needs a C compiler, and there is none; install one: $(install_line cc)" >&2
        return 1
    }
}

# need_tool NAME [:VERSION]
need_tool() {
    local version=
    here "$1" || {
        echo "this needs $1${2:+ ${2#:} or newer}, and there is none; install it: $(install_line "$1")" >&2
        return 1
    }
    [ -n "$2" ] || return 0
    version=$(version_in "$("$1" --version 2>&1)")
    is_older "$version" "${2#:}" || return 0
    echo "this needs $1 ${2#:} or newer, you have ${version:-one without a version}; install a newer one: $(install_line "$1"), or from $(home_of "$1")" >&2
    return 1
}

here() {
    command -v "$1" >/dev/null 2>&1
}

# The first number with a dot in it.
version_in() {
    printf '%s\n' "$1" | sed -n '1s/^[^0-9]*\([0-9][0-9]*\.[0-9][0-9]*\).*/\1/p'
}

# is_older A B: whether version A is older than B, by the first two numbers. No version is older than any.
is_older() {
    local a=$1 b=$2
    case $a in
    *.*) ;;
    *) return 0 ;;
    esac
    local a_rest=${a#*.} b_rest=${b#*.}
    [ "${a%%.*}" -lt "${b%%.*}" ] ||
        { [ "${a%%.*}" -eq "${b%%.*}" ] && [ "${a_rest%%.*}" -lt "${b_rest%%.*}" ]; }
}

# install_line TOOL: the command for it on this system.
install_line() {
    local compiler=gcc
    if here apt-get; then
        [ "$1" = cc ] && compiler='gcc libc6-dev'
        echo "apt-get install $(package_of "$1" "$compiler")"
    elif here brew; then
        [ "$1" = cc ] && echo 'xcode-select --install' || echo "brew install $1"
    elif here dnf; then
        echo "dnf install $(package_of "$1" gcc)"
    elif here pacman; then
        echo "pacman -S $(package_of "$1" gcc)"
    elif here apk; then
        echo "apk add $(package_of "$1" build-base)"
    else
        echo "with the package manager of your system ($(home_of "$1"))"
    fi
}

package_of() {
    [ "$1" = cc ] && echo "$2" || echo "$1"
}

home_of() {
    case $1 in
    curl) echo https://curl.se/download.html ;;
    git) echo https://git-scm.com ;;
    jq) echo https://jqlang.org ;;
    *) echo "gcc or clang" ;;
    esac
}

# jaq does what jq does, and cargo can build it. Once it is there, no network is needed.
find_jq() {
    JQ=$TARGET/jaq-tools/bin/jaq
    if here jq; then
        JQ=jq
    elif here jaq; then
        JQ=jaq
    elif ! [ -x "$JQ" ]; then
        echo "# no jq here: building jaq instead, once, into $TARGET/jaq-tools (a minute; or install jq: $(install_line jq))" >&2
        cargo install --quiet --locked --root "$TARGET/jaq-tools" --target-dir "$TARGET/jaq-build" jaq@3.1.2 </dev/null || {
            echo "jq is missing and jaq could not be built; install jq: $(install_line jq)" >&2
            exit 1
        }
    fi
}
