#!/usr/bin/env bash
# What step N adds to step N-1: a coloured diff, then which files are new, which were touched, and which need not be
# read again.
#
#   scripts/diff_step.sh 6          the whole diff from step5 to step6
#   scripts/diff_step.sh 6 --stat   only the summary
#   scripts/diff_step.sh whoami     what examples/whoami adds to step7
#
# README.md is left out, and so is the package's own name in Cargo.toml: they differ in every step and teach nothing.
set -u

usage() {
    echo "usage: scripts/diff_step.sh N [--stat]   where N is 2 to 8, or whoami: shows what step N adds to step N-1." >&2
    exit 2
}

stat=no
step=
for argument; do
    case $argument in
    --stat) stat=yes ;;
    [2-8] | whoami)
        [ -z "$step" ] || usage
        step=$argument
        ;;
    *) usage ;;
    esac
done
[ -n "$step" ] || usage

# shellcheck source-path=SCRIPTDIR source=toolchain.sh
. "$(dirname "${BASH_SOURCE[0]}")/toolchain.sh"
need git
root=$ROOT
case $step in
whoami) old=step7 new=whoami ;;
*) old=step$((step - 1)) new=step$step ;;
esac

# Where a package lies.
place_of() {
    case $1 in
    step*) echo "$root/$1" ;;
    *) echo "$root/examples/$1" ;;
    esac
}

for folder in "$old" "$new"; do
    [ -f "$(place_of "$folder")/Cargo.toml" ] || {
        echo "There is no $folder in $root." >&2
        exit 1
    }
done

scratch=$(mktemp -d "${TMPDIR:-/tmp}/diff-step.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
# Both steps side by side under one name for the package, without what is not the lesson.
for folder in "$old" "$new"; do
    mkdir "$scratch/$folder"
    cp -R "$(place_of "$folder")/src" "$scratch/$folder/"
    sed "s/^name = \"$folder\"\$/name = \"stepN\"/" "$(place_of "$folder")/Cargo.toml" >"$scratch/$folder/Cargo.toml"
done
cd "$scratch" || exit 1

if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
    color=always bold=$'\033[1m' plain=$'\033[0m'
else
    color=never bold='' plain=''
fi

# The user's own git settings (pagers, prefixes, external tools) would change what is shown.
difference() {
    GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 \
        git --no-pager diff --no-index --no-ext-diff --no-renames --color="$color" "$old" "$new"
}

if [ "$stat" = no ]; then
    difference
    echo
fi

# One line of the summary: what became of a file, its name, its lines.
row() {
    printf '  %-8s %-24s %s\n' "$1" "$2" "$3"
}

echo "${bold}$old -> $new${plain}"
added=0 removed=0
unchanged=
while IFS= read -r file; do
    if ! [ -f "$new/$file" ]; then
        lines=$(($(wc -l <"$old/$file")))
        removed=$((removed + lines))
        row gone "$file" "-$lines"
    elif ! [ -f "$old/$file" ]; then
        lines=$(($(wc -l <"$new/$file")))
        added=$((added + lines))
        row new "$file" "+$lines"
    elif cmp -s "$old/$file" "$new/$file"; then
        unchanged="$unchanged $file"
    else
        read -r plus minus _ < <(GIT_CONFIG_GLOBAL=/dev/null git --no-pager diff --no-index --numstat --no-renames \
            "$old/$file" "$new/$file")
        added=$((added + plus)) removed=$((removed + minus))
        row touched "$file" "+$plus -$minus"
    fi
done < <({ (cd "$old" && find . -type f) && (cd "$new" && find . -type f); } | sed 's|^\./||' | sort -u)
echo "  lines: +$added -$removed"
echo "  unchanged, need not be read again:${unchanged:- none}"
