#!/usr/bin/env bash
# mcp-client against an authorization server of other make: oidc-provider from npm, a certified OpenID provider. And
# auth-server, whose users sign in there.
# Needs npm; without it, or if npm cannot install the package, it is skipped and counted; with CI=true that is a failure.
# The package is installed once, into the target folder.
# shellcheck disable=SC2317 # functions that `check` and `eventually` call are called all right
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=browser.sh
. "$(dirname "${BASH_SOURCE[0]}")/browser.sh"

EXCEPTIONS=
INSTALLED=$TARGET/oidc-provider

give_up() {
    skip 'oidc-provider' "$1"
    finish
}

provide_node || give_up 'there is no Node 22, and no npm that could install it (https://nodejs.org)'

build step8 mcp-client auth-server

if ! [ -d "$INSTALLED/node_modules/oidc-provider" ]; then
    mkdir -p "$INSTALLED"
    npm install --prefix "$INSTALLED" --no-audit --no-fund oidc-provider@9 >"$SCRATCH/npm.log" 2>&1 ||
        give_up "npm could not install it: $(tail -n 1 "$SCRATCH/npm.log")"
fi
# Node looks for packages beside the script.
cp "$ROOT/scripts/clients/oidc_provider.mjs" "$INSTALLED/provider.mjs"

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 20000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

PROVIDER_PORT=$(free_port)
SERVER_PORT=$(free_port)
SERVER=http://localhost:$SERVER_PORT/mcp
node "$INSTALLED/provider.mjs" "$PROVIDER_PORT" "$SERVER" >"$SCRATCH/provider.log" 2>&1 </dev/null &
CHILDREN="$CHILDREN $!"
eventually grep -q listening "$SCRATCH/provider.log" || die "oidc-provider did not start: $(cat "$SCRATCH/provider.log")"
start step8 --bind "127.0.0.1:$SERVER_PORT" --issuer "http://localhost:$PROVIDER_PORT" --resource "$SERVER"

"$BIN/mcp-client" walk "$SERVER" --as alice:any --markdown "$SCRATCH/walk.md" >"$SCRATCH/walk.txt" 2>&1
check "the walk ends well" is $? 0

# status_of TITLE: the status of the exchange with this title.
status_of() {
    awk -v title="$1" 'index($0, "### ") == 1 { found = index($0, title) > 0 } found && /^HTTP\/1.1 / { print $2; exit }' \
        "$SCRATCH/walk.md"
}
check "the first call is refused" is "$(status_of '1. Call without a token')" 401
check "the client registers itself" is "$(status_of 'Register this client')" 201
check "the code is exchanged" is "$(status_of 'Exchange the code for tokens')" 200
check "a call beyond the scope is refused" is "$(status_of '. Call the tool whoami')" 403
check "after the step-up it is served" is "$(status_of 'Call the tool whoami again')" 200

"$BIN/mcp-client" doctor "$SERVER" --as alice:any --json >"$SCRATCH/doctor.json"
check "the doctor finds nothing broken" is "$("$JQ" -r .failed "$SCRATCH/doctor.json")" 0
check "the doctor misses the refresh token" is \
    "$("$JQ" -r '[.checks[] | select(.outcome == "warn") | .id] | join(" ")' "$SCRATCH/doctor.json")" refresh.works

echo "# as the upstream of auth-server"
# there URL [curl argument..]: the browser, which follows every redirect, also the one back to us.
there() {
    curl -q -s --noproxy '*' --max-time 15 -L -b "$JAR" -c "$JAR" -o "$BODY" "$@"
}
action() {
    sed -n 's/.*action="\([^"]*\)".*/\1/p' "$BODY" | head -n 1
}
RESOURCE=$SERVER
AUTH_PORT=$(free_port)
URL=http://localhost:$PROVIDER_PORT
request /reg --json "{\"redirect_uris\":[\"http://localhost:$AUTH_PORT/oauth/upstream/callback\"]}"
expect "auth-server is registered there" status 201
UPSTREAM_CLIENT=$(field .client_id)
start auth-server --bind "127.0.0.1:$AUTH_PORT" --keys-dir "$SCRATCH/auth-keys" --data "$SCRATCH/auth.db" \
    --resource "$RESOURCE" --no-local-users --upstream-issuer "http://localhost:$PROVIDER_PORT" \
    --upstream-client-id "$UPSTREAM_CLIENT" --upstream-name provider
# By its own name, as a browser comes: its cookies are for that host.
URL=http://localhost:$AUTH_PORT
request /oauth/register --json "{\"redirect_uris\":[\"$CALLBACK\"]}"
CLIENT=$(field .client_id)
new_browser
authorize
press
there "$AWAY"
check "the provider asks who it is" grep -q 'name="login"' "$BODY"
there "$(action)" -d prompt=login -d login=alice -d password=any
check "and whether it may tell" grep -q 'value="consent"' "$BODY"
there "$(action)" -d prompt=consent
check "and back, where our page asks" grep -q '<h1>Allow access?</h1>' "$BODY"
authorize
decide approve
CODE=$(parameter code)
redeem
check "the tokens are this server's, in the name of the provider's user" is \
    "$(claim '"\(.iss) \(.sub)"')" "http://localhost:$AUTH_PORT provider:alice"

finish
