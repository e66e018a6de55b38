# shellcheck shell=bash
# Step 3: it describes what it offers.

checks_of_step3() {
    local kind
    rpc initialize '{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"check","version":"1"}}'
    expect "initialize declares tools and prompts, and nothing else" json .result.capabilities '{"tools":{},"prompts":{}}'
    modern server/discover
    expect "server/discover declares the same" json .result.capabilities '{"tools":{},"prompts":{}}'

    rpc tools/list
    expect "tools/list -> echo, get_time, whoami" \
        status 200 \
        header Content-Type application/json \
        where '[.result.tools[].name] | index("echo") == 0 and index("get_time") == 1 and index("whoami") == 2' \
        json '.result | has("nextCursor")' false \
        json '.result | has("resultType")' false
    expect "every tool has a title, a description and a schema of an object" \
        where '.result.tools | all(.title and .description and .inputSchema.type == "object")' \
        where '.result.tools | all(.inputSchema.additionalProperties == false)'
    expect "echo's schema says what it takes and what it returns" \
        json '.result.tools[0].inputSchema.required' '["message"]' \
        json '.result.tools[0].inputSchema.properties.repeat_count | [.minimum, .maximum, .default]' '[1,10,1]' \
        json '.result.tools[0].outputSchema.type' object

    rpc prompts/list
    expect "prompts/list -> greeting, help" \
        status 200 \
        json '[.result.prompts[].name]' '["greeting","help"]' \
        where '.result.prompts | all(.title and .description)'
    expect "greeting's name may be left out" \
        json '.result.prompts[0].arguments | map([.name, .required])' '[["name",false]]'

    for kind in tools prompts; do
        modern "$kind/list"
        expect "$kind/list in a modern request -> complete, with how long to keep it" \
            status 200 \
            json .result.resultType complete \
            where '.result.ttlMs | type == "number" and . >= 0' \
            where '.result.cacheScope == "public" or .result.cacheScope == "private"' \
            json '.result._meta["io.modelcontextprotocol/serverInfo"].name' "$SERVICE"
        rpc "$kind/list" '{}'
        expect "$kind/list with empty params -> the list" status 200 where ".result.$kind | length > 1"
        rpc "$kind/list" '{"cursor":"page-2"}'
        expect "$kind/list with a cursor that is not ours -> 200, -32602" status 200 json .error.code -32602 json .id 1
        modern "$kind/list" '"cursor":"page-2"'
        expect "$kind/list with such a cursor, modern -> 200, -32602" status 200 json .error.code -32602
    done
}
