#!/usr/bin/env bash
# Runs the commands that the READMEs show, and compares what they print with what the READMEs say they print.
#
#   scripts/readme_commands.sh                 README.md and */README.md and */*/README.md
#   scripts/readme_commands.sh step6/README.md only this one
#
# What is run: every fenced block marked `console`. In it
#   $ command      is a command; a line `> more` continues it
#   other lines    are its output, up to the next command. None: only the exit status counts, which must be 0.
#   ...            alone on a line stands for any lines, also for none; inside a line for any text
#   [..]           stands for any text inside a line
#   (exit 1)       as the last line of output: the command must end with this status
# A block after the line `<!-- not run: the reason -->` is left alone.
#
# How: each README has one shell, so variables live on, in an empty folder that shows the workspace's files, so that
# keys/ and .data/ are made there and thrown away. `cargo run -p stepN` (or auth-server) is a server: it runs on in the
# background until the README ends or starts the next one; its output is its log so far. Port 9000 (3001 in whoami's) is
# replaced by a free one, in the commands and in what they print, so nothing on this machine is in the way.
# Lines by which cargo says what it does (Compiling, Finished, Running) are no output.

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# ---- reading ----------------------------------------------------------------------------------------------------

# commands FILE: `LINE<tab>kind<tab>text` for each command (kind $), its continuations (>) and its output (=).
commands() {
    awk -v OFS='\t' '
        /^<!-- not run:/ { skip = 1 }
        /^[ ]*```/ && inside { inside = 0; next }
        /^[ ]*```console[ ]*$/ && !skip { inside = 1; next }
        /^[ ]*```/ { other = !other; if (!other) skip = 0; next }
        !inside { next }
        /^\$ / { print NR, "$", substr($0, 3); next }
        /^> / { print NR, ">", substr($0, 3); next }
        { print NR, "=", $0 }
    ' "$1"
}

# ---- comparing --------------------------------------------------------------------------------------------------

# like LINE EXPECTED: whether a line is what the README says.
like() {
    local pattern=$2 special
    for special in \\ '*' '?' '['; do
        pattern=${pattern//"$special"/"\\$special"}
    done
    pattern=${pattern//"\\[..]"/*}
    pattern=${pattern//.../*}
    # shellcheck disable=SC2053
    [[ $1 == $pattern ]]
}

# matches FILE EXPECTED [open]: whether the lines of a file are the expected ones. With `open` more may follow.
matches() {
    local file=$1 line expected gap=no index=0 lines=()
    while IFS= read -r expected; do
        lines[${#lines[@]}]=$expected
    done <<<"$2"
    while IFS= read -r line || [ -n "$line" ]; do
        while [ "$index" -lt "${#lines[@]}" ] && [ "${lines[index]}" = ... ]; do
            gap=yes index=$((index + 1))
        done
        if [ "$index" -lt "${#lines[@]}" ] && like "$line" "${lines[index]}"; then
            index=$((index + 1))
            gap=no
        elif [ "$gap" = no ]; then
            [ "$index" -ge "${#lines[@]}" ] && [ "${3-}" = open ]
            return
        fi
    done < <(said "$file")
    while [ "$index" -lt "${#lines[@]}" ] && [ "${lines[index]}" = ... ]; do
        index=$((index + 1))
    done
    [ "$index" -ge "${#lines[@]}" ]
}

# The output in a file, without cargo's own lines and colours, with the port that the README names.
said() {
    tr -d '\r' <"$1" | sed -e "s/:$PORT/:$SHOWN/g" -e $'s/\033\\[[0-9;]*m//g' |
        grep -Ev '^ *(Compiling|Finished|Running|Blocking|Downloading|Downloaded|Updating|Locking|Fresh|Building) '
}

# ---- running ----------------------------------------------------------------------------------------------------

# A port that was free a moment ago.
free_port() {
    start step1
    PORT=${URL##*:}
    stop "$PID"
}

# Prepares the folder and the shell of one README. The shell reads commands from descriptor 7.
open_session() {
    SESSION=$SCRATCH/session
    rm -rf "$SESSION"
    mkdir -p "$SESSION/bin" "$SESSION/home"
    local file
    for file in "$ROOT"/* "$ROOT"/.gitignore; do
        case ${file##*/} in
        keys | target) ;;
        *) ln -s "$file" "$SESSION/home/" ;;
        esac
    done
    # cargo works on the workspace, but what it runs works in the folder of the session. Where the binaries are built
    # already, `cargo run -p NAME` is that binary.
    cat >"$SESSION/bin/cargo" <<END
#!/usr/bin/env bash
command=\$1
shift
if [ "\$command" = run ] && [ -n "${CHECKS_BIN-}" ] && [[ "\$*" =~ ^(-q\ |--quiet\ )?-p\ ([a-z0-9-]+)(\ --\ .*|\ --)?\$ ]]; then
    while [ \$# -gt 0 ] && [ "\$1" != -- ]; do shift; done
    [ \$# -eq 0 ] || shift
    exec "${CHECKS_BIN-}/\${BASH_REMATCH[2]}" "\$@"
fi
exec "$(command -v cargo)" "\$command" --manifest-path "$ROOT/Cargo.toml" "\$@"
END
    chmod +x "$SESSION/bin/cargo"
    mkfifo "$SESSION/commands"
    free_port
    (
        cd "$SESSION/home" || exit 1
        PATH=$SESSION/bin:$PATH CARGO_TARGET_DIR=$TARGET MCP_BIND=127.0.0.1:$PORT \
            MCP_RESOURCE=http://localhost:$PORT/mcp exec bash --norc --noprofile
    ) <"$SESSION/commands" >/dev/null 2>&1 &
    SHELL_PID=$!
    CHILDREN="$CHILDREN $SHELL_PID"
    exec 7>"$SESSION/commands"
    SERVER=
}

close_session() {
    stop_server
    exec 7>&-
    stop "$SHELL_PID"
}

stop_server() {
    [ -z "$SERVER" ] || tell "kill $SERVER; wait $SERVER" >/dev/null 2>&1
    SERVER=
}

# tell COMMAND: has the session's shell run it and waits until it is done, at most five minutes (cargo may have to
# build). Output in $SESSION/out, status in STATUS.
tell() {
    local left=6000
    rm -f "$SESSION/status"
    printf '%s\n' "{ $1
} >$SESSION/out 2>&1 </dev/null; echo \$? >$SESSION/status.new; mv $SESSION/status.new $SESSION/status" >&7
    until [ -f "$SESSION/status" ]; do
        left=$((left - 1))
        if [ "$left" -eq 0 ] || ended "$SHELL_PID"; then
            STATUS='(no end)'
            return 1
        fi
        sleep 0.05
    done
    read -r STATUS <"$SESSION/status"
}

is_server() {
    [[ $1 =~ cargo\ run\ .*-p\ (step[1-8]|auth-server|rmcp-server|whoami) ]] && ! [[ $1 =~ (--help|--version|rotate-keys|\|) ]]
}

# One command of a README: run it, compare.
try() {
    local place=$1 command=$2 expected=$3 wanted=0 claim
    claim="$place: ${command%%$'\n'*}"
    command=${command//localhost:9000/localhost:$PORT}
    command=${command//127.0.0.1:9000/127.0.0.1:$PORT}
    command=${command//localhost:3001/localhost:$PORT}
    if is_server "$command"; then
        try_server "$claim" "${command%&}" "$expected"
        return
    fi
    if [[ $expected =~ (^|$'\n')\(exit\ ([0-9]+)\)$ ]]; then
        wanted=${BASH_REMATCH[2]}
        expected=${expected%"(exit $wanted)"}
        expected=${expected%$'\n'}
    fi
    tell "$command"
    # A reader is slower than this script: a server that looks for a new key once a second has long found it.
    local tries=5
    while [ "$tries" -gt 0 ] && ! as_shown "$wanted" "$expected" &&
        grep -qE 'temporarily_unavailable|"keys":false' "$SESSION/out"; do
        sleep 0.5
        tries=$((tries - 1))
        tell "$command"
    done
    if as_shown "$wanted" "$expected"; then
        pass "$claim"
    else
        fail "$claim"
        printf '    status:   %s, expected %s\n    expected:\n%s\n    answer:\n%s\n' \
            "$STATUS" "$wanted" "$expected" "$(said "$SESSION/out" | head -n 40)"
    fi
}

# Whether the last command ended with this status and printed this.
as_shown() {
    [ "$STATUS" = "$1" ] && { [ -z "$2" ] || matches "$SESSION/out" "$2"; }
}

try_server() {
    stop_server
    tell "$2 >$SESSION/log 2>&1 & echo \$! >$SESSION/pid"
    read -r SERVER <"$SESSION/pid"
    CHILDREN="$CHILDREN $SERVER"
    if wait_for_log && eventually log_matches "$3"; then
        pass "$1"
    else
        fail "$1"
        printf '    expected:\n%s\n    answer:\n%s\n' "$3" "$(said "$SESSION/log" | head -n 40)"
    fi
}

# The server may have to be built first.
wait_for_log() {
    local left=30
    until eventually grep -q 'listening' "$SESSION/log"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] && ! ended "$SERVER" || return 1
    done
}

log_matches() {
    [ -z "$1" ] || matches "$SESSION/log" "$1" open
}

run_readme() {
    local name=$1 line kind text place='' command='' expected=''
    commands "$ROOT/$name" >"$SCRATCH/commands"
    [ -s "$SCRATCH/commands" ] || return 0
    echo "# $name"
    # The port that the README names.
    SHOWN=9000
    [ "$name" != examples/whoami/README.md ] || SHOWN=3001
    open_session
    # On a descriptor of its own: nothing that is run may read the list.
    while IFS=$'\t' read -r line kind text <&6; do
        case $kind in
        '$')
            [ -z "$command" ] || try "$place" "$command" "${expected%$'\n'}"
            place=$name:$line command=$text expected=
            ;;
        '>') command=$command$'\n'$text ;;
        '=') expected=$expected$text$'\n' ;;
        esac
    done 6<"$SCRATCH/commands"
    [ -z "$command" ] || try "$place" "$command" "${expected%$'\n'}"
    close_session
}

build step1
if [ $# -eq 0 ]; then
    cd "$ROOT" || exit 1
    set -- README.md */README.md */*/README.md
fi
for readme; do
    [ ! -f "$ROOT/$readme" ] || run_readme "$readme"
done
finish
