#!/usr/bin/env bash
# Real MCP clients against step8 and the authorization server: they know one URL, and must end up calling a tool.
# TypeScript needs npm (Node 22 comes from there, where another one is here), Python needs python3 with venv, the
# Inspector needs Chromium too. What is not there is skipped and counted; with CI=true it is installed, or else a failure.
# The SDKs come from npm and PyPI, once, into the target folder.
# shellcheck disable=SC2317 # functions that `check` calls are called all right
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

CLIENTS=$ROOT/scripts/clients
INSTALLED=$TARGET/clients
EXCEPTIONS=

# ---- the two servers ----------------------------------------------------------------------------------------------

# Each has to know the other's port beforehand, so ports are chosen here, and again if somebody was faster.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 20000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# start_both SERVER [auth-server argument..]
start_both() {
    local auth mcp program=$1
    shift
    for _ in 1 2 3 4 5; do
        auth=$(free_port)
        mcp=$(free_port)
        launch auth-server --bind "127.0.0.1:$auth" --keys-dir "$SCRATCH/keys" --data "$SCRATCH/auth-$auth.db" \
            --resource "http://localhost:$mcp/mcp" --issuer "http://localhost:$auth" "$@"
        AUTH_LOG=$LOG
        eventually settled
        ended "$PID" && continue
        launch "$program" --bind "127.0.0.1:$mcp" --issuer "http://localhost:$auth" --resource "http://localhost:$mcp/mcp"
        eventually settled
        ended "$PID" && continue
        eventually healthy && SERVER=http://localhost:$mcp/mcp && ISSUER=http://localhost:$auth && return
    done
    die "the two servers did not start: $(cat "$AUTH_LOG" "$LOG")"
}

# is_whoami USER TEXT: the answer of whoami names the user, and this issuer.
is_whoami() {
    printf '%s' "$2" >"$SCRATCH/whoami"
    "$JQ" -e ".sub == \"$1\" and .iss == \"$ISSUER\"" "$SCRATCH/whoami" || {
        cat "$SCRATCH/whoami"
        return 1
    }
}

# ---- TypeScript ---------------------------------------------------------------------------------------------------

install_typescript() {
    mkdir -p "$INSTALLED/typescript"
    [ -f "$INSTALLED/typescript/package.json" ] || echo '{"private":true}' >"$INSTALLED/typescript/package.json"
    [ -d "$INSTALLED/typescript/node_modules/@modelcontextprotocol/client" ] ||
        (cd "$INSTALLED/typescript" && npm install --no-audit --no-fund --silent \
            @modelcontextprotocol/sdk@1.32.2 @modelcontextprotocol/client@2.4.0) >"$SCRATCH/npm.log" 2>&1
}

check_typescript() {
    if ! provide_node; then
        skip 'the TypeScript SDKs' 'there is no Node 22, and no npm that could install it (https://nodejs.org)'
    elif ! install_typescript; then
        skip 'the TypeScript SDKs' "npm could not install them: $(tail -n 1 "$SCRATCH/npm.log")"
    else
        cd "$INSTALLED/typescript" || exit 1
        check "@modelcontextprotocol/sdk (v1) logs in and calls whoami" typescript v1 alice
        check "@modelcontextprotocol/client (v2) logs in and calls whoami" typescript v2 bob
        check "a guest logs in too, and is not offered what the role forbids" guest_sees_no_whoami
    fi
}

typescript() {
    is_whoami "$2" "$(NO_PROXY='*' node "$CLIENTS/typescript.mjs" "$1" "$SERVER" "$2" 2>&1)"
}

guest_sees_no_whoami() {
    local answer
    answer=$(NO_PROXY='*' node "$CLIENTS/typescript.mjs" v2 "$SERVER" guest 2>&1)
    case $answer in
    *'whoami is not listed'*) ;;
    *) echo "$answer" && return 1 ;;
    esac
}

# ---- Python -------------------------------------------------------------------------------------------------------

# Debian has python3 without what `-m venv` needs.
provide_python() {
    python3 -c 'import ensurepip, venv' 2>/dev/null || provide no-such-python python3 python3-venv ||
        python3 -c 'import ensurepip, venv' 2>/dev/null
}

install_python() {
    local venv=$INSTALLED/python
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv" >"$SCRATCH/pip.log" 2>&1 || return 1
    "$venv/bin/python" -c 'import mcp' 2>/dev/null ||
        "$venv/bin/python" -m pip install --quiet 'mcp==2.3.0' >"$SCRATCH/pip.log" 2>&1
}

check_python() {
    if ! provide_python; then
        skip 'the Python SDK' 'there is no python3 with venv (https://www.python.org)'
    elif ! install_python; then
        skip 'the Python SDK' "pip could not install it: $(tail -n 1 "$SCRATCH/pip.log")"
    else
        check "the Python SDK (mcp) logs in and calls whoami" python_sdk alice
    fi
}

python_sdk() {
    is_whoami "$1" "$("$INSTALLED/python/bin/python" "$CLIENTS/python_sdk.py" "$SERVER" "$1" 2>&1)"
}

# ---- the Inspector, in a browser ----------------------------------------------------------------------------------

find_chromium() {
    local name
    for name in chromium chromium-browser google-chrome; do
        CHROMIUM=$(command -v "$name") && export CHROMIUM && return
    done
    return 1
}

install_inspector() {
    mkdir -p "$INSTALLED/inspector"
    cd "$INSTALLED/inspector" || return 1
    [ -f package.json ] || echo '{"private":true}' >package.json
    if ! [ -d node_modules/@modelcontextprotocol/inspector ] || ! [ -d node_modules/puppeteer-core ]; then
        npm install --no-audit --no-fund --silent puppeteer-core@25.16.0 @modelcontextprotocol/inspector@2.12.0 \
            >"$SCRATCH/npm.log" 2>&1
    fi
}

check_inspector() {
    if ! provide_node; then
        skip 'the Inspector' 'there is no Node 22, and no npm that could install it (https://nodejs.org)'
    elif ! find_chromium && ! { provide chromium chromium && find_chromium; }; then
        skip 'the Inspector' 'there is no Chromium (apt-get install chromium)'
    elif ! install_inspector; then
        skip 'the Inspector' "npm could not install it: $(tail -n 1 "$SCRATCH/npm.log")"
    else
        start_inspector "$(free_port)"
        check "the Inspector connects through the browser login and runs whoami" inspector alice
        check_whoami
    fi
}

# At examples/whoami: once the Inspector registers itself, once it is a client that somebody made by hand, as providers
# without registration want it.
check_whoami() {
    local port
    port=$(free_port)
    cat >"$SCRATCH/clients.toml" <<END
[[clients]]
client_id = "mcp-inspector"
redirect_uris = ["http://localhost:$port/oauth/callback", "http://127.0.0.1:$port/oauth/callback"]
END
    start_both whoami --clients "$SCRATCH/clients.toml"
    start_inspector "$(free_port)"
    check "the Inspector registers itself for examples/whoami and runs whoami" inspector alice
    start_inspector "$port"
    check "the Inspector as a client made by hand runs whoami, with a profile" hand_made alice
}

hand_made() {
    is_whoami "$1" "$(node "$CLIENTS/inspector.mjs" "$INSPECTOR" "$1" \
        "${WHOAMI_SCREENSHOT:-$SCRATCH/whoami.png}" mcp-inspector 'openid profile email' 2>&1)" &&
        "$JQ" -e '.client_id == "mcp-inspector" and .name == "alice"' "$SCRATCH/whoami"
}

# start_inspector PORT: its own home, or it would find the tokens of an earlier run. The settings of a server can be
# changed if it comes from a catalog.
INSPECTOR_PID=
start_inspector() {
    local home=$SCRATCH/home-$1
    [ -z "$INSPECTOR_PID" ] || stop "$INSPECTOR_PID"
    LOG=$SCRATCH/inspector-$1.log
    mkdir -p "$home"
    : >"$LOG"
    echo "{\"mcpServers\":{\"server\":{\"type\":\"streamable-http\",\"url\":\"$SERVER\"}}}" >"$home/catalog.json"
    cd "$INSTALLED/inspector" || exit 1
    CLIENT_PORT=$1 MCP_SANDBOX_PORT=0 MCP_AUTO_OPEN_ENABLED=false HOME=$home node \
        node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js --web \
        --catalog "$home/catalog.json" >"$LOG" 2>&1 </dev/null &
    INSPECTOR_PID=$!
    CHILDREN="$CHILDREN $INSPECTOR_PID"
    eventually grep -q 'MCP_INSPECTOR_API_TOKEN=' "$LOG" || die "the Inspector did not start: $(cat "$LOG")"
    INSPECTOR=$(sed -n 's/^ *\(http[^ ]*MCP_INSPECTOR_API_TOKEN=[0-9a-f]*\).*/\1/p' "$LOG" | head -n 1)
}

inspector() {
    is_whoami "$1" "$(node "$CLIENTS/inspector.mjs" "$INSPECTOR" "$1" \
        "${INSPECTOR_SCREENSHOT:-$SCRATCH/inspector.png}" 2>&1)"
}

# ---- the run ------------------------------------------------------------------------------------------------------

build auth-server step8 whoami
start_both step8
get /health
expect "step8 is there, with its login" status 200 json .auth.required true
check_typescript
check_python
check_inspector
finish
