# shellcheck shell=bash
# Step 2: it speaks JSON-RPC as MCP asks, in both eras.

checks_of_step2() {
    check "the log names the URL that clients connect to" \
        grep -qF "clients connect to http://localhost:${URL##*:}/mcp" "$LOG"
    handshake_era
    modern_era
    headers_against_body
    ids
    malformed_messages
    methods_and_media_types
    sizes
    origins
}

initialize() {
    rpc initialize "{\"protocolVersion\":\"$1\",\"capabilities\":{},\"clientInfo\":{\"name\":\"check\",\"version\":\"1\"}}" \
        "${@:2}"
}

handshake_era() {
    local version
    for version in 2025-11-25 2025-06-18 2025-03-26; do
        initialize "$version"
        expect "initialize with $version -> that version" \
            status 200 \
            header Content-Type application/json \
            json .jsonrpc '"2.0"' \
            json .id 1 \
            json .result.protocolVersion "$version" \
            json .result.serverInfo.name "$SERVICE" \
            json '.result.capabilities | type' object \
            json '.result | has("resultType")' false
    done
    expect "nothing is declared that is not served" json .result.capabilities '{}'
    for version in 2024-11-05 2026-07-28 1999-01-01; do
        initialize "$version"
        expect "initialize with $version -> 2025-11-25, the newest with a handshake" \
            status 200 \
            json .result.protocolVersion 2025-11-25
    done
    initialize 2025-06-18 -H 'MCP-Protocol-Version: 2026-07-28'
    expect "initialize under a 2026-07-28 header alone is still a handshake" \
        status 200 \
        json .result.protocolVersion 2025-06-18
    rpc initialize '{"capabilities":{}}'
    expect "initialize without a version -> 200, -32602" status 200 json .error.code -32602 json .id 1

    send '{"jsonrpc":"2.0","method":"notifications/initialized"}'
    expect "notifications/initialized -> 202, empty" status 202 empty
    send '{"jsonrpc":"2.0","method":"notifications/never_heard_of","params":{"a":1}}' -H 'MCP-Protocol-Version: 2026-07-28'
    expect "a notification we do not know, header and all -> 202, empty" status 202 empty
    rpc ping
    expect "ping without a version header -> an empty result" status 200 json .result '{}' json .id 1
    rpc ping '{}' -H 'MCP-Protocol-Version: 2025-11-25'
    expect "ping under 2025-11-25 -> an empty result" status 200 json .result '{}'
    rpc no/such/method
    expect "unknown method -> 200, -32601" status 200 json .error.code -32601 json .id 1 json 'has("result")' false
    rpc server/discover
    expect "server/discover is not of this era -> 200, -32601" status 200 json .error.code -32601
}

modern_era() {
    local method
    modern server/discover
    expect "server/discover -> versions, capabilities, complete" \
        status 200 \
        header Content-Type application/json \
        json .id 1 \
        where '.result.supportedVersions | index("2026-07-28") != null' \
        json '.result.capabilities | type' object \
        json .result.resultType complete
    expect "server/discover -> the server's name in _meta" \
        json '.result._meta["io.modelcontextprotocol/serverInfo"].name' "$SERVICE" \
        where '.result._meta["io.modelcontextprotocol/serverInfo"].version | length > 0'
    expect "server/discover -> how long to keep it, and for whom" \
        where '.result.ttlMs | type == "number" and . >= 0' \
        where '.result.cacheScope == "public" or .result.cacheScope == "private"'
    modern no/such/method
    expect "unknown method in a modern request -> 404, -32601" status 404 json .error.code -32601 json .id 1
    for method in initialize ping logging/setLevel; do
        modern "$method"
        expect "$method in a modern request -> 404, -32601" status 404 json .error.code -32601
    done
}

headers_against_body() {
    local body="{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"server/discover\",\"params\":{$META}}"
    local version='-H MCP-Protocol-Version:2026-07-28' method='-H Mcp-Method:server/discover'
    # shellcheck disable=SC2086
    {
        send "$body" $method
        expect "modern body without MCP-Protocol-Version -> 400, -32020" status 400 json .error.code -32020 json .id 7
        send "$body" -H MCP-Protocol-Version:2025-11-25 $method
        expect "header 2025-11-25 over a 2026-07-28 body -> 400, -32020" status 400 json .error.code -32020
        send "${body/2026-07-28/2025-11-25}" $version $method
        expect "header 2026-07-28 over a 2025-11-25 body -> 400, -32020" status 400 json .error.code -32020
        send "$body" $version
        expect "modern request without Mcp-Method -> 400, -32020" status 400 json .error.code -32020
        send "$body" $version -H Mcp-Method:ping
        expect "Mcp-Method differs from the body -> 400, -32020" status 400 json .error.code -32020
        send "$body" $version -H Mcp-Method:Server/Discover
        expect "Mcp-Method differs in case -> 400, -32020" status 400 json .error.code -32020
        send "${body//2026-07-28/2099-01-01}" -H MCP-Protocol-Version:2099-01-01 $method
        expect "a version we do not know -> 400, -32022, what we support and what was asked" \
            status 400 \
            json .error.code -32022 \
            json .error.data.requested 2099-01-01 \
            where '.error.data.supported | index("2026-07-28") != null and index("2025-11-25") != null'
        send '{"jsonrpc":"2.0","id":7,"method":"ping"}' -H MCP-Protocol-Version:2024-11-05
        expect "an old version we do not know, in the header alone -> 400, -32022" \
            status 400 \
            json .error.code -32022 \
            json .error.data.requested 2024-11-05
        send '{"jsonrpc":"2.0","id":7,"method":"server/discover"}' $version $method
        expect "modern header without _meta -> 400, -32602" status 400 json .error.code -32602 json .id 7
        send "${body/,\"io.modelcontextprotocol\/clientCapabilities\":\{\}/}" $version $method
        expect "_meta without clientCapabilities -> 400, -32602" status 400 json .error.code -32602
    }
    send '{"jsonrpc":"2.0","id":7,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/clientCapabilities":{}}}}' \
        -H MCP-Protocol-Version:2026-07-28 -H Mcp-Method:server/discover
    expect "_meta without protocolVersion -> 400" status 400 where '.error.code == -32602 or .error.code == -32020'
}

ids() {
    local id
    for id in '"abc"' '""' '"1"' 0 -5; do
        send "{\"jsonrpc\":\"2.0\",\"id\":$id,\"method\":\"ping\"}"
        expect "id $id comes back with its type" status 200 json .id "$id" json .result '{}'
    done
    for id in 9007199254740993 9223372036854775807 -9223372036854775808; do
        send "{\"jsonrpc\":\"2.0\",\"id\":$id,\"method\":\"ping\"}"
        expect "id $id comes back to the last digit" status 200 id-digits "$id" json .result '{}'
    done
    for id in null 1.5 18446744073709551616 '{}' '[]' true; do
        send "{\"jsonrpc\":\"2.0\",\"id\":$id,\"method\":\"ping\"}"
        expect "id $id -> 400, -32600, no id" status 400 json .error.code -32600 json 'has("id")' false
    done
}

malformed_messages() {
    local body
    for body in '' '{' 'ping' '{"jsonrpc":"2.0","id":1,"method":"ping"} x' "{'jsonrpc':'2.0'}"; do
        send "$body"
        expect "not JSON [$body] -> 400, -32700, no id" status 400 json .error.code -32700 json 'has("id")' false
    done
    printf '{"jsonrpc":"2.0","id":1,"method":"p\377ng"}' >"$SCRATCH/latin"
    send_file "$SCRATCH/latin"
    expect "not UTF-8 -> 400, -32700" status 400 json .error.code -32700
    { printf '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":' && nested '[' && nested ']' && printf '}}'; } >"$SCRATCH/deep"
    send_file "$SCRATCH/deep"
    expect "10,000 levels deep -> 400, -32700" status 400 json .error.code -32700
    for body in '[]' '[{"jsonrpc":"2.0","id":1,"method":"ping"}]' '"ping"' 1 null; do
        send "$body"
        expect "not a message object [$body] -> 400, -32600" status 400 json .error.code -32600
    done
    for body in '"id":1,"method":"ping"' '"jsonrpc":"1.0","id":1,"method":"ping"' '"jsonrpc":2.0,"id":1,"method":"ping"' \
        '"jsonrpc":"2.0","id":1' '"jsonrpc":"2.0","id":1,"method":null' '"jsonrpc":"2.0","id":1,"method":5' \
        '"jsonrpc":"2.0","id":1,"method":"ping","params":[]' '"jsonrpc":"2.0","id":1,"method":"ping","params":"x"' \
        '"jsonrpc":"2.0","id":1,"result":{}'; do
        send "{$body}"
        expect "not a request {$body} -> 400, -32600, the id echoed" status 400 json .error.code -32600 json .id 1
    done
    send '{"jsonrpc":"2.0","method":7}'
    expect "a notification without a method name -> 400, -32600" status 400 json .error.code -32600
    rpc ping
    expect "after all that the server still answers" status 200 json .result '{}'
}

# 10,000 times one character.
nested() {
    awk -v c="$1" 'BEGIN { while (n++ < 10000) printf "%s", c }'
}

methods_and_media_types() {
    local method type
    for method in GET DELETE PUT; do
        bearer '' request /mcp -X "$method" ${TOKEN:+-H "Authorization: Bearer $TOKEN"}
        expect "$method /mcp -> 405, Allow: POST" status 405 header Allow POST
    done
    for type in text/plain application/x-www-form-urlencoded application/jsonp ''; do
        post_as "$type"
        expect "Content-Type [$type] -> 415" status 415 header Content-Type application/json
    done
    for type in 'application/json; charset=utf-8' APPLICATION/JSON; do
        post_as "$type"
        expect "Content-Type [$type] is JSON" status 200 json .result '{}'
    done
    rpc ping '' -H 'Accept:'
    expect "a client without an Accept header is answered" status 200 json .result '{}'
}

# A ping with this Content-Type, or with none.
post_as() {
    request /mcp --data-raw '{"jsonrpc":"2.0","id":1,"method":"ping"}' -H "Content-Type:${1:+ $1}" \
        ${TOKEN:+-H "Authorization: Bearer $TOKEN"}
}

sizes() {
    padded_ping 262144
    send_file "$SCRATCH/padded"
    expect "a body of 256 KiB -> 200" status 200 json .result '{}'
    # A client that asks first reads the answer before it has sent anything. One that is still sending when the server
    # hangs up may lose the answer: so the next one does not send much more than the server reads.
    padded_ping 262145
    send_file "$SCRATCH/padded" -H 'Expect: 100-continue'
    expect "one byte more -> 413" status 413
    padded_ping 270000
    send_file "$SCRATCH/padded" -H 'Transfer-Encoding: chunked'
    expect "270,000 bytes without a Content-Length -> 413" status 413
    # The rest of this body never comes; who waits for it answers after curl has given up.
    send '{' -H 'Content-Length: 10000000000'
    expect "10 GB that are only announced -> 413, without waiting for them" status 413
}

# A ping of exactly so many bytes.
padded_ping() {
    local ping='{"jsonrpc":"2.0","id":1,"method":"ping"}'
    printf "%s%$(($1 - ${#ping}))s" "$ping" '' >"$SCRATCH/padded"
}

origins() {
    local origin
    for origin in http://localhost:6274 http://localhost https://localhost:8443 http://127.0.0.1:5173 'http://[::1]:3000'; do
        rpc ping '' -H "Origin: $origin"
        expect "Origin $origin is let in" status 200 json .result '{}'
    done
    for origin in http://localhost.evil.com http://localhost.evil.com:6274 null https://evil.example http://127.0.0.1.nip.io \
        http://evil.example/localhost http://localhost@evil.example file://localhost chrome-extension://localhost \
        'http://localhost:6274, http://evil.example' 'http://localhost http://evil.example' localhost //localhost \
        http://localhost:99999; do
        rpc ping '' -H "Origin: $origin"
        expect "Origin $origin -> 403" status 403
    done
    rpc ping '' -H 'Origin: http://localhost' -H 'Origin: http://evil.example'
    expect "two Origin headers -> 403" status 403
    send '{' -H 'Origin: http://evil.example' -H 'Content-Type: text/plain'
    expect "a wrong Origin is refused before anything else is looked at" status 403
    get /mcp -H 'Origin: http://evil.example'
    expect "GET /mcp with a wrong Origin -> 403, not 405" status 403
    get /health -H 'Origin: http://evil.example'
    expect "/health does not look at the Origin" status 200 json .status healthy
}
