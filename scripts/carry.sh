#!/usr/bin/env bash
# Carries a change that was made in one step to the steps after it, by a three-way merge.
#
#   scripts/carry.sh step4/src/headers.rs                  what was changed in it and is not committed yet
#   scripts/carry.sh --since HEAD~1 step4/src/headers.rs   what was changed in it since a commit, committed or not
#   scripts/carry.sh --dry-run step4/src/headers.rs        says what it would do
#
# COMMIT is what git takes for one, such as HEAD~1, main or 3f2a9c1. It must be from before the change: what the file was
# there is what the later steps are taken to have. Without it, that is the last commit, HEAD.
#
# Any number of files. A later step whose file is the same gets the same file; one whose file has grown gets the change
# alone. examples/whoami, which goes on from step 7, comes behind it. Where the change does not fit, nothing is written: it
# says which lines collide, and ends with status 1. Twice does no harm: what has the change already is left as it is.
set -u

# wrong WHAT: says what cannot be understood, and what could be.
wrong() {
    echo "$1" >&2
    echo "usage: scripts/carry.sh [--since COMMIT] [--dry-run] stepN/FILE ..   carries what changed in it to the later steps." >&2
    exit 2
}

since=HEAD
write=yes
while [ $# -gt 0 ]; do
    case $1 in
    --since)
        [ $# -gt 1 ] || wrong '--since needs a commit from before the change, such as HEAD~1'
        since=$2
        shift
        ;;
    --dry-run) write=no ;;
    -h | --help)
        awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "${BASH_SOURCE[0]}"
        exit 0
        ;;
    -*) wrong "there is no option $1" ;;
    *) break ;;
    esac
    shift
done
[ $# -gt 0 ] || wrong 'name a file of a step, such as step4/src/headers.rs'

# shellcheck source-path=SCRIPTDIR source=toolchain.sh
. "$(dirname "${BASH_SOURCE[0]}")/toolchain.sh"
need git
cd "$ROOT" || exit 1
git rev-parse --quiet --verify "$since^{commit}" >/dev/null || {
    echo "there is no commit $since; git log --oneline -- FILE lists those that changed a file" >&2
    exit 2
}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/carry.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
old=$scratch/old
merged=$scratch/merged
status=0

# The houses that come after a step, in order.
later() {
    local number
    for number in 2 3 4 5 6 7; do
        [ "$number" -le "$1" ] || echo "step$number"
    done
    [ "$1" -gt 7 ] || echo examples/whoami
    [ "$1" -gt 7 ] || echo step8
}

# row WHAT FILE
row() {
    printf '  %-9s %s\n' "$1" "$2"
}

# cannot FILE WHY
cannot() {
    row 'CANNOT' "$1: $2"
    status=1
}

# place FROM TO: the content of one file for another, which may be in a folder that is not there yet.
place() {
    [ "$write" = yes ] || return 0
    mkdir -p "$(dirname "$2")"
    cat "$1" >"$2"
}

# carry FILE TO: what became of FILE since then, in TO.
carry() {
    local file=$1 to=$2
    if [ "$existed" = no ]; then
        add "$file" "$to"
    elif ! [ -f "$to" ]; then
        cannot "$to" "it is not there, though $file was"
    elif ! [ -f "$file" ]; then
        remove "$to"
    elif cmp -s "$to" "$old"; then
        place "$file" "$to"
        row same "$to"
    else
        merge "$file" "$to"
    fi
}

# A file that is new.
add() {
    if ! [ -e "$2" ]; then
        place "$1" "$2"
        row new "$2"
    elif cmp -s "$1" "$2"; then
        row 'has it' "$2"
    else
        cannot "$2" 'another file has this name'
    fi
}

# A file that is gone.
remove() {
    if cmp -s "$1" "$old"; then
        [ "$write" = no ] || rm "$1"
        row gone "$1"
    else
        cannot "$1" 'it has grown since: look what has to go with it'
    fi
}

merge() {
    local file=$1 to=$2
    git merge-file -p --diff3 -L "$to" -L "before" -L "$file" "$to" "$old" "$file" >"$merged"
    case $? in
    0)
        if cmp -s "$merged" "$to"; then
            row 'has it' "$to"
        else
            place "$merged" "$to"
            row merged "$to"
        fi
        ;;
    *)
        cannot "$to" 'both changed these lines'
        collisions | sed 's/^/    /'
        ;;
    esac
}

# The parts of a merge that did not fit, each with where it lies in the file that it was meant for.
collisions() {
    awk '
        /^<<<<<<< / { inside = 1; print "line " line + 1 ":"; ours = 1 }
        inside { print }
        /^\|\|\|\|\|\|\| / { ours = 0 }
        !inside || (ours && !/^<<<<<<< /) { line++ }
        /^>>>>>>> / { inside = 0 }
    ' "$merged"
}

# A fix belongs where the flaw began. One that begins later is a lesson of that step, and all is well.
look_back() {
    local step=$1 rest=$2 before=step$(($1 - 1))/$2
    if [ "$step" -gt 1 ] && [ -f "$before" ] && cmp -s "$before" "$old"; then
        echo "  note: $before is as step$step/$rest was; if the flaw is in it, change it there, and carry from there"
    fi
}

for file; do
    case $file in "$ROOT"/*) file=${file#"$ROOT"/} ;; ./*) file=${file#./} ;; esac
    case $file in
    step[1-8]/?*) ;;
    *)
        echo "$file: name a file of a step, such as step4/src/headers.rs" >&2
        exit 2
        ;;
    esac
    number=${file#step}
    number=${number%%/*}
    rest=${file#step"$number"/}
    : >"$old"
    existed=no
    if git cat-file -e "$since:$file" 2>/dev/null; then
        git show "$since:$file" >"$old"
        existed=yes
    elif ! [ -f "$file" ]; then
        echo "$file: it is not there, and was not at $since" >&2
        exit 2
    fi
    echo "$file, since $since"
    if [ -f "$file" ] && [ "$existed" = yes ] && cmp -s "$file" "$old"; then
        echo "  nothing was changed"
        continue
    fi
    look_back "$number" "$rest"
    [ "$number" -lt 8 ] || echo "  step8 is the last step: there is no later one to carry it to"
    for house in $(later "$number"); do
        carry "$file" "$house/$rest"
    done
done
exit "$status"
