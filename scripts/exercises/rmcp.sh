# shellcheck shell=bash disable=SC2034 # lib.sh reads what is set here
# The claims of the exercise `rmcp`: a server on the official SDK, protected as examples/rmcp-server is.

WELL_KNOWN=/.well-known/oauth-protected-resource

claims_of_exercise() {
    make_keys "$KEYS"
    MCP_CALLS_PER_MINUTE=0 start rmcp-server --public-key "$KEYS/public.pem" --issuer "$ISSUER"
    RESOURCE=http://localhost:${URL##*:}/mcp
    echo "# rmcp"
    what_is_open
    pages_of_others
    who_gets_in
    the_sdk_behind
    the_user_in_a_tool
    who_may_do_what
    what_the_sdk_never_sees
    how_often
}

# tool NAME [ARGUMENTS]: calls a tool in the plainest form.
tool() {
    local none='{}'
    rpc tools/call "{\"name\":\"$1\",\"arguments\":${2-$none}}"
}

# as USER ROLES SCOPES: sets TOKEN.
as() {
    TOKEN=$(token --username "$1" --roles "$2" --scopes "$3")
}

what_is_open() {
    local path
    get /health
    expect "/health is open" status 200 json .status healthy
    for path in "$WELL_KNOWN" "$WELL_KNOWN/mcp"; do
        get "$path"
        expect "$path names the issuer and the basic scopes" status 200 json .resource "$RESOURCE" \
            json .authorization_servers "[\"$ISSUER\"]" json .scopes_supported '["mcp:read","mcp:tools"]'
    done
    get /.well-known/openid-configuration
    expect "an unknown path leads nowhere: 404, not 401" status 404 no-challenge -
}

pages_of_others() {
    rpc ping '' -H 'Origin: https://evil.example'
    expect "a page of another Origin -> 403" status 403 no-challenge -
    rpc ping '' -H 'Host: evil.example'
    expect "another Host -> 403" status 403
}

who_gets_in() {
    local flaw
    tool all_notes
    expect "no token -> 401, where the metadata is, and which scopes to ask for" status 401 \
        challenge resource_metadata "${RESOURCE%/mcp}$WELL_KNOWN/mcp" challenge-words scope 'mcp:read mcp:tools' \
        no-challenge error
    request /mcp
    expect "GET without a token -> 401" status 401
    for flaw in audience issuer expired not-yet-valid signature alg-none hs256 kid typ no-expiry; do
        bearer "$(token --username alice --break "$flaw")" tool echo '{"message":"hi"}'
        expect "a token with the flaw $flaw -> 401 invalid_token" status 401 challenge error invalid_token
    done
    as alice user 'mcp:read mcp:tools'
    request /mcp -H "Authorization: Bearer $TOKEN"
    expect "GET with a token -> 405" status 405
    rpc ping '' -H 'Origin: http://localhost:6274'
    expect "a page of this machine may read what its user may" status 200 header Access-Control-Allow-Origin http://localhost:6274
}

the_sdk_behind() {
    rpc initialize '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1"}}'
    expect "with a token the handshake works" status 200 json .result.protocolVersion 2025-11-25
    tool echo '{"message":"hi"}'
    expect "with a token echo works" status 200 json .result.structuredContent.text hi
    modern tools/call '"name":"echo","arguments":{"message":"hi"}' -H 'Mcp-Name: echo'
    expect "with a token echo works in the modern era" status 200 json .result.structuredContent.text hi
}

the_user_in_a_tool() {
    tool whoami
    expect "whoami knows its user" status 200 \
        json '.result.content[0].text | fromjson | [.sub, .roles[0], .client_id]' '["alice","user","gen-token"]'
}

who_may_do_what() {
    tool all_notes
    expect "a user calls all_notes -> 403, the role forbids it: no challenge" status 403 no-challenge - json .id 1
    rpc tools/list
    expect "a user does not see all_notes" status 200 json '[.result.tools[].name] | sort' '["echo","whoami"]'
    as gast guest 'mcp:read mcp:tools'
    rpc tools/list
    expect "a guest sees no tool" status 200 json .result.tools '[]'
    tool echo '{"message":"hi"}'
    expect "a guest calls echo -> 403" status 403 no-challenge -
    as root admin 'mcp:read mcp:tools'
    rpc tools/list
    expect "an admin sees every tool" status 200 json '[.result.tools[].name] | sort' '["all_notes","echo","whoami"]'
    tool all_notes
    expect "an admin without the scope -> 403 insufficient_scope, asking for it" status 403 \
        challenge error insufficient_scope challenge-words scope 'mcp:read mcp:tools mcp:audit' json .id 1
    as root admin 'mcp:read mcp:tools mcp:audit'
    tool all_notes
    expect "an admin with the scope is served" status 200 json '.result.structuredContent.notes | length' 2
}

what_the_sdk_never_sees() {
    tool no_such_tool
    expect "a tool without a row -> -32602" json .error.code -32602
    rpc completion/complete '{"ref":{"type":"ref/prompt","name":"x"},"argument":{"name":"a","value":"b"}}'
    expect "a method without a row -> -32601, though the SDK would answer it" json .error.code -32601
    as alice user 'mcp:read mcp:tools'
    send '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami"},"params":{"name":"all_notes"}}'
    expect "of two members with one name, the one that was checked counts" status 403
    send '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"all_notes"},"params":{"name":"whoami"}}'
    expect "in the other order, too" status 200 json '.result.content[0].text | fromjson | .sub' alice
    send '{}' -H 'Content-Length: 10000000000'
    expect "a body that only says it is too large -> 413 at once" status 413
}

how_often() {
    stop "$PID"
    MCP_CALLS_PER_MINUTE=2 start rmcp-server --public-key "$KEYS/public.pem" --issuer "$ISSUER" --resource "$RESOURCE"
    tool whoami
    tool whoami
    expect "two calls a minute: the second -> 200" status 200
    tool whoami
    expect "two calls a minute: the third -> 429" status 429
    check "no token is in the log" is "$(grep -c eyJ "$LOG")" 0
}
