#!/usr/bin/env bash
# The book: all pages of this workspace, with each step's diff side by side. It needs no network to be read.
#
#   scripts/book.sh            builds it and says where it lies
#   scripts/book.sh --serve    shows it in a browser, and builds it again whenever a page changes, until Ctrl-C
#   scripts/book.sh --check    builds it, and looks whether every link in it leads somewhere
#   scripts/book.sh --missing  names what it would have to fetch first, and ends with 1 if there is anything
#
# Its source is put together in the target folder from the Markdown that is here anyway, by tools/lesson. What is missing
# to build it is fetched there once: mdBook from crates.io, and Mermaid, which draws the pictures, from npm.
set -u

MDBOOK=0.5.4
# What showing the book takes; building it takes only the first.
ALL_FEATURES=search,serve,watch
# The small edition of Mermaid: without the kinds of pictures that nobody draws here.
MERMAID=12.0.0
MERMAID_SHA256=9f2807e402479d2864bfd9a95052076fc69d0ff45a0b25148b84b70fc33425b9

usage() {
    echo "usage: scripts/book.sh [--serve | --check | --missing]" >&2
    exit 2
}

mode=build
case $# in
0) ;;
1)
    case $1 in
    --serve) mode=serve ;;
    --check) mode=check ;;
    --missing) mode=missing ;;
    *) usage ;;
    esac
    ;;
*) usage ;;
esac

# shellcheck source-path=SCRIPTDIR source=toolchain.sh
. "$(dirname "${BASH_SOURCE[0]}")/toolchain.sh"
need rust curl
cd "$ROOT" || exit 1
BOOK=$TARGET/book
MERMAID_JS=$TARGET/mermaid-$MERMAID/mermaid.tiny.js

SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/book.XXXXXX") || exit 1
WATCHER=
on_exit() {
    [ -z "$WATCHER" ] || kill "$WATCHER" 2>/dev/null
    rm -rf "$SCRATCH"
}
trap on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- what is needed ---------------------------------------------------------------------------------------------

# has_mdbook FEATURES..: whether there is an mdBook 0.5 with one of these sets of features, and sets MDBOOK_BIN to it.
has_mdbook() {
    local features
    MDBOOK_BIN=mdbook
    case $(mdbook --version 2>/dev/null) in 'mdbook v0.5.'*) return ;; esac
    for features; do
        MDBOOK_BIN=$TARGET/mdbook-${features//,/-}/bin/mdbook
        case $("$MDBOOK_BIN" --version 2>/dev/null) in "mdbook v$MDBOOK") return ;; esac
    done
    return 1
}

# find_mdbook FEATURES TIME: the same for one set, or for all that there is; and builds one if there is none.
find_mdbook() {
    local folder=$TARGET/mdbook-${1//,/-}
    has_mdbook "$1" "$ALL_FEATURES" && return
    echo "# no mdBook 0.5 here: building $MDBOOK once, into $folder ($2 on two cores)" >&2
    cargo install --quiet --locked --no-default-features --features "$1" --root "$folder" \
        --target-dir "$TARGET/mdbook-build" "mdbook@$MDBOOK" </dev/null || {
        echo "mdBook could not be built; install it yourself: cargo install --locked mdbook@$MDBOOK" >&2
        exit 1
    }
    rm -rf "$TARGET/mdbook-build"
    MDBOOK_BIN=$folder/bin/mdbook
}

# sha256 FILE: its digest.
sha256() {
    if here sha256sum; then
        sha256sum "$1"
    else
        shasum -a 256 "$1"
    fi | cut -d ' ' -f 1
}

# The library that draws the pictures, fetched if it is not there, and known to be the one that we mean.
find_mermaid() {
    local package=$SCRATCH/mermaid-js-tiny-$MERMAID.tgz
    if ! [ -f "$MERMAID_JS" ]; then
        echo "# fetching Mermaid $MERMAID from npm (1 MB)" >&2
        # npm knows which registry is to be asked here.
        here npm || {
            echo "the book's pictures need npm, once: install Node.js, and run this again" >&2
            exit 1
        }
        (cd "$SCRATCH" && npm pack --silent "@mermaid-js/tiny@$MERMAID" >/dev/null) || exit 1
        tar -xzf "$package" -C "$SCRATCH" package/dist/mermaid.tiny.js || {
            echo "Mermaid could not be fetched; the book needs it once, then no network" >&2
            exit 1
        }
        mkdir -p "${MERMAID_JS%/*}"
        mv "$SCRATCH/package/dist/mermaid.tiny.js" "$MERMAID_JS"
    fi
    [ "$(sha256 "$MERMAID_JS")" = "$MERMAID_SHA256" ] || {
        echo "$MERMAID_JS is not the Mermaid $MERMAID that it should be; it is thrown away" >&2
        rm -f "$MERMAID_JS"
        exit 1
    }
}

# tools/lesson, built first unless it is.
find_lesson() {
    LESSON=$TARGET/debug/lesson
    if [ -n "${CHECKS_BIN-}" ] && [ -x "$CHECKS_BIN/lesson" ]; then
        LESSON=$CHECKS_BIN/lesson
    else
        [ -x "$LESSON" ] || echo "# building tools/lesson, once (half a minute)" >&2
        cargo build -q --locked --target-dir "$TARGET" -p lesson || exit 1
    fi
}

# ---- building ---------------------------------------------------------------------------------------------------

assemble() {
    "$LESSON" --root "$ROOT" book "$BOOK" || return
    mkdir -p "$BOOK/src/assets"
    cmp -s "$MERMAID_JS" "$BOOK/src/assets/mermaid.min.js" || cp "$MERMAID_JS" "$BOOK/src/assets/mermaid.min.js"
}

build() {
    # Pages that are no more would stay.
    rm -rf "$BOOK/src" "$BOOK/html"
    assemble || exit 1
    "$MDBOOK_BIN" build "$BOOK" >"$SCRATCH/log" 2>&1 || {
        cat "$SCRATCH/log" >&2
        exit 1
    }
    # It warns of what it cannot make sense of, and goes on.
    if grep -E 'WARN|ERROR' "$SCRATCH/log" >&2; then
        echo "mdBook is not content with a page, see above" >&2
        exit 1
    fi
}

# Puts the source together again when a page, a note or a step has changed.
watch() {
    touch "$SCRATCH/seen"
    while sleep 1; do
        if [ -n "$(find . \( -name target -o -name .git -o -name exercise \) -prune -o -type f \
            \( -name '*.md' -o -name '*.rs' -o -name '*.png' \) -newer "$SCRATCH/seen" -print | head -n 1)" ]; then
            touch "$SCRATCH/seen"
            assemble || echo "# the book stays as it was" >&2
        fi
    done
}

if [ "$mode" = missing ]; then
    has_mdbook search "$ALL_FEATURES" && [ -f "$MERMAID_JS" ] && exit 0
    echo "mdBook or Mermaid is not here (scripts/book.sh fetches them)"
    exit 1
fi
find_lesson
find_mermaid
case $mode in
serve)
    find_mdbook "$ALL_FEATURES" 'three minutes'
    build
    watch &
    WATCHER=$!
    "$MDBOOK_BIN" serve --open --hostname 127.0.0.1 "$BOOK"
    ;;
check)
    find_mdbook search '80 seconds'
    build
    "$LESSON" links "$BOOK/html"
    ;;
build)
    find_mdbook search '80 seconds'
    build
    echo "$BOOK/html/index.html"
    ;;
esac
