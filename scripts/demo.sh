#!/usr/bin/env bash
# The whole of it in one command: an authorization server, an MCP server, and a client that logs in and tells every
# exchange. Then the same tool for two users: served to one, refused to the other.
#
#   scripts/demo.sh           builds, shows, cleans up
#   scripts/demo.sh --keep    leaves the servers running, and says how to connect a real client
#
# Needs bash, curl, a C compiler and the Rust toolchain. Everything it makes lies in a folder of its own, which goes away at the end,
# except for what cargo builds.
set -u

# shellcheck source-path=SCRIPTDIR source=toolchain.sh
. "$(dirname "${BASH_SOURCE[0]}")/toolchain.sh"
KEEP=no
CHILDREN=
SCRATCH=

usage() {
    sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

for argument; do
    case $argument in
    --keep) KEEP=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        echo "unknown argument $argument" >&2
        usage >&2
        exit 2
        ;;
    esac
done

# Says what went wrong. A blank line first: where nobody reads on (`| head`), it ends the demo before it accuses anybody.
die() {
    echo
    echo "$*" >&2
    exit 1
}

need rust cc curl

# Runs on every exit, also on ctrl-c, and keeps the status. It ends its own children, by their ids.
on_exit() {
    local status=$? child
    trap - EXIT
    trap '' INT TERM
    for child in $CHILDREN; do
        kill -TERM "$child" 2>/dev/null
    done
    for child in $CHILDREN; do
        wait "$child" 2>/dev/null
    done
    [ -z "$SCRATCH" ] || rm -rf "$SCRATCH"
    exit "$status"
}
trap on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

title() {
    printf '\n\n### %s\n\n' "$1"
}

# A port that nobody listens on just now. The two servers name each other's, so both must be known beforehand.
free_port() {
    local port tries=50
    while [ "$tries" -gt 0 ]; do
        port=$((20000 + RANDOM % 20000))
        # Only a port that refuses is free: exit status 7.
        curl -q -s --noproxy '*' --max-time 2 -o /dev/null "http://127.0.0.1:$port/"
        [ $? -eq 7 ] && echo "$port" && return
        tries=$((tries - 1))
    done
    return 1
}

# serve NAME PORT [argument..]: starts a server and waits until it is healthy. Fails when it ends before that.
serve() {
    local name=$1 port=$2 tries=200
    shift 2
    "$TARGET/debug/$name" --bind "127.0.0.1:$port" "$@" >"$SCRATCH/$name.log" 2>&1 </dev/null &
    CHILD=$!
    CHILDREN="$CHILDREN $CHILD"
    until curl -q -s --noproxy '*' --max-time 2 -o /dev/null "http://127.0.0.1:$port/health"; do
        tries=$((tries - 1))
        if ! kill -0 "$CHILD" 2>/dev/null || [ "$tries" -eq 0 ]; then
            return 1
        fi
        sleep 0.1
    done
    kill -0 "$CHILD" 2>/dev/null
}

start() {
    AUTH_PORT=$(free_port) && MCP_PORT=$(free_port) && [ "$AUTH_PORT" != "$MCP_PORT" ] || return 1
    ISSUER=http://localhost:$AUTH_PORT
    URL=http://localhost:$MCP_PORT/mcp
    serve auth-server "$AUTH_PORT" --issuer "$ISSUER" --resource "$URL" --keys-dir "$SCRATCH/keys" \
        --data "$SCRATCH/auth-server.db" &&
        serve step8 "$MCP_PORT" --issuer "$ISSUER" --resource "$URL"
}

client() {
    local status
    printf '$ mcp-client %s\n' "$*"
    "$TARGET/debug/mcp-client" "$@" </dev/null
    status=$?
    # Nobody reads its output any more, and so nobody reads ours.
    [ "$status" -ne 141 ] || exit 141
    return "$status"
}

title "Building (the first time takes a few minutes; cargo shows how far it is)"
(cd "$ROOT" && cargo build --locked --target-dir "$TARGET" -p auth-server -p step8 -p mcp-client) || die "cargo build failed."

SCRATCH=$(mktemp -d) || die "no temporary folder could be made."
export MCP_CLIENT_CACHE=$SCRATCH/cache
# Settings of the surroundings must not reach the servers of the demo.
unset MCP_BIND MCP_ISSUER MCP_RESOURCE MCP_PUBLIC_KEY MCP_CALLS_PER_MINUTE MCP_CLIENT_TOKEN MCP_CLIENT_ID MCP_CLIENT_SECRET
unset "${!AUTH_@}"

# Another program may take a port between finding and using it; then both are chosen anew.
STARTED=no
for _ in 1 2 3; do
    if start; then
        STARTED=yes
        break
    fi
    for child in $CHILDREN; do
        kill -TERM "$child" 2>/dev/null
        wait "$child" 2>/dev/null
    done
    CHILDREN=
done
[ "$STARTED" = yes ] || die "the servers did not start: $(cat "$SCRATCH"/*.log)"

echo "authorization server  $ISSUER"
echo "MCP server            $URL"

title "alice logs in, and the client tells every exchange"
client walk "$URL" --as alice:alice || die "the walk failed."

title "admin calls audit_log: the client steps up to mcp:audit, and is served"
client call "$URL" audit_log --as admin:admin || die "admin was refused, and should not be."

title "bob calls audit_log: his role forbids it, so he is refused, whatever his token says"
if client call "$URL" audit_log --as bob:bob; then
    die "bob was served, and should not be."
fi

title "bob calls whoami: what his role permits, he gets"
client call "$URL" whoami --as bob:bob || die "bob was refused, and should not be."

if [ "$KEEP" = no ]; then
    printf '\nDone. The servers are stopped and their files are gone; --keep leaves them running.\n'
    exit 0
fi

title "The servers keep running until ctrl-c. Connect a real client"
cat <<END
Log in as alice, bob, admin or guest; the password is the name.

MCP Inspector
    npx @modelcontextprotocol/inspector --transport http --server-url $URL

Claude Code
    claude mcp add --transport http step8 $URL
    then, in claude, run /mcp and choose step8 to log in

VS Code, in .vscode/mcp.json
    {"servers": {"step8": {"type": "http", "url": "$URL"}}}

Cursor, in ~/.cursor/mcp.json
    {"mcpServers": {"step8": {"url": "$URL"}}}

This client, in your browser
    $TARGET/debug/mcp-client walk $URL

Logs: $SCRATCH/auth-server.log and $SCRATCH/step8.log
END
wait
