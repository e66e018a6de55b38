#!/usr/bin/env bash
# Runs the commands that the READMEs and pages show, and compares what they print with what is written there.
#
#   scripts/readme_commands.sh                 every page: README.md, docs/, and those of the members
#   scripts/readme_commands.sh step6/README.md only this one
#
# What is run: every fenced block marked `console`, `sh` or `bash`. In a `console` block
#   $ command      is a command; a line `> more` continues it
#   other lines    are its output, up to the next command. None: only the exit status counts, which must be 0.
#   ...            alone on a line stands for any lines, also for none; inside a line for any text
#   [..]           stands for any text inside a line
#   (exit 1)       as the last line of output: the command must end with this status
# In a `sh` or `bash` block every line is a part of a command, and each command must end with 0.
# A block that begins with `git apply scripts/sabotage/..` is compared with that patch: it applies, and names this script and
# this claim. That the claim turns red is what break_it.sh demands of every patch.
# A block after the line `<!-- not run: the reason -->` is left alone, and counted: more than 15 of them are a failure. So is
# a block without a kind, or of a kind that nobody knows: commands could hide in it.
#
# How: each page has one shell, so variables live on, in an empty folder that shows the workspace's files, so that
# keys/ and .data/ are made there and thrown away. `cargo run -p stepN` (or auth-server) is a server: it runs on in the
# background until the page ends or starts the next one of its kind; its output is its log so far. Ports 9000 (3001 in
# whoami's page, 8000 in github-profile's) and 9001 are replaced by free ones, in the commands and in what they print, so
# nothing on this machine is in the way. Lines by which cargo says what it does (Compiling, Finished, Running) are no output.

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Most blocks that may be left alone, in all pages together.
MOST_SKIPPED=15

# ---- reading ----------------------------------------------------------------------------------------------------

# blocks FILE: `LINE<tab>kind<tab>text` for each command of a console (kind $), its continuations (>), its output (=), each
# line of a shell block (s), a sabotage (b), the end of a block (e), the reason why a block is left alone (x), and a block of
# an unknown kind (?).
blocks() {
    awk -v OFS='\t' '
        # The number of backticks that a line begins with, three at least.
        function fence(line, count) {
            sub(/^ */, "", line)
            for (count = 0; substr(line, count + 1, 1) == "`"; count++);
            return count < 3 ? 0 : count
        }
        function label(line) {
            gsub(/^[ `]*|[ ].*$/, "", line)
            return line
        }
        !inside && /^<!-- not run: .* -->$/ { reason = substr($0, 15, length($0) - 18); next }
        fence($0) && inside && fence($0) >= inside && label($0) == "" {
            if (kind ~ /^(sh|bash)$/ && !left) print NR, "e", ""
            inside = 0
            next
        }
        fence($0) && !inside {
            inside = fence($0)
            kind = label($0)
            left = 0
            first = 1
            if (kind !~ /^(console|sh|bash)$/) {
                if (kind !~ /^(text|json|toml|markdown|mermaid|diff|rust|yaml|ini|html|nginx|dockerfile)$/) print NR, "?", kind
                left = 1
            } else if (reason != "") {
                print NR, "x", reason
                left = 1
            }
            reason = ""
            next
        }
        !inside || left { next }
        kind == "console" && /^\$ / { print NR, "$", substr($0, 3); next }
        kind == "console" && /^> / { print NR, ">", substr($0, 3); next }
        kind == "console" { print NR, "=", $0; next }
        first { mark = /^git apply scripts\/sabotage\// ? "b" : "s"; first = 0 }
        { print NR, mark, $0 }
    ' "$1"
}

# commands FILE: the same with shell blocks taken apart into commands (kinds $ and >): a command ends where bash finds it
# whole.
commands() {
    local line kind text whole='' first=''
    while IFS=$'\t' read -r line kind text; do
        if [ "$kind" != s ]; then
            [ -z "$whole" ] || as_command "$first" "$whole"
            whole=
            [ "$kind" = e ] || printf '%s\t%s\t%s\n' "$line" "$kind" "$text"
            continue
        fi
        [ -n "$whole" ] || first=$line
        whole=$whole$text
        case $text in
        *\\) whole=$whole$'\n' ;;
        *)
            # Of a here-document without its end it only warns.
            if [ -z "$(bash -n <<<"$whole" 2>&1)" ]; then
                as_command "$first" "$whole"
                whole=
            else
                whole=$whole$'\n'
            fi
            ;;
        esac
    done < <(blocks "$1")
}

# as_command LINE TEXT: nothing where the text is only a comment or blank.
as_command() {
    local kind='$' text
    grep -qvE '^[[:space:]]*(#.*)?$' <<<"$2" || return 0
    while IFS= read -r text; do
        printf '%s\t%s\t%s\n' "$1" "$kind" "$text"
        kind='>'
    done <<<"$2"
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
    tr -d '\r' <"$1" | sed -e "s/:$PORT/:$SHOWN/g" -e "s/:$AUTH_PORT/:9001/g" -e $'s/\033\\[[0-9;]*m//g' |
        grep -Ev '^ *(Compiling|Finished|Running|Blocking|Downloading|Downloaded|Updating|Locking|Fresh|Building) '
}

# ---- running ----------------------------------------------------------------------------------------------------

# Two ports that were free a moment ago: both are taken until both are known.
free_ports() {
    local first
    start step1
    first=$PID PORT=${URL##*:}
    start step1
    AUTH_PORT=${URL##*:}
    stop "$PID"
    stop "$first"
}

# Prepares the folder and the shell of one README. The shell reads commands from descriptor 7.
open_session() {
    SESSION=$SCRATCH/session
    rm -rf "$SESSION"
    mkdir -p "$SESSION/bin" "$SESSION/home"
    local file
    for file in "$ROOT"/* "$ROOT"/.gitignore; do
        case ${file##*/} in
        keys | target | exercise) ;;
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
    ln -s "$(command -v "$JQ")" "$SESSION/bin/jq"
    mkfifo "$SESSION/commands"
    free_ports
    (
        cd "$SESSION/home" || exit 1
        PATH=$SESSION/bin:$PATH CARGO_TARGET_DIR=$TARGET MCP_BIND=127.0.0.1:$PORT AUTH_BIND=127.0.0.1:$AUTH_PORT \
            MCP_RESOURCE=http://localhost:$PORT/mcp MCP_CLIENT_CACHE=$SESSION/cache \
            exec bash --norc --noprofile
    ) <"$SESSION/commands" >/dev/null 2>&1 &
    SHELL_PID=$!
    CHILDREN="$CHILDREN $SHELL_PID"
    exec 7>"$SESSION/commands"
    # The servers that run, one of each kind; read by name.
    # shellcheck disable=SC2034
    SERVER='' ISSUER=''
}

close_session() {
    stop_server SERVER
    stop_server ISSUER
    exec 7>&-
    stop "$SHELL_PID"
    SHELL_PID=
}

# stop_server SERVER|ISSUER: the one of that kind, if it runs.
stop_server() {
    [ -z "${!1}" ] || tell "kill ${!1}; wait ${!1}" >/dev/null 2>&1
    printf -v "$1" ''
}

# tell COMMAND: has the session's shell run it and waits until it is done, at most twenty minutes (cargo may have to
# build). Output in $SESSION/out, status in STATUS.
tell() {
    local left=24000
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
    [[ $1 =~ cargo\ run\ .*-p\ (step[1-8]|auth-server|rmcp-server|github-profile|whoami) ]] &&
        ! [[ $1 =~ (--help|--version|rotate-keys|hash-password|revoke|\|) ]]
}

# One command of a page: run it, compare.
try() {
    local place=$1 command=$2 expected=$3 wanted=0 claim
    claim="$place: ${command%%$'\n'*}"
    command=${command//localhost:$SHOWN/localhost:$PORT}
    command=${command//127.0.0.1:$SHOWN/127.0.0.1:$PORT}
    command=${command//localhost:9001/localhost:$AUTH_PORT}
    command=${command//127.0.0.1:9001/127.0.0.1:$AUTH_PORT}
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

# A server in the background, without the comment behind its command. It takes the place of the last one of its kind.
try_server() {
    local kind=SERVER command=${2%%  #*} pid
    [[ $command != *"-p auth-server"* ]] || kind=ISSUER
    LOG=$SESSION/log.$kind
    stop_server "$kind"
    tell "$command >$LOG 2>&1 & echo \$! >$SESSION/pid"
    read -r pid <"$SESSION/pid"
    printf -v "$kind" %s "$pid"
    CHILDREN="$CHILDREN $pid"
    if wait_for_log "$pid" && eventually log_matches "$3"; then
        pass "$1"
    else
        fail "$1"
        printf '    expected:\n%s\n    answer:\n%s\n' "$3" "$(said "$LOG" | head -n 40)"
    fi
}

# wait_for_log PID: the server may have to be built first.
wait_for_log() {
    local left=30
    until eventually grep -q 'listening' "$LOG"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] && ! ended "$1" || return 1
    done
}

log_matches() {
    [ -z "$1" ] || matches "$LOG" "$1" open
}

# try_sabotage PLACE LINE..: the patch applies, and the line with its script says which claim it turns red.
try_sabotage() {
    local place=$1 patch script claim red
    shift
    patch=${1#git apply }
    patch=${patch%% *}
    script=$(sed -n -e 's/^# Step: \(.*\)/test_step\1.sh/p' -e 's/^# Script: //p' "$ROOT/$patch" 2>/dev/null)
    red=$(sed -n 's/^# Red: //p' "$ROOT/$patch" 2>/dev/null)
    claim=${2#*# not ok ..* - }
    if [ $# -eq 2 ] && [[ $2 == "scripts/$script "* ]] && [ -n "$red" ] && [ "$claim" = "$red" ] &&
        (cd "$ROOT" && git apply --check "$patch") 2>"$SCRATCH/apply.log"; then
        pass "$place: git apply $patch"
    else
        fail "$place: git apply $patch"
        printf '    expected: two lines, the patch and scripts/%s  # not ok ... - %s\n    found:\n' "$script" "$red"
        printf '      %s\n' "$@"
        cat "$SCRATCH/apply.log" 2>/dev/null
    fi
}

# ---- pages ------------------------------------------------------------------------------------------------------

# The port that a page names.
shown_port() {
    case $1 in
    examples/whoami/README.md) echo 3001 ;;
    examples/github-profile/README.md) echo 8000 ;;
    *) echo 9000 ;;
    esac
}

run_page() {
    local name=$1 line kind text place='' command='' expected='' sabotage=()
    commands "$ROOT/$name" >"$SCRATCH/commands"
    [ -s "$SCRATCH/commands" ] || return 0
    echo "# $name"
    SHOWN=$(shown_port "$name")
    cut -f 2 "$SCRATCH/commands" | grep -q '\$' && open_session
    # On a descriptor of its own: nothing that is run may read the list.
    while IFS=$'\t' read -r line kind text <&6; do
        if [ "$kind" != b ] && [ "${#sabotage[@]}" -gt 0 ]; then
            try_sabotage "$place" "${sabotage[@]}"
            sabotage=()
        fi
        case $kind in
        '>') command=$command$'\n'$text ;;
        '=') expected=$expected$text$'\n' ;;
        *)
            [ -z "$command" ] || try "$place" "$command" "${expected%$'\n'}"
            command='' expected=''
            ;;
        esac
        case $kind in
        '$') place=$name:$line command=$text ;;
        b)
            [ "${#sabotage[@]}" -gt 0 ] || place=$name:$line
            sabotage[${#sabotage[@]}]=$text
            ;;
        x) leave "$name:$line" "$text" ;;
        '?') fail "$name:$line: a block of the kind '$text', which nobody knows" ;;
        esac
    done 6<"$SCRATCH/commands"
    [ -z "$command" ] || try "$place" "$command" "${expected%$'\n'}"
    [ "${#sabotage[@]}" -eq 0 ] || try_sabotage "$place" "${sabotage[@]}"
    [ -z "${SHELL_PID-}" ] || close_session
}

# A block that is not run: said aloud, and counted.
leave() {
    SKIPPED=$((SKIPPED + 1))
    echo "# skipped: $1: $2"
}

# Every page, but for what is made here: target/, and the reader's own exercise/.
pages() {
    (cd "$ROOT" && printf '%s\n' *.md */*.md */*/*.md) | grep -vE '^(target|exercise|keys)/|\*'
}

build step1
if [ $# -eq 0 ]; then
    # shellcheck disable=SC2046 # no page has a space in its name
    set -- $(pages)
fi
for page; do
    [ -f "$ROOT/$page" ] || die "there is no page $page."
    run_page "$page"
done
check "at most $MOST_SKIPPED blocks are left alone" test "$SKIPPED" -le "$MOST_SKIPPED"
finish
