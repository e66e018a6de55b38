#!/usr/bin/env bash
# Checks examples/rmcp-server on the wire: the official SDK behind the unchanged files of step 8. What those files do by
# themselves is checked at step 8; here it is what becomes of them before a server that is not ours.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

WELL_KNOWN=/.well-known/oauth-protected-resource

# as USER ROLES SCOPES: sets TOKEN.
as() {
    TOKEN=$(token --username "$1" --roles "$2" --scopes "$3") || exit 1
}

# tool NAME [ARGUMENTS [curl argument..]]: calls a tool in the plainest form.
tool() {
    local name=$1 arguments=${2-{\}}
    shift "$(($# < 2 ? $# : 2))"
    rpc tools/call "{\"name\":\"$name\",\"arguments\":$arguments}" "$@"
}

build rmcp-server gen-token auth-server mcp-client
make_keys "$KEYS"
MCP_CALLS_PER_MINUTE=0 start rmcp-server --public-key "$KEYS/public.pem" --issuer "$ISSUER"
PORT=${URL##*:}
RESOURCE=http://localhost:$PORT/mcp

echo "# what it is made of"
# Step 8's files protect any server as they are: here none is copied, and none of them is told apart by a `cfg`.
lifted() {
    [ -f "$ROOT/step8/src/$1.rs" ] && ! [ -e "$ROOT/examples/rmcp-server/src/$1.rs" ] &&
        grep -qxF "#[path = \"../../../step8/src/$1.rs\"]" "$ROOT/examples/rmcp-server/src/main.rs"
}
for file in access auth cache config error headers issuer jsonrpc keys metadata verified; do
    check "$file.rs is that of step 8" lifted "$file"
done

echo "# open to everybody"
get /health
expect "health answers 200" status 200 json .status healthy json .service rmcp-server json .auth.required true
for path in "$WELL_KNOWN" "$WELL_KNOWN/mcp"; do
    get "$path"
    expect "$path names the issuer and the basic scopes" status 200 json .resource "$RESOURCE" \
        json .authorization_servers "[\"$ISSUER\"]" json .scopes_supported '["mcp:read","mcp:tools"]'
done
for path in /.well-known/openid-configuration /.well-known/nothing /nothing; do
    get "$path"
    expect "$path leads nowhere: 404, not 401" status 404 json .error not_found no-challenge -
done

echo "# who gets in"
tool echo '{"message":"hi"}'
expect "no token -> 401, where the metadata is, and which scopes to ask for" status 401 \
    challenge resource_metadata "${RESOURCE%/mcp}$WELL_KNOWN/mcp" challenge-words scope 'mcp:read mcp:tools' \
    no-challenge error
request /mcp
expect "GET without a token -> 401" status 401
as alice user 'mcp:read mcp:tools'
request /mcp -H "Authorization: Bearer $TOKEN"
expect "GET with a token -> 405" status 405 header Allow POST
request /mcp -X DELETE -H "Authorization: Bearer $TOKEN"
expect "DELETE with a token -> 405: there are no sessions" status 405 header Allow POST
for flaw in audience issuer expired not-yet-valid signature alg-none hs256 kid typ no-expiry; do
    bearer "$(token --username alice --break "$flaw")" tool echo '{"message":"hi"}'
    expect "a token with the flaw $flaw -> 401 invalid_token" status 401 challenge error invalid_token \
        challenge resource_metadata "${RESOURCE%/mcp}$WELL_KNOWN/mcp"
done
send '{"jsonrpc":"2.0","id":1,"method":"ping"}' -H 'Origin: https://evil.example'
expect "a page of another Origin -> 403, which the SDK would have served" status 403 json .error.code 403
send '{"jsonrpc":"2.0","id":1,"method":"ping"}' -H 'Host: evil.example'
expect "another Host -> 403" status 403 json .error.code 403
send '{"jsonrpc":"2.0","id":1,"method":"ping"}' -H 'Origin: http://localhost:6274'
expect "a page of this machine -> 200" status 200 header Access-Control-Allow-Origin http://localhost:6274

echo "# the SDK behind it, in both eras"
rpc initialize '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1"}}'
expect "the handshake answers as plain JSON, without a session" status 200 header Content-Type application/json \
    no-header Mcp-Session-Id json .result.protocolVersion 2025-11-25 json .result.serverInfo.name rmcp-server
send '{"jsonrpc":"2.0","method":"notifications/initialized"}'
expect "a notification -> 202" status 202
modern server/discover
expect "server/discover names the modern era" status 200 header Content-Type application/json \
    where '.result.supportedVersions | index("2026-07-28") != null'
tool echo '{"message":"grüß dich"}'
expect "echo in the handshake era" status 200 json '.result.content[0].text' 'grüß dich' \
    json .result.structuredContent.text 'grüß dich'
modern tools/call '"name":"echo","arguments":{"message":"hi"}' -H 'Mcp-Name: echo'
expect "echo in the modern era" status 200 json .result.structuredContent.text hi json .result.resultType complete
modern tools/call '"name":"echo","arguments":{"message":"hi"}' -H 'Mcp-Name: whoami'
expect "a header that differs from the body -> 400" status 400 json .error.code -32020
tool whoami
expect "the tool knows its user" status 200 \
    json '.result.content[0].text | fromjson | [.sub, .roles[0], .client_id]' '["alice","user","gen-token"]'

echo "# who may do what"
tool all_notes
expect "a user calls all_notes -> 403, the role forbids it: no challenge" status 403 no-challenge - json .id 1 \
    json .error.code 403
rpc tools/list
expect "a user does not see all_notes" status 200 json '[.result.tools[].name]' '["echo","whoami"]'
modern tools/list
expect "the list depends on who asks, so no cache may share it" status 200 json .result.cacheScope private
as gast guest 'mcp:read mcp:tools'
rpc tools/list
expect "a guest sees no tool" status 200 json .result.tools '[]'
tool echo '{"message":"hi"}'
expect "a guest calls echo -> 403" status 403 no-challenge - json .error.code 403
as root admin 'mcp:read mcp:tools'
rpc tools/list
expect "an admin sees every tool" status 200 json '[.result.tools[].name]' '["all_notes","echo","whoami"]'
send '{"jsonrpc":"2.0","id":9007199254740993,"method":"tools/call","params":{"name":"all_notes"}}'
expect "an admin without the scope -> 403 insufficient_scope, with the id of the request" status 403 \
    challenge error insufficient_scope challenge-words scope 'mcp:read mcp:tools mcp:audit' \
    challenge resource_metadata "${RESOURCE%/mcp}$WELL_KNOWN/mcp" id-digits 9007199254740993
as root admin 'mcp:read mcp:tools mcp:audit'
tool all_notes
expect "an admin with the scope is served" status 200 json '.result.structuredContent.notes | length' 2
tool echo '{"message":"hi"}'
expect "every tool has a row: echo" status 200 json .result.structuredContent.text hi

echo "# what is refused before the SDK sees it"
tool no_such_tool
expect "a tool without a row -> -32602" status 200 json .error.code -32602
rpc completion/complete '{"ref":{"type":"ref/prompt","name":"x"},"argument":{"name":"a","value":"b"}}'
expect "a method without a row -> -32601, though the SDK would answer it" status 200 json .error.code -32601 json .id 1
modern prompts/list
expect "in the modern era with status 404" status 404 json .error.code -32601
as alice user 'mcp:read mcp:tools'
send '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"all_notes"},"params":{"name":"whoami"}}'
expect "of two members with one name, both read the same" status 200 \
    json '.result.content[0].text | fromjson | .sub' alice
send '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami"},"params":{"name":"all_notes"}}'
expect "in the other order, too" status 403 json .error.code 403
send '[{"jsonrpc":"2.0","id":1,"method":"ping"}]'
expect "a batch -> -32600" status 400 json .error.code -32600
send '{"jsonrpc":"2.0","id":1,"method":"ping"} and more'
expect "what is not JSON -> -32700" status 400 json .error.code -32700
send '{}' -H 'Content-Length: 10000000000'
expect "a body that only says it is too large -> 413 at once" status 413 json .error.code 413
{ printf '"' && head -c 300000 /dev/zero | tr '\0' x && printf '"'; } >"$SCRATCH/large"
send_file "$SCRATCH/large" -H 'Transfer-Encoding: chunked' -H 'Content-Length:'
expect "a body that turns out too large -> 413" status 413 json .error.code 413

echo "# limits, and a name of its own"
stop "$PID"
MCP_CALLS_PER_MINUTE=2 start rmcp-server --public-key "$KEYS/public.pem" --issuer "$ISSUER" \
    --resource https://mcp.example.com/mcp
RESOURCE=https://mcp.example.com/mcp
as alice user 'mcp:read mcp:tools'
tool whoami
tool echo '{"message":"hi"}' -H 'Host: mcp.example.com'
expect "the host of the resource is served, not this machine alone" status 200 json .result.structuredContent.text hi
tool whoami
expect "two calls a minute: the third -> 429" status 429 json .error.code 429 json .id 1
header Retry-After
check "with Retry-After, at most half a minute" test "$VALUE" -ge 1 -a "$VALUE" -le 31

echo "# how it ends"
stop "$PID"
check "SIGTERM ends it with 0" is "$EXIT" 0
check "no token is in its log" is "$(grep -c eyJ "$LOG")" 0
check "each decision is" grep -q 'operation.*tools/call echo' "$LOG"

echo "# figures for Prometheus"
# The second server of this name: its key comes later. A port alone is one of this machine.
MCP_CALLS_PER_MINUTE=1 MCP_METRICS_BIND=0 start rmcp-server --public-key "$SCRATCH/later.pem" --issuer "$ISSUER"
METRICS=$(sed -n 's,.*metrics are at \(http://127\.0\.0\.1:[0-9]*\)/metrics$,\1,p' "$LOG")
RESOURCE=http://localhost:${URL##*:}/mcp
scrape() {
    local URL=$METRICS
    get /metrics
}
# figure LINE: whether the page has exactly this line.
figure() {
    scrape && grep -qxF "$1" "$BODY"
}
has_age() { scrape && grep -qE '^mcp_keys_age_seconds [0-9.]+$' "$BODY"; }
no_age() { scrape && ! grep -q mcp_keys_age "$BODY"; }
get /metrics
expect "the public address has none" status 404 json .error not_found
scrape
expect "they have an address of their own" status 200 \
    header Content-Type 'application/openmetrics-text; version=1.0.0; charset=utf-8'
check "at the start every reason to refuse is there, as 0" is "$(grep -c '^mcp_refusals_total{reason=.*} 0$' "$BODY")" 10
check "without keys there is no age of keys" no_age
as alice user 'mcp:read mcp:tools'
tool whoami
check "nobody is let in without keys, and that is counted" figure 'mcp_refusals_total{reason="unavailable"} 1'
cp "$KEYS/public.pem" "$SCRATCH/later.pem"
check "with keys there is" eventually has_age
tool whoami
check "an answer is counted by method and status" figure 'mcp_requests_total{method="tools/call",status="200"} 1'
check "its time is measured" figure 'mcp_request_duration_seconds_count{method="tools/call"} 1'
tool whoami
check "too many calls are" figure 'mcp_refusals_total{reason="too_many_calls"} 1'
bearer '' tool whoami
check "no token is" figure 'mcp_refusals_total{reason="no_credentials"} 1'
bearer "$(token --username alice --break expired)" tool whoami
check "an expired one is" figure 'mcp_refusals_total{reason="invalid_token"} 1'
send '{}' -H 'Origin: https://evil.example'
check "a page of another Origin is" figure 'mcp_refusals_total{reason="origin_or_host"} 1'
send '{}' -H 'Content-Length: 10000000000'
check "a body that is too large is" figure 'mcp_refusals_total{reason="too_large"} 1'
as gast guest 'mcp:read mcp:tools'
tool echo
check "a role that forbids the call is" figure 'mcp_refusals_total{reason="role"} 1'
as root admin 'mcp:read mcp:tools'
tool all_notes
check "a missing scope is" figure 'mcp_refusals_total{reason="insufficient_scope"} 1'
for number in 1 2 3 4 5; do
    rpc "made-up/$number"
done
check "made-up methods share one label" figure 'mcp_requests_total{method="other",status="200"} 5'
check "no label holds what a caller has sent" is "$(grep -cE 'made-up|alice|gast|root|gen-token|eyJ' "$BODY")" 0
launch rmcp-server --metrics-bind "${METRICS#http://}"
eventually ended "$PID"
wait "$PID"
check "an address that is taken -> exit 1, and which flag" is "$? $(grep -c 'for metrics.*--metrics-bind' "$LOG")" '1 1'

echo "# with a login"
auth_server() {
    start auth-server --bind 127.0.0.1:0 --keys-dir "$SCRATCH/issuer" --data "$SCRATCH/auth.db" --resource "$RESOURCE"
    ISSUER=http://localhost:${URL##*:}
}
RESOURCE=http://localhost:$PORT/mcp
# The port that was ours a moment ago: auth-server has to know the resource, and the server its issuer.
auth_server
start rmcp-server --bind "127.0.0.1:$PORT" --issuer "$ISSUER"
client() {
    "$BIN/mcp-client" "$1" "$RESOURCE" "${@:2}" --as "$WHO:$WHO" >"$SCRATCH/client.log" 2>&1 || {
        cat "$SCRATCH/client.log"
        return 1
    }
}
WHO=alice
check "mcp-client doctor finds nothing wrong" client doctor
check "alice walks in and calls a tool" client walk
WHO='admin'
check "an admin steps up to all_notes, and is served" client call all_notes
check "with the notes of all" grep -q 'Water the plants' "$SCRATCH/client.log"
WHO=bob
refused_to_bob() { ! client call all_notes && grep -q 'your role does not permit this' "$SCRATCH/client.log"; }
check "a user is refused" refused_to_bob

finish
