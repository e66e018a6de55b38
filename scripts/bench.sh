#!/usr/bin/env bash
# Measures how fast step 8 is, beside a bare axum server and examples/rmcp-server. Never a test: it judges nothing.
#
#   scripts/bench.sh                  requests a second, CPU time a request, memory; three rounds of five seconds each
#   scripts/bench.sh --rounds 5 --seconds 10 --connections 32
#   scripts/bench.sh --instructions   instructions a request, counted by valgrind: the same on any machine
#
# One server at a time on the first core, the load generator (wrk) on the second, in turns. Each request is a tools/call
# of echo with the same token; the bare server gets the same request. Needs Linux, wrk (apt-get install wrk), and for
# --instructions valgrind. RUST_LOG (a level) is `warn` unless it is set.
# shellcheck source-path=SCRIPTDIR source=lib.sh
BENCH_LOG=${RUST_LOG-warn}
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ROUNDS=3
SECONDS_EACH=5
CONNECTIONS=32
MODE=load
while [ $# -gt 0 ]; do
    case $1 in
    --rounds) ROUNDS=${2-} && shift ;;
    --seconds) SECONDS_EACH=${2-} && shift ;;
    --connections) CONNECTIONS=${2-} && shift ;;
    --instructions) MODE=instructions ;;
    *) die "usage: scripts/bench.sh [--rounds N] [--seconds N] [--connections N] [--instructions]" ;;
    esac
    shift
done
for number in "$ROUNDS" "$SECONDS_EACH" "$CONNECTIONS"; do
    case $number in
    '' | *[!0-9]* | 0*) die "a number is wanted, not '$number'." ;;
    esac
done

MESSAGE='{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello"}}}'
# What the protocol asks clients to send, and the SDK insists on.
ACCEPT='application/json, text/event-stream'

# need COMMAND PACKAGE
need() {
    command -v "$1" >/dev/null 2>&1 || die "$1 is missing; install it with: apt-get install $2"
}

# ---- the servers ------------------------------------------------------------------------------------------------

NAMES="bench step8"
[ -d "$ROOT/examples/rmcp-server" ] && NAMES="$NAMES rmcp-server"

# Starts one with what goes before its command, and sets URL, PID, TOKEN.
launch() {
    local name=$1
    shift
    LOG=$SCRATCH/$name.log
    # The one of the round before names a port that nobody listens on any more.
    rm -f "$LOG"
    if [ "$name" = bench ]; then
        "$@" "$RELEASE/bench" >"$LOG" 2>&1 </dev/null &
    else
        RUST_LOG=$(log_of "${name//-/_}") "$@" "$RELEASE/$name" --bind 127.0.0.1:0 --public-key "$SCRATCH/keys/public.pem" \
            --resource http://localhost:9000/mcp --calls-per-minute 0 >"$LOG" 2>&1 </dev/null &
    fi
    PID=$!
    CHILDREN="$CHILDREN $PID"
    eventually listening || die "$name did not start: $(cat "$LOG")"
}

# The line that names the port is logged by main.rs, at info; everything else at the level that was asked for.
log_of() {
    local module filter="$BENCH_LOG,$1=info"
    for module in app auth access keys cache guard; do
        filter="$filter,$1::$module=$BENCH_LOG"
    done
    echo "$filter"
}

listening() {
    URL=$(sed -n 's/.* listening on \(http:\/\/127\.0\.0\.1:[1-9][0-9]*\).*/\1/p' "$LOG" 2>/dev/null | head -n 1)
    [ -n "$URL" ]
}

# The request once by hand: what is not answered with 200 is not worth measuring.
try_once() {
    local status
    status=$(curl -s -o "$SCRATCH/answer" -w '%{http_code}' -H "Authorization: Bearer $TOKEN" -H "Accept: $ACCEPT" \
        --json "$MESSAGE" "$URL/mcp")
    [ "$status" = 200 ] || die "$1 answers $status: $(cat "$SCRATCH/answer")"
}

# ---- load -------------------------------------------------------------------------------------------------------

# CPU time used so far, in clock ticks.
ticks() {
    awk '{ print $14 + $15 }' "/proc/$PID/stat"
}

# One round: a line `name requests-per-second microseconds-per-request kilobytes`, shown and kept.
round() {
    local before after count rate
    launch "$1" taskset -c 0
    try_once "$1"
    before=$(ticks)
    taskset -c 1 wrk -t 1 -c "$CONNECTIONS" -d "${SECONDS_EACH}s" -s "$SCRATCH/request.lua" "$URL/mcp" >"$SCRATCH/wrk" 2>&1 ||
        die "wrk failed: $(cat "$SCRATCH/wrk")"
    after=$(ticks)
    if grep -q 'Non-2xx' "$SCRATCH/wrk"; then
        die "$1 refused requests: $(grep 'Non-2xx' "$SCRATCH/wrk")"
    fi
    count=$(awk '/requests in/ { print $1 }' "$SCRATCH/wrk")
    rate=$(awk '/^Requests\/sec/ { print $2 }' "$SCRATCH/wrk")
    awk -v name="$1" -v rate="$rate" -v ticks="$((after - before))" -v hertz="$(getconf CLK_TCK)" -v count="$count" \
        -v memory="$(awk '/^VmHWM/ { print $2 }' "/proc/$PID/status")" \
        'BEGIN { printf "%s %.0f %.1f %d\n", name, rate, ticks / hertz / count * 1e6, memory }' >"$SCRATCH/round"
    cat "$SCRATCH/round"
    cat "$SCRATCH/round" >>"$SCRATCH/rounds"
    stop "$PID"
}

measure_load() {
    local turn name
    need wrk wrk
    need taskset util-linux
    cat >"$SCRATCH/request.lua" <<LUA
wrk.method = "POST"
wrk.body = [[$MESSAGE]]
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "$ACCEPT"
wrk.headers["Authorization"] = "Bearer $TOKEN"
LUA
    echo "$ROUNDS rounds of $SECONDS_EACH s, $CONNECTIONS connections, logs at $BENCH_LOG, $(uname -sm), $(awk -F ': ' '/model name/ { print $2; exit }' /proc/cpuinfo)"
    for turn in $(seq "$ROUNDS"); do
        echo "# round $turn"
        for name in $NAMES; do
            round "$name"
        done
    done
    printf '%-14s %12s %14s %10s %16s\n' server requests/s 'CPU us/request' 'peak MiB' 'of bare axum'
    awk '
        { rates[$1] += $2; times[$1] += $3; if ($4 > memory[$1]) memory[$1] = $4; rounds[$1]++ }
        END {
            base = rates["bench"] / rounds["bench"]
            for (name in rates) {
                rate = rates[name] / rounds[name]
                printf "%-14s %12.0f %14.1f %10.1f %16.2f\n", name == "bench" ? "bare axum" : name, rate,
                    times[name] / rounds[name], memory[name] / 1024, rate / base
            }
        }' "$SCRATCH/rounds" | sort
}

# ---- instructions -----------------------------------------------------------------------------------------------

# Instructions of a whole run with so many requests on one connection.
instructions() {
    local name=$1 count=$2 number
    launch "$name" valgrind --tool=callgrind --callgrind-out-file="$SCRATCH/callgrind.$name.$count" --log-file="$SCRATCH/valgrind.log"
    for number in $(seq "$count"); do
        printf 'url = "%s/mcp"\noutput = /dev/null\n' "$URL"
    done >"$SCRATCH/urls"
    curl -s -S -K "$SCRATCH/urls" -H "Authorization: Bearer $TOKEN" -H "Accept: $ACCEPT" \
        --json "$MESSAGE" || die "curl failed"
    stop "$PID"
    awk '/^(summary|totals):/ { print $2; exit }' "$SCRATCH/callgrind.$name.$count"
}

measure_instructions() {
    local name few many
    need valgrind valgrind
    printf '%-14s %24s   (logs at %s)\n' server 'instructions a request' "$BENCH_LOG"
    for name in $NAMES; do
        few=$(instructions "$name" 100)
        many=$(instructions "$name" 600)
        printf '%-14s %24s\n' "$name" "$(((many - few) / 500))"
    done
}

# ---- running ----------------------------------------------------------------------------------------------------

[ "$(uname -s)" = Linux ] || die "bench.sh pins processes to cores and reads /proc: it needs Linux."
RELEASE=$TARGET/release
packages=
for name in $NAMES gen-token; do
    packages="$packages -p $name"
done
echo "# building:$packages (release)"
# shellcheck disable=SC2086 # words
(cd "$ROOT" && cargo build --release --locked --quiet $packages) || die "the servers do not build."
TOKEN=$("$RELEASE/gen-token" --keys-dir "$SCRATCH/keys" --username alice --resource http://localhost:9000/mcp 2>"$SCRATCH/gen-token.log") ||
    die "gen-token failed: $(cat "$SCRATCH/gen-token.log")"
if [ "$MODE" = load ]; then
    measure_load
else
    measure_instructions
fi
FINISHED=yes
exit 0
