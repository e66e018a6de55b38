#!/usr/bin/env bash
# What step N adds to step N-1: the diff, new files first and in the order in which they read best, then which files are
# new, which were touched, and which need not be read again.
#
#   scripts/diff_step.sh 6                   the whole diff from step5 to step6, without tests
#   scripts/diff_step.sh 6 auth.rs keys.rs   only these files
#   scripts/diff_step.sh 6 --tests           with the tests
#   scripts/diff_step.sh 6 --stat            only the summary
#   scripts/diff_step.sh 6 --side-by-side    old and new in two columns, as wide as the terminal or as COLUMNS says
#   scripts/diff_step.sh 6 --html FILE       the same as one page for a browser
#   scripts/diff_step.sh whoami              what examples/whoami adds to step7
#
# The same with words between the lines: docs/steps/step6.md. On a terminal a pager shows it: PAGER says which one, and
# `PAGER=cat` that there shall be none. NO_COLOR=1 leaves the colours out.
#
# README.md is left out, and so is the package's own name in Cargo.toml: they differ in every step and teach nothing.
# Tests are src/tests.rs, src/tests/ and modules marked #[cfg(test)] within a file.
set -u

# The head of this file, without its signs.
help() {
    awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "${BASH_SOURCE[0]}"
}

# wrong WHAT: says what cannot be understood, and what could be.
wrong() {
    echo "$1" >&2
    echo "usage: scripts/diff_step.sh N [FILE..] [--tests] [--stat | --side-by-side | --html FILE]   where N is 2 to 8, or whoami: shows what step N adds to step N-1." >&2
    exit 2
}

# show VIEW OPTION: one view at a time.
show() {
    [ -z "$view" ] || [ "$view" = "$1" ] || wrong "$2 does not go together with --stat, --side-by-side or --html: name one of them."
    view=$1
}

step='' view='' tests=no page='' wanted=''
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        help
        exit 0
        ;;
    --tests) tests=yes ;;
    --stat) show stat "$1" ;;
    --side-by-side) show columns "$1" ;;
    --html | --html=*)
        show html --html
        if [ "$1" = --html ]; then
            page=${2-}
            [ $# -eq 1 ] || shift
        else
            page=${1#--html=}
        fi
        [ -n "$page" ] || wrong "--html needs the file to write: --html step6.html"
        ;;
    -*) wrong "there is no option $1" ;;
    *.rs | *.toml)
        [ -n "$step" ] || wrong "$1: name the step before its files, such as: 6 auth.rs"
        wanted="$wanted $1"
        ;;
    [2-8] | whoami)
        [ -z "$step" ] || wrong "$1: one step at a time; $step is named already"
        step=$1
        ;;
    1) wrong "step 1 is the first: there is nothing before it" ;;
    *) wrong "'$1' is no step and no file of one" ;;
    esac
    shift
done
[ -n "$step" ] || wrong "name a step"
view=${view:-lines}

# shellcheck source-path=SCRIPTDIR source=toolchain.sh
. "$(dirname "${BASH_SOURCE[0]}")/toolchain.sh"
need git
here_was=$PWD
case $step in
whoami) old=step7 new=whoami ;;
*) old=step$((step - 1)) new=step$step ;;
esac

# Where a package lies.
place_of() {
    case $1 in
    step*) echo "$ROOT/$1" ;;
    *) echo "$ROOT/examples/$1" ;;
    esac
}

# A file may be called as the difference prints it: step6/src/auth.rs. From here on it is src/auth.rs.
names=$wanted wanted=''
for name in $names; do
    for folder in "a/$old" "b/$new" "$old" "$new" "examples/$new"; do
        name=${name#"$folder/"}
    done
    wanted="$wanted $name"
done

for folder in "$old" "$new"; do
    [ -f "$(place_of "$folder")/Cargo.toml" ] || {
        echo "There is no $folder in $ROOT." >&2
        exit 1
    }
done

# ---- the two columns and the page, which a tool makes -----------------------------------------------------------

# lesson ARGUMENT..: tools/lesson, built first unless it is.
lesson() {
    local binary=$TARGET/debug/lesson
    if [ -n "${CHECKS_BIN-}" ] && [ -x "$CHECKS_BIN/lesson" ]; then
        binary=$CHECKS_BIN/lesson
    else
        need rust
        [ -x "$binary" ] || echo "# building tools/lesson, once (half a minute)" >&2
        CARGO_TARGET_DIR=$TARGET cargo build -q --locked --manifest-path "$ROOT/Cargo.toml" -p lesson || exit 1
    fi
    "$binary" --root "$ROOT" "$@"
}

# Shows what comes in page by page on a terminal, and as it is anywhere else.
pager() {
    local program=${PAGER-less}
    if [ -t 1 ] && [ -n "$program" ] && here "${program%% *}"; then
        # -F: not for what fits on the screen; -R: with its colours; -X: and it stays there afterwards.
        LESS=${LESS-FRX} sh -c "$program"
    else
        cat
    fi
}

is_colored() {
    [ -t 1 ] && [ -z "${NO_COLOR-}" ]
}

# How many characters a row may have: as COLUMNS says, or as the terminal does, of which standard error is the last to be
# led elsewhere.
width() {
    local size
    case ${COLUMNS-} in
    '' | 0 | *[!0-9]*) ;;
    *)
        echo "$COLUMNS"
        return
        ;;
    esac
    size=$(stty size <&2 2>/dev/null)
    size=${size#* }
    if [ "${size:-0}" -gt 0 ]; then
        echo "$size"
    elif [ -t 1 ]; then
        tput cols 2>/dev/null || echo 80
    else
        echo 160
    fi
}

more=''
[ "$tests" = no ] || more=--tests
# shellcheck disable=SC2086 # words, on purpose
case $view in
html)
    case $page in /*) ;; *) page=$here_was/$page ;; esac
    lesson html "$new" $wanted $more --output "$page" || exit 1
    echo "$page"
    exit 0
    ;;
columns)
    if is_colored; then
        more="$more --color"
    fi
    # Built before the pager begins, so that an error is seen.
    text=$(lesson columns "$new" $wanted $more --width "$(width)") || exit 1
    printf '%s\n' "$text" | pager
    exit 0
    ;;
esac

# ---- the lines, for which git is enough -------------------------------------------------------------------------

scratch=$(mktemp -d "${TMPDIR:-/tmp}/diff-step.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT

# without_tests <FILE: a source without its modules marked #[cfg(test)]. A declaration, `mod tests;`, is no module.
without_tests() {
    awk '
        skipping { if ($0 == "}") skipping = 0; next }
        /^$/ && held == "" { blank++; next }
        /^#\[cfg\(test\)\]$/ { held = $0; next }
        held != "" && /^(pub(\([a-z]+\))? )?mod [a-z_0-9]+ \{$/ { held = ""; blank = 0; skipping = 1; next }
        { for (; blank > 0; blank--) print ""; if (held != "") print held; held = ""; print }
    '
}

# Both steps side by side under one name for the package, without what is not the lesson.
for folder in "$old" "$new"; do
    mkdir "$scratch/$folder"
    cp -R "$(place_of "$folder")/src" "$scratch/$folder/"
    sed "s/^name = \"$folder\"\$/name = \"stepN\"/" "$(place_of "$folder")/Cargo.toml" >"$scratch/$folder/Cargo.toml"
done
cd "$scratch" || exit 1
if [ "$tests" = no ]; then
    while IFS= read -r file; do
        without_tests <"$file" >rest
        mv rest "$file"
    done < <(grep -rlx '#\[cfg(test)\]' "$old/src" "$new/src")
fi

if is_colored; then
    color=always bold=$'\033[1m' plain=$'\033[0m'
else
    color=never bold='' plain=''
fi

# in_rows <NAMES: one a line, as many in a row as there is room for, indented.
in_rows() {
    awk '
        length(row $0) > 100 { print row; row = "" }
        { row = row (row == "" ? "    " : " ") $0 }
        END { if (row != "") print row }
    '
}

is_test() {
    case $1 in
    src/tests.rs | src/tests/*) ;;
    *) return 1 ;;
    esac
}

# kind_of FILE: new, touched, gone or same.
kind_of() {
    if ! [ -f "$new/$1" ]; then
        echo gone
    elif ! [ -f "$old/$1" ]; then
        echo new
    elif cmp -s "$old/$1" "$new/$1"; then
        echo same
    else
        echo touched
    fi
}

# is_wanted FILE: whether it is one of those that were asked for; any, where none was. `keys.rs` is src/keys.rs.
is_wanted() {
    local name
    [ -n "$wanted" ] || return 0
    for name in $wanted; do
        case $1 in
        "$name" | "src/$name" | "src/tests/$name") return 0 ;;
        esac
    done
    return 1
}

# All files of both steps, by name.
all=$({ (cd "$old" && find . -type f) && (cd "$new" && find . -type f); } | sed 's|^\./||' | sort -u)

# Those to show, by name; a test only with --tests, or where it is asked for.
shown=$(for file in $all; do
    if is_wanted "$file" && { [ "$tests" = yes ] || [ -n "$wanted" ] || ! is_test "$file"; }; then
        echo "$file"
    fi
done)

for name in $wanted; do
    found=no
    for file in $shown; do
        case $file in
        "$name" | "src/$name" | "src/tests/$name") found=yes ;;
        esac
    done
    [ "$found" = yes ] || {
        {
            echo "There is no $name in $new. Its files:"
            (cd "$new" && find Cargo.toml src -type f) | sort | in_rows
        } >&2
        exit 1
    }
done

# The user's own git settings (pagers, prefixes, external tools) would change what is shown. The algorithm is the one of
# tools/lesson, so that both count alike.
git_diff() {
    GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 \
        git --no-pager diff --no-index --no-ext-diff --no-renames --diff-algorithm=histogram "$@"
}

# Whether files were asked for of which none has changed.
nothing_changed() {
    local file
    [ -n "$wanted" ] || return 1
    for file in $shown; do
        [ "$(kind_of "$file")" = same ] || return 1
    done
}

# difference KIND: the lines of all files of this kind, those first that the notes of the step name first.
difference() {
    local file notes=$ROOT/docs/steps/$new.notes.md
    while IFS= read -r file; do
        if [ "$(kind_of "$file")" != "$1" ]; then
            continue
        fi
        case $1 in
        new) git_diff --color="$color" /dev/null "$new/$file" ;;
        gone) git_diff --color="$color" "$old/$file" /dev/null ;;
        *) git_diff --color="$color" "$old/$file" "$new/$file" ;;
        esac
    done < <({
        [ ! -f "$notes" ] || sed -n 's/^## //p' "$notes"
        echo "$shown"
    } | awk 'NR == FNR { known[$0] = 1; next } known[$0] && !seen[$0]++' <(echo "$shown") -)
}

# One line of the summary: what became of a file, its name, its lines.
row() {
    printf '  %-8s %-24s %s\n' "$1" "$2" "$3"
}

# Lines of src/ are counted in the sum, as in the overview of the root README; those of Cargo.toml are not.
summary() {
    local file kind plus minus added=0 removed=0 unchanged='' what='in src/, without tests'
    echo "${bold}$old -> $new${plain}"
    for file in $shown; do
        kind=$(kind_of "$file") plus=0 minus=0
        case $kind in
        gone)
            minus=$(($(wc -l <"$old/$file")))
            row gone "$file" "-$minus"
            ;;
        new)
            plus=$(($(wc -l <"$new/$file")))
            row new "$file" "+$plus"
            ;;
        same) unchanged="$unchanged $file" ;;
        touched)
            read -r plus minus _ < <(git_diff --numstat "$old/$file" "$new/$file")
            row touched "$file" "+$plus -$minus"
            ;;
        esac
        case $file in
        src/*) added=$((added + plus)) removed=$((removed + minus)) ;;
        esac
    done
    if [ -n "$wanted" ]; then
        what='in these files'
    elif [ "$tests" = yes ]; then
        what='in src/, with tests'
    fi
    echo "  lines: +$added -$removed $what"
    if [ -z "$unchanged" ]; then
        echo "  unchanged, need not be read again: none"
    else
        echo "  unchanged, need not be read again:"
        # shellcheck disable=SC2086 # words, on purpose
        printf '%s\n' $unchanged | in_rows
    fi
}

if nothing_changed; then
    # shellcheck disable=SC2086 # words, on purpose
    printf '%s: the same in '"$old and $new"'\n' $shown
    exit 0
fi
if [ "$view" = stat ]; then
    summary
    exit 0
fi
# Gone files come last; there are none in this workspace.
{
    difference new
    difference touched
    difference gone
    echo
    summary
} | pager
exit 0
