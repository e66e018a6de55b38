# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # TARGET and SCRATCH are lib.sh's; LACKING is read by who sources this
# The MCP Inspector with a browser, for the scripts that log in with it. Sourced, after lib.sh.
#
#   provide_inspector || give_up "$LACKING"     installs it, and finds or installs what it needs
#   start_inspector PORT SERVER                 runs it there, set to this MCP server; sets INSPECTOR
#   inspector alice [CLIENT_ID SCOPES]          connects, logs in, and prints what `whoami` answered
#   inspector_at_github octocat                 the same through mock-github, and what `get_user_profile` answered

INSPECTOR_FOLDER=$TARGET/clients/inspector

# From npm, once. Sets LACKING to what is missing.
provide_inspector() {
    if ! provide_node; then
        LACKING='there is no Node 22, and no npm that could install it (https://nodejs.org)'
    elif ! find_chromium && ! { provide chromium chromium && find_chromium; }; then
        LACKING='there is no Chromium (apt-get install chromium)'
    elif ! install_inspector; then
        LACKING="npm could not install it: $(tail -n 1 "$SCRATCH/npm.log")"
    else
        return 0
    fi
    return 1
}

find_chromium() {
    local name
    for name in chromium chromium-browser google-chrome; do
        CHROMIUM=$(command -v "$name") && export CHROMIUM && return
    done
    return 1
}

install_inspector() {
    mkdir -p "$INSPECTOR_FOLDER"
    cd "$INSPECTOR_FOLDER" || return 1
    [ -f package.json ] || echo '{"private":true}' >package.json
    if ! [ -d node_modules/@modelcontextprotocol/inspector ] || ! [ -d node_modules/puppeteer-core ]; then
        npm install --no-audit --no-fund --silent puppeteer-core@25.16.0 @modelcontextprotocol/inspector@2.12.0 \
            >"$SCRATCH/npm.log" 2>&1
    fi
}

# Its own home, or it would find the tokens of an earlier run. The settings of a server can be changed if it comes from
# a catalog. The one that ran before ends.
INSPECTOR_PID=
start_inspector() {
    local home=$SCRATCH/home-$1
    [ -z "$INSPECTOR_PID" ] || stop "$INSPECTOR_PID"
    LOG=$SCRATCH/inspector-$1.log
    mkdir -p "$home"
    : >"$LOG"
    echo "{\"mcpServers\":{\"server\":{\"type\":\"streamable-http\",\"url\":\"$2\"}}}" >"$home/catalog.json"
    cd "$INSPECTOR_FOLDER" || exit 1
    CLIENT_PORT=$1 MCP_SANDBOX_PORT=0 MCP_AUTO_OPEN_ENABLED=false HOME=$home node \
        node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js --web \
        --catalog "$home/catalog.json" >"$LOG" 2>&1 </dev/null &
    INSPECTOR_PID=$!
    CHILDREN="$CHILDREN $INSPECTOR_PID"
    eventually grep -q 'MCP_INSPECTOR_API_TOKEN=' "$LOG" || die "the Inspector did not start: $(cat "$LOG")"
    INSPECTOR=$(sed -n 's/^ *\(http[^ ]*MCP_INSPECTOR_API_TOKEN=[0-9a-f]*\).*/\1/p' "$LOG" | head -n 1)
}

inspector() {
    local user=$1
    shift
    (cd "$INSPECTOR_FOLDER" && node "$ROOT/scripts/clients/inspector.mjs" "$INSPECTOR" "$user" \
        "${INSPECTOR_SCREENSHOT:-$SCRATCH/inspector.png}" "$@" 2>&1)
}

# INSPECTOR_PICTURES is the folder for what it saw.
inspector_at_github() {
    (cd "$INSPECTOR_FOLDER" && node "$ROOT/scripts/clients/github.mjs" "$INSPECTOR" "$1" \
        "${INSPECTOR_PICTURES:-$SCRATCH}" 2>&1)
}
