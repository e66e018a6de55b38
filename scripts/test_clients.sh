#!/usr/bin/env bash
# Real MCP clients against step8 and the authorization server: they know one URL, and must end up calling a tool.
# TypeScript needs npm (Node 22 comes from there, where another one is here), Python needs python3 with venv, the
# Inspector needs Chromium too. What is not there is skipped and counted; with CI=true it is installed, or else a failure.
# The SDKs come from npm and PyPI, once, into the target folder. With CLIENTS_AT=https://host/mcp the SDKs, without the
# Inspector, log in there instead, where that origin is the issuer, too.
# shellcheck disable=SC2317 # functions that `check` calls are called all right
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=clients/inspector.sh
. "$ROOT/scripts/clients/inspector.sh"

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

check_inspector() {
    if provide_inspector; then
        start_inspector "$(free_port)" "$SERVER"
        check "the Inspector connects through the browser login and runs whoami" inspected alice
        check_whoami
        start_github
        start_inspector "$(free_port)" "http://localhost:${URL##*:}/mcp"
        check "the Inspector connects through GitHub's login and runs get_user_profile" inspected_at_github octocat
    else
        skip 'the Inspector' "$LACKING"
    fi
}

inspected() {
    is_whoami "$1" "$(inspector "$1")"
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
    start_inspector "$(free_port)" "$SERVER"
    check "the Inspector registers itself for examples/whoami and runs whoami" inspected alice
    start_inspector "$port" "$SERVER"
    check "the Inspector as a client made by hand runs whoami, with a profile" hand_made alice
}

hand_made() {
    is_whoami "$1" "$(INSPECTOR_SCREENSHOT=${WHOAMI_SCREENSHOT-} inspector "$1" mcp-inspector 'openid profile email')" &&
        "$JQ" -e '.client_id == "mcp-inspector" and .name == "alice"' "$SCRATCH/whoami"
}

# The stand-in with its pages, and the server that signs in there.
start_github() {
    unset "${!MCP_GITHUB_@}"
    start mock-github --bind 127.0.0.1:0
    export MCP_GITHUB_GITHUB_CLIENT_ID=Ov23liMOCKAPP0000000 MCP_GITHUB_GITHUB_CLIENT_SECRET=mock-secret
    export MCP_GITHUB_GITHUB_AUTH_URL=http://localhost:${URL##*:}/login/oauth/authorize
    export MCP_GITHUB_GITHUB_TOKEN_URL=$URL/login/oauth/access_token MCP_GITHUB_GITHUB_API_URL=$URL/api/v3
    start github-profile --bind 127.0.0.1:0 --keys-dir "$SCRATCH/github-keys" --data "$SCRATCH/github.db"
}

inspected_at_github() {
    inspector_at_github "$1" >"$SCRATCH/profile"
    "$JQ" -e ".login == \"$1\" and .id == 583231" "$SCRATCH/profile" || {
        cat "$SCRATCH/profile"
        return 1
    }
}

# ---- the run ------------------------------------------------------------------------------------------------------

if [ -n "${CLIENTS_AT-}" ]; then
    SERVER=$CLIENTS_AT
    ISSUER=${SERVER%/mcp}
    check_typescript
    check_python
    finish
fi
build auth-server step8 whoami github-profile mock-github
start_both step8
get /health
expect "step8 is there, with its login" status 200 json .auth.required true
check_typescript
check_python
check_inspector
finish
