# shellcheck shell=bash
# A small workspace beside the repository's: the same tables and versions, and nothing of the repository changes. For
# `exercise.sh` (the reader's server) and `attack.sh` (a server without one of its checks). Sourced, never run.

# workspace_manifest PATH MEMBER..: a Cargo.toml with the tables of the root, which lies at this path from there.
workspace_manifest() {
    local path=$1 members
    shift
    members=$(printf ', "%s"' "$@")
    echo "# Made by a script, from the Cargo.toml of the root: what may be changed is in the folders below."
    printf '[workspace]\nresolver = "3"\nmembers = [%s]\n\n' "${members#, }"
    awk '/^\[/ { own = ($0 == "[workspace]") } !own' "$ROOT/Cargo.toml" | sed "s,path = \"tools/,path = \"$path/tools/,"
}

# build_beside FOLDER [cargo argument..]: builds its programs, by the root's lock file, of which cargo leaves out what is
# not used. What is compiled of other people's crates is shared with the root; the finished programs are not, so those
# of the repository stay as they are.
build_beside() {
    local folder=$1
    shift
    CARGO_BUILD_BUILD_DIR=$TARGET cargo build --quiet --manifest-path "$folder/Cargo.toml" \
        --target-dir "$TARGET/${folder##*/}" --workspace --bins "$@"
}
