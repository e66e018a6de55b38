# shellcheck shell=bash
# Step 1: a server runs, logs and stops cleanly.

checks_of_step1() {
    check "the log says where the server listens" grep -qF "$SERVICE is listening on $URL" "$LOG"
    get /health
    expect "GET /health -> 200 healthy, and which service" \
        status 200 \
        header Content-Type application/json \
        json .status healthy \
        json .service "$SERVICE" \
        where '.version | type == "string" and length > 0'
    get /health -I
    expect "HEAD /health -> 200" status 200 header Content-Type application/json
    check "the log has a line for the request: method, path, status" eventually logged GET /health 200

    get /nowhere
    expect "unknown path -> 404 in JSON" \
        status 404 \
        header Content-Type application/json \
        where '.error | type == "string"'
    check "the log has a line for the unknown path, too" eventually logged GET /nowhere 404
    get '/he%61lth/../nowhere%0Aok'
    expect "a path full of tricks -> 404" status 404
    request /health -X POST
    expect "POST /health -> 405 and Allow" status 405 header Allow GET,HEAD

    starting_and_stopping
}

# logged METHOD PATH STATUS: one line of the log names all three.
logged() {
    grep -F "$1" "$LOG" | grep -F "$2" | grep -qw "$3"
}

starting_and_stopping() {
    local URL=$URL PID=$PID LOG=$LOG
    refused --help
    check "--help -> status 0" is "$EXIT" 0
    check "--help names --bind and its variable" grep -q -e '--bind.*' "$LOG"
    check "--help names MCP_BIND" grep -q 'MCP_BIND' "$LOG"
    refused --no-such-flag
    check "an unknown flag -> status 2" is "$EXIT" 2
    refused --bind nonsense
    check "an address that is none -> status 2" is "$EXIT" 2
    check "an address that is none is named in the error" grep -q nonsense "$LOG"
    check "an address that is none -> no panic" no_panic

    refused --bind "${URL#http://}"
    check "a taken port -> status 1" is "$EXIT" 1
    check "a taken port -> one sentence, no panic" one_sentence "${URL##*:}"

    launch_usual
    stop "$PID"
    check "SIGTERM -> status 0" is "$EXIT" 0
    launch_usual
    kill -INT "$PID"
    eventually ended "$PID"
    wait "$PID"
    check "SIGINT -> status 0" is "$?" 0
}

# A second server beside the usual one, the barest that starts.
launch_usual() {
    start "step$STEP"
}

no_panic() {
    ! grep -E 'panicked|RUST_BACKTRACE' "$LOG"
}

# The last line of the log says it all, and names the port.
one_sentence() {
    no_panic && tail -n 1 "$LOG" | grep -q "$1"
}
