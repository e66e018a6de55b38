# shellcheck shell=bash
# shellcheck disable=SC2034 # the checks read what is set here
# What every check script shares: it starts the real binaries, sends requests with curl, compares answers with
# jq and counts. Sourced, never run.
#
#   start step1                                       run the server on a free port; sets URL, PID, LOG
#   get /health                                       one request; the answer waits for `expect`
#   expect "health answers 200" status 200 json .status healthy
#   check "SIGTERM ends it with 0" is "$EXIT" 0       a claim about something other than an answer
#
# Conditions of `expect`, in any number:
#   status 401                      the status code
#   header Content-Type text/plain  exactly one such header, with exactly this value
#   no-header Allow                 no such header
#   challenge error invalid_token   a parameter of the one `WWW-Authenticate: Bearer` header
#   challenge-words scope 'a b'     the same, as words in any order
#   no-challenge scope              the parameter is absent; `no-challenge -` means no challenge at all
#   json .error.code -32601         a jq filter and the value it must yield (JSON, or else a plain string)
#   where '.tools | length > 2'     a jq filter that must yield true
#   id-digits 9007199254740993      the digits of the id as they stand in the answer (jq would round them)
#   empty                           no body at all
# Every `json` and `where` also demands that the answer holds no null member: clients refuse those.
#
# Needs bash (3.2 is enough), curl, a C compiler and the Rust toolchain; toolchain.sh looks for them. Without jq it builds
# jaq once, into the target folder.

set -u
# One language for sorting, messages and character classes, wherever this runs.
export LC_ALL=C
# The name that a server must give itself; empty: that of its step.
SERVICE=${CHECKS_SERVICE-}
# What the user's shell happens to set must not decide what is tested.
unset MCP_BIND MCP_PUBLIC_KEY MCP_ISSUER MCP_RESOURCE MCP_CALLS_PER_MINUTE MCP_ACCEPT_UNTYPED MCP_ROLES_CLAIM RUST_LOG
unset MCP_METRICS_BIND "${!MCP_UPSTREAM_@}"
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
export NO_COLOR=1

# Nothing here waits for somebody at a terminal.
exec </dev/null

# shellcheck source-path=SCRIPTDIR source=toolchain.sh
. "$(dirname "${BASH_SOURCE[0]}")/toolchain.sh"
# Before anything is made that would have to be cleaned up.
need curl:7.82
# Whoever brings the binaries along needs no Rust.
[ -n "${CHECKS_BIN-}" ] || need rust cc
find_jq

# Where the binaries are. Whoever names another place has built them, and they are taken as they are.
BIN=${CHECKS_BIN:-$TARGET/debug}
SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/mcp-checks.XXXXXX") || exit 1
HEADERS=()
BODY=$SCRATCH/body

PASSED=0
FAILED=0
SKIPPED=0
FINISHED=no
CHILDREN=
SERVERS=0
URL=
PID=
LOG=
EXIT=
TOKEN=
RESOURCE=
STATUS=000
CURL_EXIT=1
REQUEST=()

# ---- ending -----------------------------------------------------------------------------------------------------

# Ends one child: TERM, ten seconds, KILL. Its status is left in EXIT. Only ever a process that `start` made.
stop() {
    EXIT=
    kill -TERM "$1" 2>/dev/null
    eventually ended "$1" || kill -KILL "$1" 2>/dev/null
    wait "$1" 2>/dev/null
    EXIT=$?
    CHILDREN=" $CHILDREN "
    CHILDREN=${CHILDREN/ $1 / }
}

ended() {
    ! kill -0 "$1" 2>/dev/null
}

# Runs on every exit, and keeps the status: nothing that fails, and nothing that stops half way, ends in 0.
on_exit() {
    local status=$? child
    trap - EXIT
    for child in $CHILDREN; do
        stop "$child"
    done
    rm -rf "$SCRATCH"
    if [ "$FINISHED" = no ]; then
        FAILED=$((FAILED + 1))
        echo "not ok $((PASSED + FAILED)) - the script runs to its end"
        sum
    fi
    if [ "$status" -eq 0 ] && [ "$FAILED" -gt 0 ]; then
        status=1
    fi
    exit "$status"
}
trap on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The last words of a script that was not cut short. A script without a single check has proved nothing.
finish() {
    FINISHED=yes
    sum
    [ "$FAILED" -eq 0 ] && [ "$((PASSED + SKIPPED))" -gt 0 ]
    exit
}

# The last line. Nothing that was skipped hides behind what passed.
sum() {
    if [ "$SKIPPED" -eq 0 ]; then
        echo "$PASSED passed, $FAILED failed"
    else
        echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
    fi
}

# skip WHAT WHY: for what lives on packages from elsewhere. On a person's machine they may be missing; in CI the script
# installs them, so what then cannot run is a failure.
skip() {
    if [ -n "${CI-}" ]; then
        fail "$1 (not skipped, because CI is set: $2)"
    else
        SKIPPED=$((SKIPPED + 1))
        echo "# skipped: $1: $2"
    fi
}

die() {
    echo "$*" >&2
    exit 1
}

# ---- tools ------------------------------------------------------------------------------------------------------

# Tries a command until it succeeds, every 50 ms for at most ten seconds.
eventually() {
    local left=200
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.05
    done
}

# provide TOOL PACKAGE..: whether the tool is here; in CI, after installing these packages of Debian if it is not.
provide() {
    local tool=$1 sudo=
    shift
    here "$tool" && return
    [ -n "${CI-}" ] && here apt-get || return 1
    [ "$(id -u)" -eq 0 ] || sudo='sudo -n'
    echo "# installing $*"
    {
        $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@"
    } >"$SCRATCH/apt.log" 2>&1 || tail -n 3 "$SCRATCH/apt.log"
    hash -r
    here "$tool"
}

# Node 22, which some packages need: the one that is here, or that of the npm package `node`, put into the target
# folder once. Its folder comes first in PATH from here on.
provide_node() {
    local folder=$TARGET/node22
    provide npm nodejs npm || return 1
    case $(node --version 2>/dev/null) in v2[2-9].* | v[3-9][0-9].*) return ;; esac
    if ! [ -x "$folder/node_modules/.bin/node" ]; then
        npm install --prefix "$folder" --no-audit --no-fund --silent node@22 >"$SCRATCH/npm.log" 2>&1 || return 1
    fi
    PATH=$folder/node_modules/.bin:$PATH
    hash -r
}

# build PACKAGE..: makes the binaries that are tested, from what the source says now.
build() {
    local package packages=
    [ -z "${CHECKS_BIN-}" ] || return 0
    for package; do
        packages="$packages -p $package"
    done
    # shellcheck disable=SC2086
    (cd "$ROOT" && cargo build --locked --quiet --target-dir "$TARGET" $packages) || die "cargo build$packages failed."
}

# ---- servers ----------------------------------------------------------------------------------------------------

# start NAME [argument..]: runs $BIN/NAME on a free port and waits until it is healthy. The folder it runs in is
# empty, so it finds no keys but those it is told of.
start() {
    launch "$@"
    if ! eventually settled || ended "$PID" || ! eventually healthy; then
        echo "# $* did not start; its log:" >&2
        sed 's/^/#   /' "$LOG" >&2
        exit 1
    fi
}

# The same, without waiting: for servers that are meant to refuse.
launch() {
    SERVERS=$((SERVERS + 1))
    LOG=$SCRATCH/$SERVERS-$1.log
    mkdir -p "$SCRATCH/cwd"
    cd "$SCRATCH/cwd" || exit 1
    : >"$LOG"
    MCP_BIND=127.0.0.1:0 "$BIN/$1" "${@:2}" >"$LOG" 2>&1 </dev/null &
    PID=$!
    CHILDREN="$CHILDREN $PID"
}

# The server that most checks talk to. The issuer is a port that nobody listens on, so that no authorization server
# that happens to run here takes part; the resource is the server's own address.
ISSUER=http://127.0.0.1:1
start_usual() {
    if [ "$STEP" -lt 5 ]; then
        start "step$STEP"
    elif [ "$STEP" -lt 6 ]; then
        make_keys "$KEYS"
        start "step$STEP" --public-key "$KEYS/public.pem"
        RESOURCE=http://localhost:${URL##*:}/mcp
    else
        make_keys "$KEYS"
        # The checks call more often than a user may.
        MCP_CALLS_PER_MINUTE=0 start "step$STEP" --public-key "$KEYS/public.pem" --issuer "$ISSUER"
        RESOURCE=http://localhost:${URL##*:}/mcp
        TOKEN=$(token --username alice --scopes 'mcp:read mcp:tools mcp:prompts') || exit 1
    fi
}

# Throw-away keys: never those of the workspace.
make_keys() {
    "$BIN/gen-token" --keys-dir "$1" --generate-keys >"$SCRATCH/gen-token.log" 2>&1 ||
        die "gen-token made no keys: $(cat "$SCRATCH/gen-token.log")"
}

# token [gen-token argument..]: a token for this server, signed with the keys in KEYS.
KEYS=$SCRATCH/keys
token() {
    MCP_ISSUER=$ISSUER MCP_RESOURCE=$RESOURCE "$BIN/gen-token" --keys-dir "$KEYS" "$@" 2>"$SCRATCH/gen-token.log" || {
        echo "gen-token $* failed: $(cat "$SCRATCH/gen-token.log")" >&2
        return 1
    }
}

# part TOKEN N: the N-th part of a JWT, decoded.
part() {
    printf '%s' "$1" | cut -d . -f "$2" | tr -d '\n' | tr '_-' '/+' | awk '{ while (length($0) % 4) $0 = $0 "="; print }' |
        base64 -d
}

# base64url: standard input without padding, as JWTs have it.
base64url() {
    base64 | tr -d '\n=' | tr '/+' '_-'
}

# refused [argument..]: runs the server of this script, which must give up by itself; EXIT and LOG tell how.
refused() {
    launch "step$STEP" "$@"
    eventually ended "$PID"
    stop "$PID"
}

settled() {
    ended "$PID" && return 0
    URL=$(sed -n 's/.* is listening.*\(http:\/\/127\.0\.0\.1:[1-9][0-9]*\).*/\1/p' "$LOG" | head -n 1)
    [ -n "$URL" ]
}

healthy() {
    [ "$(curl -q -s --noproxy '*' --max-time 5 -o /dev/null -w '%{http_code}' "$URL/health")" = 200 ]
}

# ---- requests ---------------------------------------------------------------------------------------------------

# request PATH [curl argument..]: one request, at most 15 seconds. What comes back goes to STATUS, HEADERS, BODY.
request() {
    local path=$1 line
    shift
    REQUEST=("$@" "$URL$path")
    : >"$BODY"
    : >"$SCRATCH/headers"
    STATUS=$(curl -q --silent --show-error --noproxy '*' --globoff --path-as-is --max-time 15 \
        -o "$BODY" -D "$SCRATCH/headers" -w '%{http_code}' "$@" "$URL$path" 2>"$SCRATCH/curl.says")
    CURL_EXIT=$?
    # The last header block is the answer; an interim `100 Continue` may stand before it.
    HEADERS=()
    while IFS= read -r line; do
        case $line in HTTP/*) HEADERS=() ;; esac
        HEADERS[${#HEADERS[@]}]=${line%$'\r'}
    done <"$SCRATCH/headers"
}

get() {
    request "$@"
}

# bearer TOKEN COMMAND..: runs one sending command with this token in place of the usual one; '' sends none.
bearer() {
    local TOKEN=$1
    shift
    "$@"
}

# send BODY [curl argument..]: posts these bytes to /mcp as JSON, with the usual token where there is one.
send() {
    local body=$1
    shift
    send_data --data-raw "$body" "$@"
}

# send_file FILE [curl argument..]: the same with the bytes of a file.
send_file() {
    local file=$1
    shift
    send_data --data-binary "@$file" "$@"
}

send_data() {
    if [ -n "$TOKEN" ]; then
        set -- -H "Authorization: Bearer $TOKEN" "$@"
    fi
    request /mcp -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' "$@"
}

# rpc METHOD [PARAMS [curl argument..]]: a request in the plainest form, without version headers (2025-03-26).
rpc() {
    local method=$1 params=${2-}
    shift "$(($# < 2 ? $# : 2))"
    send "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"$method\"${params:+,\"params\":$params}}" "$@"
}

# What a 2026-07-28 request says of itself in its params.
META='"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}'

# modern METHOD [MEMBERS [curl argument..]]: a well-formed 2026-07-28 request; MEMBERS are the members of params.
modern() {
    local method=$1 members=${2-}
    shift "$(($# < 2 ? $# : 2))"
    send "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"$method\",\"params\":{$META${members:+,$members}}}" \
        -H 'MCP-Protocol-Version: 2026-07-28' -H "Mcp-Method: $method" "$@"
}

# ---- claims -----------------------------------------------------------------------------------------------------

# expect CLAIM CONDITION..: passes when the last request was answered and every condition holds.
expect() {
    local claim=$1
    shift
    judge "$@"
    if excepted "$claim"; then
        return
    fi
    if [ -z "$WRONG" ]; then
        pass "$claim"
    else
        fail "$claim"
        printf '    request:  curl%s\n' "$(reproduce)"
        printf '    expected:'
        printf ' %s' "$@"
        printf '\n    wrong:    %s\n' "$WRONG"
        printf '    answer:   %s\n' "$(shorten "$(cat "$SCRATCH/headers" "$BODY" | tr -d '\000\r')")"
        server_says
        first_failure
    fi
}

# Why there is no answer, or an error of the server's own, stands in its log: a panic, for one.
server_says() {
    case $STATUS in 000 | 5*) ;; *) return 0 ;; esac
    [ -s "${LOG:-/dev/null}" ] || return 0
    # The frames of a backtrace would push the panic itself out.
    grep -Ev '^ +([0-9]+:|at )|^stack backtrace:|^note: ' "$LOG" | tail -n 8 | cut -c 1-400 | sed 's/^/    its log:  /'
}

# check CLAIM COMMAND..: passes when the command succeeds.
check() {
    local claim=$1 output
    shift
    if output=$("$@" 2>&1); then
        pass "$claim"
    else
        fail "$claim"
        printf '    command:  %s\n' "$(shorten "$(printf '%q ' "$@")")"
        printf '    answer:   %s\n' "$(shorten "$output")"
        first_failure
    fi
}

pass() {
    PASSED=$((PASSED + 1))
    echo "ok $((PASSED + FAILED)) - $1"
    enough "$1"
}

fail() {
    FAILED=$((FAILED + 1))
    echo "not ok $((PASSED + FAILED)) - $1"
    enough "$1"
}

# Whoever is after one claim only need not wait for the others.
enough() {
    [ "$1" != "${CHECKS_UNTIL-}" ] || finish
}

# Whoever mends one thing at a time need not wait for what else is wrong.
first_failure() {
    [ -z "${CHECKS_FIRST-}" ] || finish
}

# differs, is ACTUAL EXPECTED: for `check`.
differs() {
    [ "$1" != "$2" ] || {
        echo "got [$1] again"
        return 1
    }
}

is() {
    [ "$1" = "$2" ] || {
        echo "got [$1], expected [$2]"
        return 1
    }
}

# The last request as one can type it; the token is named, not shown.
reproduce() {
    local word text=
    for word in "${REQUEST[@]}"; do
        if [ -n "$TOKEN" ] && [ "$word" = "Authorization: Bearer $TOKEN" ]; then
            text="$text \"Authorization: Bearer \$TOKEN\""
        else
            text="$text $(quoted "$word")"
        fi
    done
    [ -z "$TOKEN" ] || text=${text//"$TOKEN"/TOKEN}
    shorten "$text"
}

# One word for a shell: in single quotes where it needs any.
quoted() {
    local quote="'\\''"
    case $1 in
    '' | *[!A-Za-z0-9_./:=@%+,-]*) printf "'%s'" "${1//\'/$quote}" ;;
    *) printf '%s' "$1" ;;
    esac
}

# Long bodies and tokens are cut: a failure is for reading.
shorten() {
    if [ "${#1}" -gt 1600 ]; then
        printf '%s [.. %s characters in all]' "${1:0:1600}" "${#1}"
    else
        printf '%s' "$1"
    fi
}

# Sets WRONG to the first condition that does not hold, or to nothing.
judge() {
    local filters='' count=0
    WRONG=
    WANTED=()
    if [ "$CURL_EXIT" -ne 0 ]; then
        WRONG="no answer: curl ended with $CURL_EXIT: $(cat "$SCRATCH/curl.says")"
        return
    fi
    [ $# -gt 0 ] || WRONG='a claim without a condition'
    while [ $# -gt 0 ] && [ -z "$WRONG" ]; do
        case $1 in
        status)
            [ "$STATUS" = "$2" ] || WRONG="the status is $STATUS"
            shift 2
            ;;
        header)
            header "$2"
            [ "$VALUE" = "$3" ] || WRONG="header $2 is [$VALUE]"
            shift 3
            ;;
        no-header)
            header "$2"
            [ "$VALUE" = '(absent)' ] || WRONG="header $2 is there: [$VALUE]"
            shift 2
            ;;
        challenge)
            challenge "$2"
            [ "$VALUE" = "$3" ] || WRONG="parameter $2 of the challenge is [$VALUE]"
            shift 3
            ;;
        challenge-words)
            challenge "$2"
            same_words "$VALUE" "$3" || WRONG="parameter $2 of the challenge is [$VALUE]"
            shift 3
            ;;
        no-challenge)
            no_challenge "$2" || WRONG="the challenge is [$VALUE]"
            shift 2
            ;;
        id-digits)
            grep -Eq "\"id\":$2[,}]" "$BODY" || WRONG="the id is another"
            shift 2
            ;;
        empty)
            [ ! -s "$BODY" ] || WRONG='there is a body'
            shift
            ;;
        json | where)
            count=$((count + 1))
            if [ "$1" = where ]; then
                filters="$filters(($2) == true),"
                WANTED=("${WANTED[@]+"${WANTED[@]}"}" "$2" true)
                set -- "$1" "$@"
            else
                as_json "$3"
                filters="$filters($2) == $VALUE,"
                WANTED=("${WANTED[@]+"${WANTED[@]}"}" "$2" "$VALUE")
            fi
            shift 3
            ;;
        *)
            WRONG="no such condition: $1"
            ;;
        esac
    done
    if [ -z "$WRONG" ] && [ "$count" -gt 0 ]; then
        judge_json "$filters" "$count"
    fi
}

# One run of jq for all filters. Counting them keeps a filter that yields nothing from passing unseen.
judge_json() {
    local says
    says=$("$JQ" -c "[$1 ([.. | select(. == null)] | length == 0)] | if length == $2 + 1 and all then true else . end" \
        "$BODY" 2>&1)
    if [ "$says" != true ]; then
        WRONG=$(explain)
        WRONG=${WRONG:-the body is not what is demanded: $says}
    fi
}

# One line for each filter that does not yield what it must, with what it yields; then for members that are null.
explain() {
    local number actual nulls said=
    if ! [ -s "$BODY" ]; then
        echo "the body is empty"
        return
    elif [ "$("$JQ" -s length "$BODY" 2>/dev/null)" != 1 ]; then
        echo "the body is not one JSON document"
        return
    fi
    for ((number = 0; number < ${#WANTED[@]}; number += 2)); do
        actual=$("$JQ" -c "${WANTED[number]}" "$BODY" 2>&1 | head -n 3 | tr '\n' ' ')
        actual=${actual% }
        [ "$actual" = "${WANTED[number + 1]}" ] || [ "$(yields "$number")" = '[true]' ] || {
            explain_one "\`${WANTED[number]}\` is ${actual:-nothing}, expected ${WANTED[number + 1]}"
            said=yes
        }
    done
    nulls=$("$JQ" -r '[paths(. == null) | map(tostring) | join(".")] | join(", ")' "$BODY" 2>/dev/null)
    [ -z "$nulls" ] || explain_one "there are members that are null, which clients refuse: $nulls"
}

# yields N: whether the filter at N in WANTED yields its value, as jq says it.
yields() {
    "$JQ" -c "[(${WANTED[$1]}) == ${WANTED[$1 + 1]}]" "$BODY" 2>/dev/null
}

# The lines after the first stand below it in the report.
explain_one() {
    [ -z "$said" ] || printf '              '
    printf '%.500s\n' "$1"
}

# Sets VALUE to this as JSON: a word that is not JSON itself becomes a string.
as_json() {
    local json='^(true|false|-?[0-9]+(\.[0-9]+)?|["{[].*)$'
    VALUE=$1
    if ! [[ $1 =~ $json ]]; then
        VALUE=${VALUE//\\/\\\\}
        VALUE=\"${VALUE//\"/\\\"}\"
    fi
}

# Sets VALUE to the value of a header that is there once. Names have no case.
header() {
    local line
    VALUE='(absent)'
    shopt -s nocasematch
    for line in "${HEADERS[@]}"; do
        if [[ $line == "$1:"* ]]; then
            line=${line#*:}
            [ "$VALUE" = '(absent)' ] && VALUE=${line# } || VALUE="(more than one) $VALUE, $line"
        fi
    done
    shopt -u nocasematch
}

# Sets VALUE to one parameter of the one Bearer challenge.
challenge() {
    local parameter="[ ,]$1=\"([^\"]*)\""
    header WWW-Authenticate
    case $VALUE in
    Bearer | 'Bearer '*)
        if [[ $VALUE =~ $parameter ]]; then
            VALUE=${BASH_REMATCH[1]}
        else
            VALUE='(no such parameter)'
        fi
        ;;
    *) VALUE="(no Bearer challenge, but $VALUE)" ;;
    esac
}

# same_words A B: whether two texts have the same words, in any order, none of them twice.
same_words() {
    local word
    for word in $1; do
        case " $2 " in *" $word "*) ;; *) return 1 ;; esac
    done
    [ "${#1}" -eq "${#2}" ]
}

no_challenge() {
    if [ "$1" = - ]; then
        header WWW-Authenticate
        [ "$VALUE" = '(absent)' ]
    else
        challenge "$1"
        [ "$VALUE" = '(no such parameter)' ]
    fi
}

# ---- exceptions -------------------------------------------------------------------------------------------------

# exceptions.txt names the claims that a later step answers differently, and why. An excepted claim must really
# fail there: an exception that is not needed any more is a failure itself.
EXCEPTIONS=
USED=

# Reads the rows that matter to this run: those of steps up to STEP. A row that no check of steps 1 to N can meet,
# because it starts after N, is not demanded later: DEMANDED holds the others.
load_exceptions() {
    local from claim
    DEMANDED=
    while IFS='|' read -r from claim _; do
        case $from in '#'* | '') continue ;; esac
        claim=${claim# }
        claim=${claim% }
        ((from <= STEP)) && EXCEPTIONS="$EXCEPTIONS|$claim|"
        ((from <= STEP && from <= $1)) && DEMANDED="$DEMANDED$claim
"
    done <"$ROOT/scripts/exceptions.txt"
}

# excepted CLAIM: says and counts what became of an excepted claim.
excepted() {
    case $EXCEPTIONS in
    *"|$1|"*) USED="$USED|$1|" ;;
    *) return 1 ;;
    esac
    case $WRONG in
    '') fail "$1 (exceptions.txt says that this has changed, but it holds)" ;;
    'no answer'*) fail "$1 (an exception, but: $WRONG)" ;;
    *) echo "# changed since, see exceptions.txt: $1" ;;
    esac
}

# Every exception that the checks of steps 1 to N should have met was met: none is left over from a check long gone.
exceptions_used() {
    local claim unused=0
    while read -r claim; do
        case $USED in
        *"|$claim|"*) ;;
        *) [ -z "$claim" ] || { echo "no check makes the claim: $claim" && unused=1; } ;;
        esac
    done <<END
$DEMANDED
END
    return "$unused"
}

# ---- the run of one script --------------------------------------------------------------------------------------

# run_checks N [STEP]: the checks of steps 1 to N against the server of STEP, which is step N unless told otherwise.
# The environment can narrow that: CHECKS_FROM=M leaves out those of steps before M, CHECKS_UNTIL=CLAIM ends after one.
run_checks() {
    local last=$1 number
    STEP=${2:-$1}
    case $STEP in
    [1-8]) [ "$STEP" -ge "$last" ] || die "step $STEP cannot pass the checks of step $last: name $last or a later one." ;;
    *) die "which step? A number from $last to 8, not '$STEP'." ;;
    esac
    SERVICE=${SERVICE:-step$STEP}
    load_exceptions "$last"
    build "step$STEP"
    [ "$STEP" -lt 5 ] || build gen-token
    start_usual
    for number in 1 2 3 4 5 6 7 8; do
        [ "$number" -le "$last" ] || break
        # shellcheck source=/dev/null
        . "$ROOT/scripts/checks/step$number.sh"
        [ "$number" -ge "${CHECKS_FROM:-1}" ] || continue
        echo "# step $number, on step$STEP"
        "checks_of_step$number"
    done
    [ "${CHECKS_FROM:-1}" -gt 1 ] || check "every exception is one of these claims" exceptions_used "$last"
    finish
}
