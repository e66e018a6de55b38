# shellcheck shell=bash disable=SC2034 # lib.sh reads what is set here
# The claims of the exercise `tool`: a tool of your own in step 8, from its definition to its row in the table.

claims_of_exercise() {
    STEP=8
    SERVICE=${SERVICE:-step8}
    local number
    for number in 1 2 3 4 5 6 7 8; do
        # shellcheck source=/dev/null
        . "$ROOT/scripts/checks/step$number.sh"
    done
    start_usual
    echo "# tool"
    it_is_described
    it_runs
    its_arguments_are_checked
    it_has_a_row
    nothing_is_lost
}

it_is_described() {
    local ours='.result.tools[] | select(.name == "word_count")'
    rpc tools/list
    expect "tools/list has word_count, for a user" \
        status 200 \
        json '[.result.tools[] | select(.name == "word_count")] | length' 1
    expect "word_count has a title and a description" \
        where "[$ours] | length == 1 and all(.title and .description)"
    expect "its schema demands one text, and nothing else" \
        json "$ours | .inputSchema.required" '["text"]' \
        json "$ours | .inputSchema.properties.text.type" string \
        json "$ours | .inputSchema.additionalProperties" false
    expect "its schema says what comes back: words and characters, described, and nothing else" \
        json "$ours | .outputSchema.type" object \
        json "$ours | .outputSchema.properties.words.type" integer \
        json "$ours | .outputSchema.properties.characters.type" integer \
        json "$ours | .outputSchema.additionalProperties" false \
        where "$ours | [.inputSchema, .outputSchema] | map(.properties[].description) | all(. != null and . != \"\")"
}

it_runs() {
    tool word_count '{"text":"to be or not to be"}'
    expect "a user calls word_count -> 6 words, 18 characters" \
        status 200 \
        where '.result.isError != true' \
        json .result.structuredContent '{"words":6,"characters":18}'
    expect "the same as text, for clients that read nothing else" \
        where '[.result.content[].text] | join(" ") | contains("6") and contains("18")'
    tool word_count '{"text":"  gr\u00fc\u00df   dich\n"}'
    expect "spaces do not make words, and a character is no byte" \
        json .result.structuredContent '{"words":2,"characters":14}'
    tool word_count '{"text":""}'
    expect "an empty text has no words" json .result.structuredContent '{"words":0,"characters":0}'
    modern tools/call '"name":"word_count","arguments":{"text":"hi"}' -H 'Mcp-Name: word_count'
    expect "word_count in the modern era" status 200 json .result.resultType complete json .result.structuredContent.words 1
}

its_arguments_are_checked() {
    local arguments
    for arguments in '{}' '{"text":5}'; do
        tool word_count "$arguments"
        expect "word_count with $arguments -> isError, naming the text" \
            status 200 \
            json .result.isError true \
            where '.result.content[0].text | test("text|string")'
    done
    tool word_count '{"text":"hi","language":"en"}'
    expect "word_count with an argument it does not have -> isError, naming it" \
        status 200 \
        json .result.isError true \
        where '.result.content[0].text | contains("language")'
}

# count: calls it as whoever TOKEN is of.
count() {
    tool word_count '{"text":"hi"}'
}

it_has_a_row() {
    local TOKEN=$TOKEN
    as root admin mcp:tools
    count
    permitted "an admin with mcp:tools: word_count"
    as alice user mcp:read
    count
    insufficient "a user without mcp:tools: word_count" 'mcp:read mcp:tools'
    as gast guest 'mcp:read mcp:tools'
    count
    forbidden "a guest with every scope: word_count"
    rpc tools/list
    expect "a guest does not see word_count" status 200 json .result.tools '[]'
    as root admin 'mcp:audit'
    tool audit_log
    expect "who was refused is in the audit log" \
        status 200 \
        where '.result.content[0].text | fromjson | .decisions | any(.operation == "tools/call word_count" and .sub == "gast" and .allowed == false)'
    as alice user 'mcp:audit'
    count
    insufficient "mcp:audit is no scope for it: word_count" 'mcp:audit mcp:tools'
}

nothing_is_lost() {
    local TOKEN=$TOKEN name
    tool echo '{"message":"hi"}'
    expect "echo is still there" status 200 json .result.structuredContent.text hi
    for name in get_time whoami; do
        tool "$name"
        permitted "$name is still there"
    done
    as root admin mcp:audit
    tool audit_log
    permitted "audit_log is still there, for admins"
    as alice user mcp:audit
    tool audit_log
    forbidden "audit_log is still for admins alone"
    tool no_such_tool
    expect "a tool nobody knows -> 200, -32602" status 200 json .error.code -32602
}
