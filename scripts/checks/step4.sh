# shellcheck shell=bash
# Step 4: it does what it offers.

checks_of_step4() {
    tools_run
    arguments_are_checked
    prompts_are_rendered
    names_in_headers
    hosts
    resources
}

# tool NAME [ARGUMENTS]: calls it in the plainest form.
tool() {
    rpc tools/call "{\"name\":\"$1\"${2:+,\"arguments\":$2}}"
}

# prompt NAME [ARGUMENTS]: the same for a prompt.
prompt() {
    rpc prompts/get "{\"name\":\"$1\"${2:+,\"arguments\":$2}}"
}

tools_run() {
    tool echo '{"message":"hi"}'
    expect "echo -> the message, as text and as structured content" \
        status 200 \
        header Content-Type application/json \
        json .result.content '[{"type":"text","text":"hi"}]' \
        json .result.structuredContent '{"text":"hi"}' \
        where '.result.isError != true'
    tool echo '{"message":"hi","repeat_count":3}'
    expect "echo three times" json .result.structuredContent.text 'hi hi hi'
    tool echo '{"message":"hi","repeat_count":10}'
    expect "echo ten times" json '.result.structuredContent.text | split(" ") | length' 10
    tool echo '{"message":"\"quoted\" \\ h\u00e9llo \ud83d\udc4b\n"}'
    expect "echo changes no character" json .result.content[0].text '"\"quoted\" \\ héllo 👋\n"'
    tool echo '{"message":""}'
    expect "echo of nothing is nothing" json .result.content[0].text '""'
    tool get_time
    expect "get_time -> the time in UTC, as in RFC 3339" \
        status 200 \
        where '.result.content[0].text | test("^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]([.][0-9]+)?Z$")'
    tool get_time '{}'
    expect "get_time with empty arguments is the same call" status 200 where '.result.isError != true'
    tool whoami
    expect "whoami without a user -> Not authenticated" \
        status 200 \
        json '.result.content[0].text | fromjson' '{"error":"Not authenticated"}'
}

arguments_are_checked() {
    local arguments
    for arguments in '' '{}' '{"message":5}' '{"message":true}' '{"repeat_count":2}'; do
        tool echo "$arguments"
        expect "echo with arguments [$arguments] -> isError, naming the message" \
            status 200 \
            json .result.isError true \
            where '.result.content[0].text | test("message|string")' \
            json 'has("error")' false
    done
    for arguments in 0 11 -1 1.5 '"3"' 1e9; do
        tool echo "{\"message\":\"hi\",\"repeat_count\":$arguments}"
        expect "echo with repeat_count $arguments -> isError" status 200 json .result.isError true
    done
    tool echo '{"message":"hi","repeat_count":11}'
    expect "the text says which argument to correct, and how" \
        where '.result.content[0].text | contains("repeat_count") and contains("10")'
    tool echo '{"message":"hi","colour":"red"}'
    expect "echo with an argument it does not have -> isError, naming it" \
        status 200 \
        json .result.isError true \
        where '.result.content[0].text | contains("colour")'
    repeated_ten_times a
    expect "echo of 40,000 letters ten times -> the text" status 200 where '.result.structuredContent.text | length > 400000'
    repeated_ten_times '\\u0001'
    expect "echo of 40,000 control characters ten times -> isError: what counts is what is sent" \
        status 200 \
        json .result.isError true \
        where '.result.content[0].text | test("shorten")'
    tool get_time '{"zone":"CET"}'
    expect "get_time with an argument -> isError" status 200 json .result.isError true
    tool whoami '{"user":"alice"}'
    expect "whoami with an argument -> isError" status 200 json .result.isError true

    tool no_such_tool '{}'
    expect "unknown tool -> 200, -32602" status 200 json .error.code -32602 json .id 1 json 'has("result")' false
    tool ECHO '{"message":"hi"}'
    expect "a tool's name has a case -> 200, -32602" status 200 json .error.code -32602
    for arguments in '' '{}' '{"name":5}' '{"name":["echo"]}' '{"name":"echo","arguments":[]}' '{"name":"echo","arguments":"hi"}'; do
        rpc tools/call "$arguments"
        expect "tools/call with params [$arguments] -> 200, -32602" status 200 json .error.code -32602
    done
}

# Calls echo with 40,000 times this character, as JSON writes it, to be repeated ten times.
repeated_ten_times() {
    {
        printf '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"repeat_count":10,"message":"'
        awk -v c="$1" 'BEGIN { while (n++ < 40000) printf "%s", c }'
        printf '"}}}'
    } >"$SCRATCH/long"
    send_file "$SCRATCH/long"
}

prompts_are_rendered() {
    local arguments
    prompt greeting '{"name":"Ada"}'
    expect "prompts/get greeting -> a user message with the name in it" \
        status 200 \
        json '.result.messages | length' 1 \
        json .result.messages[0].role user \
        json .result.messages[0].content.type text \
        where '.result.messages[0].content.text | test("\\bAda\\b")'
    prompt greeting
    expect "prompts/get greeting without a name -> a greeting for the user" \
        status 200 \
        where '.result.messages[0].content.text | contains("the user")'
    prompt help
    expect "prompts/get help -> a text" status 200 where '.result.messages[0].content.text | length > 20'
    prompt no_such_prompt
    expect "unknown prompt -> 200, -32602" status 200 json .error.code -32602 json 'has("result")' false
    for arguments in '{"name":5}' '{"nickname":"Ada"}' '[]'; do
        prompt greeting "$arguments"
        expect "prompts/get greeting with arguments $arguments -> 200, -32602" status 200 json .error.code -32602
    done
    rpc prompts/get '{}'
    expect "prompts/get without a name -> 200, -32602" status 200 json .error.code -32602
}

names_in_headers() {
    local call='"name":"echo","arguments":{"message":"hi"}' name
    modern tools/call "$call" -H 'Mcp-Name: echo'
    expect "a modern tools/call with Mcp-Name -> complete" \
        status 200 \
        json .result.resultType complete \
        json .result.structuredContent.text hi \
        json '.result._meta["io.modelcontextprotocol/serverInfo"].name' "$SERVICE"
    modern tools/call "$call" -H 'Mcp-Name: =?base64?ZWNobw==?='
    expect "Mcp-Name in the Base64 form is the same name" status 200 json .result.structuredContent.text hi
    modern tools/call "$call"
    expect "a modern tools/call without Mcp-Name -> 400, -32020" status 400 json .error.code -32020 json .id 1
    for name in get_time Echo 'echo, get_time' '=?base64?Z2V0X3RpbWU=?=' '=?base64?!!!?=' '=?base64?ZWNobw==' ZWNobw== \
        '=?base64?/w==?='; do
        modern tools/call "$call" -H "Mcp-Name: $name"
        expect "Mcp-Name [$name] over a call of echo -> 400, -32020" status 400 json .error.code -32020
    done
    modern tools/call "$call" -H 'Mcp-Name: echo' -H 'Mcp-Name: get_time'
    expect "a second Mcp-Name cannot hide behind the first -> 400, -32020" status 400 json .error.code -32020
    modern tools/call '"name":"no_such_tool"' -H 'Mcp-Name: no_such_tool'
    expect "unknown tool in a modern request -> 200, -32602" status 200 json .error.code -32602
    modern tools/call '"name":"w\u00e4rme"' -H 'Mcp-Name: =?base64?d8Okcm1l?='
    expect "a name that is not ASCII is compared decoded -> 200, -32602" status 200 json .error.code -32602
    modern prompts/get '"name":"help"' -H 'Mcp-Name: help'
    expect "a modern prompts/get with Mcp-Name -> complete" status 200 json .result.resultType complete
    modern prompts/get '"name":"help"' -H 'Mcp-Name: greeting'
    expect "Mcp-Name differs from the prompt -> 400, -32020" status 400 json .error.code -32020
    rpc tools/call "{$call}" -H 'MCP-Protocol-Version: 2025-06-18'
    expect "before 2026-07-28 no Mcp-Name is needed" status 200 json .result.structuredContent.text hi
}

hosts() {
    local URL=$URL PID=$PID LOG=$LOG TOKEN=${TOKEN-} host
    for host in localhost localhost:9000 127.0.0.1 127.0.0.1:1 '[::1]:9000'; do
        rpc ping '' -H "Host: $host"
        expect "Host $host is let in" status 200 json .result '{}'
    done
    for host in evil.example localhost.evil.example:9000 127.0.0.1.nip.io evil.example:"${URL##*:}" user@localhost; do
        rpc ping '' -H "Host: $host"
        expect "Host $host -> 403, naming the setting" \
            status 403 \
            header Content-Type application/json \
            no-challenge - \
            where '.error.message | test("MCP_RESOURCE|--resource")'
    done
    rpc ping '' -H 'Host: evil.example' -H 'X-Forwarded-Host: localhost'
    expect "X-Forwarded-Host does not stand in for a Host" status 403
    get /health -H 'Host: evil.example'
    expect "/health does not look at the Host" status 200

    # As variables, because not every step knows all of them.
    MCP_PUBLIC_KEY=$KEYS/public.pem MCP_ISSUER=$ISSUER start "step$STEP" --resource https://mcp.example.com/mcp
    check "the start names the resource as the URL to connect to" start_names https://mcp.example.com/mcp
    [ "$STEP" -lt 6 ] || TOKEN=$(token --username alice --audience https://mcp.example.com/mcp)
    for host in mcp.example.com mcp.example.com:443 localhost; do
        rpc ping '' -H "Host: $host"
        expect "Host $host is let in where the resource is https://mcp.example.com/mcp" status 200 json .result '{}'
    done
    for host in mcp.example.com.evil.example example.com; do
        rpc ping '' -H "Host: $host"
        expect "Host $host -> 403 where the resource is https://mcp.example.com/mcp" status 403
    done
    stop "$PID"
}

# start_names URL: the line that says where the server listens ends in it.
start_names() {
    grep -q "listening on .*, clients connect to $1\$" "$LOG"
}

resources() {
    local URL=$URL PID=$PID LOG=$LOG url
    for url in localhost:9000/mcp 'http://localhost:9000/mcp#top' 'http://localhost:9000/mcp?a=b' nonsense \
        http://localhost:9000/mcp/ http://localhost:9000/; do
        refused --resource "$url"
        check "--resource $url -> status 2, no panic" both "$EXIT" 2 no_panic
    done
}

# both ACTUAL EXPECTED COMMAND..: `is`, and one more.
both() {
    is "$1" "$2" && "${@:3}"
}
