# shellcheck shell=bash
# Step 8: everyone may do what they may, and no more.

checks_of_step8() {
    local short_lived ends
    remembered_tokens
    # Kept from here to the end of these checks: by then it has expired, leeway and all.
    short_lived=$(token --username alice --expires-in 1s) ends=$(($(date +%s) + 32))
    bearer "$short_lived" rpc ping
    expect "a token with a short life -> 200" status 200
    removed_keys
    the_whole_table
    more_roles
    odd_scopes
    what_is_listed
    what_needs_no_scope
    names_nobody_knows
    audit
    limits
    roles_elsewhere
    expired_tokens
}

# whoami_says NAME CLAIM: the last answer is about this user.
whoami_says() {
    expect "$2" status 200 json '.result.content[0].text | fromjson | .sub' "$1"
}

# What was verified a moment ago counts for that very token only.
remembered_tokens() {
    local TOKEN alice bob
    as alice user mcp:tools
    alice=$TOKEN
    tool whoami
    whoami_says alice "alice's token -> alice"
    as bob user mcp:tools
    bob=$TOKEN
    tool whoami
    whoami_says bob "bob's token, right after alice's -> bob"
    TOKEN=$alice
    tool whoami
    whoami_says alice "alice's token again -> alice"
    refused_token "a token that shares the signature of one that was served a moment before" \
        "${alice%%.*}.$(part "$alice" 2 | sed 's/alice/admin/g' | base64url).${alice##*.}" signature
    refused_token "a token that shares all but the signature with one that was served a moment before" \
        "${alice%.*}.${bob##*.}" signature
    refused_token "a token that was served a moment before, with more at its end" "$alice=" token
    for TOKEN in "$(token --username alice --break audience)" "$(token --username alice --break signature)"; do
        rpc ping
        rpc ping
        expect "a token that was refused a moment before is refused again" status 401 challenge error invalid_token
    done
}

# A token that was served a moment before ends with its key.
removed_keys() {
    local URL=$URL PID=$PID LOG=$LOG KEYS=$SCRATCH/removed TOKEN old
    make_keys "$KEYS"
    start "step$STEP" --public-key "$KEYS/public.pem" --issuer "$ISSUER" --resource "$RESOURCE"
    as alice user mcp:tools
    old=$TOKEN
    rpc ping
    expect "a token of the key at hand -> 200" status 200
    "$BIN/gen-token" --keys-dir "$KEYS" --generate-keys --force >"$SCRATCH/gen-token.log" 2>&1
    as alice user mcp:tools
    check "a replaced key lets its tokens in" eventually answers 200
    TOKEN=$old
    rpc ping
    expect "a token that was served a moment before, when its key is replaced -> 401" status 401 challenge error invalid_token
    as alice user mcp:tools
    rpc ping
    rm "$KEYS/public.pem"
    check "a token that was served a moment before, when its key is removed -> 503" eventually answers 503
    stop "$PID"
}

# Issuers put roles where they like.
roles_elsewhere() {
    local URL=$URL PID=$PID LOG=$LOG TOKEN
    start "step$STEP" --public-key "$KEYS/public.pem" --issuer "$ISSUER" --resource "$RESOURCE" --calls-per-minute 0 \
        --roles-claim /groups --roles-claim /client_id
    TOKEN=$(token --username alice --roles guest --client-id admin --scopes 'mcp:tools mcp:audit')
    tool whoami
    expect "--roles-claim: the first place that the token has" \
        status 200 \
        json '.result.content[0].text | fromjson | .roles' '["admin"]'
    tool audit_log
    permitted "--roles-claim: the role that is there counts: audit_log"
    TOKEN=$(token --username alice --roles admin --client-id app --scopes 'mcp:tools mcp:audit')
    tool audit_log
    forbidden "--roles-claim: a role in the usual place no longer counts: audit_log"
    stop "$PID"
    for TOKEN in groups / ''; do
        refused --roles-claim "$TOKEN"
        check "--roles-claim [$TOKEN] -> status 2, no panic" both "$EXIT" 2 no_panic
    done
}

# Waits for the clock, not for the server.
expired_tokens() {
    until [ "$(date +%s)" -ge "$ends" ]; do
        sleep 1
    done
    refused_token "a token that was served while it was good, after its end" "$short_lived" expired
}

# as USER ROLES SCOPES: sets TOKEN.
as() {
    TOKEN=$(token --username "$1" --roles "$2" --scopes "$3")
}

# may ROLE SCOPE OPERATION: `yes`, or why not: `role`, or the scope that is missing. Written down a second time, so
# that the server's table is compared with something.
may() {
    case $1:$3 in
    admin:*) ;;
    *:audit_log) echo role && return ;;
    user:*) ;;
    *:echo | *:get_time | *:whoami) echo role && return ;;
    esac
    case $3:$2 in
    ping:* | initialize:*) echo yes ;;
    tools/list:mcp:read | tools/list:mcp:tools) echo yes ;;
    prompts/*:mcp:read | prompts/*:mcp:prompts) echo yes ;;
    echo:mcp:tools | get_time:mcp:tools | whoami:mcp:tools) echo yes ;;
    audit_log:mcp:audit) echo yes ;;
    tools/list:* | prompts/*) echo mcp:read ;;
    audit_log:*) echo mcp:audit ;;
    *) echo mcp:tools ;;
    esac
}

operate() {
    case $1 in
    initialize) initialize 2025-06-18 ;;
    echo) tool echo '{"message":"hi"}' ;;
    get_time | whoami | audit_log) tool "$1" ;;
    prompts/get) prompt help ;;
    *) rpc "$1" ;;
    esac
}

# permitted CLAIM, forbidden CLAIM, insufficient CLAIM SCOPES: what the last answer is.
permitted() {
    expect "$1 -> permitted" status 200 where '.result | type == "object"' where '.result.isError != true'
}

forbidden() {
    expect "$1 -> 403, the role forbids it: no challenge" \
        status 403 \
        header Content-Type application/json \
        no-challenge - \
        json .id 1 \
        json .error.code 403 \
        json 'has("result")' false
}

insufficient() {
    expect "$1 -> 403 insufficient_scope, asking for [$2]" \
        status 403 \
        header Content-Type application/json \
        challenge realm mcp \
        challenge error insufficient_scope \
        challenge-words scope "$2" \
        challenge resource_metadata "${RESOURCE%/mcp}$WELL_KNOWN/mcp" \
        json .id 1 \
        json .error.code 403 \
        json 'has("result")' false
}

the_whole_table() {
    local TOKEN=$TOKEN role scope operation verdict claim
    for role in admin user guest visitor; do
        for scope in '' mcp:read mcp:tools mcp:prompts mcp:audit; do
            as "the-$role" "$role" "$scope"
            for operation in initialize ping tools/list prompts/list prompts/get echo get_time whoami audit_log; do
                operate "$operation"
                claim="$role with [$scope]: $operation"
                verdict=$(may "$role" "$scope" "$operation")
                case $verdict in
                yes) permitted "$claim" ;;
                role) forbidden "$claim" ;;
                *) insufficient "$claim" "${scope:+$scope }$verdict" ;;
                esac
            done
        done
    done
}

more_roles() {
    local TOKEN=$TOKEN
    as mixed 'guest admin' 'mcp:audit mcp:tools'
    tool audit_log
    permitted "several roles add up: guest and admin, audit_log"
    as nobody '' 'mcp:read mcp:tools mcp:audit'
    rpc prompts/list
    permitted "no role at all is a guest: prompts/list"
    tool echo '{"message":"hi"}'
    forbidden "no role at all is a guest: echo"
    as shouting 'ADMIN Admin administrator' 'mcp:read mcp:tools mcp:audit'
    tool audit_log
    forbidden "roles that only look like admin: audit_log"
    as admin user 'mcp:read mcp:tools mcp:audit'
    tool audit_log
    forbidden "the name admin is no role: audit_log"
}

odd_scopes() {
    local TOKEN=$TOKEN scopes
    for scopes in mcp:tools2 MCP:TOOLS mcp:tool xmcp:tools mcp mcp: mcp:* tools 'mcp:TOOLS mcp:toolsx'; do
        as alice user "$scopes"
        tool echo '{"message":"hi"}'
        insufficient "scopes that only look like mcp:tools [$scopes]: echo" mcp:tools
    done
    as alice user 'openid profile mcp:tools offline_access'
    tool echo '{"message":"hi"}'
    permitted "scopes of others do no harm: echo"
    as alice admin 'openid mcp:read mcp:tools offline_access'
    tool audit_log
    insufficient "the challenge keeps our scopes and leaves out those of others: audit_log" 'mcp:read mcp:tools mcp:audit'
    as alice user 'mcp:prompts mcp:audit'
    tool whoami
    insufficient "the challenge keeps what the token has: whoami" 'mcp:prompts mcp:audit mcp:tools'
}

what_is_listed() {
    local TOKEN=$TOKEN
    as root admin mcp:read
    rpc tools/list
    expect "an admin sees every tool, whatever the scopes" \
        json '[.result.tools[].name]' '["echo","get_time","whoami","audit_log"]' \
        where '.result.tools | all(.title and .description and .inputSchema.type == "object")'
    as alice user mcp:read
    rpc tools/list
    expect "a user does not see audit_log" json '[.result.tools[].name]' '["echo","get_time","whoami"]'
    as gast guest 'mcp:read mcp:tools mcp:audit'
    rpc tools/list
    expect "a guest sees no tool" status 200 json .result.tools '[]'
    modern tools/list
    expect "the list depends on who asks, so no cache may share it" json .result.cacheScope private
    rpc prompts/list
    expect "a guest sees the prompts" json '[.result.prompts[].name]' '["greeting","help"]'
}

what_needs_no_scope() {
    local TOKEN=$TOKEN
    as bare '' ''
    modern server/discover
    permitted "no scope, no role: server/discover"
    send '{"jsonrpc":"2.0","method":"notifications/initialized"}'
    expect "no scope, no role: a notification -> 202" status 202 empty
}

names_nobody_knows() {
    local TOKEN=$TOKEN
    as gast guest mcp:read
    tool no_such_tool
    expect "a tool nobody knows is -32602 for guests, too" status 200 json .error.code -32602 no-challenge -
    prompt no_such_prompt
    expect "a prompt nobody knows is -32602 for guests, too" status 200 json .error.code -32602 no-challenge -
    rpc no/such/method
    expect "a method nobody knows is -32601 for guests, too" status 200 json .error.code -32601 no-challenge -
    modern tools/call '"name":"echo","arguments":{"message":"hi"}' -H 'Mcp-Name: echo'
    expect "a modern request is refused the same way" status 403 json .error.code 403 json .id 1 no-challenge -
    send '{"jsonrpc":"2.0","id":"seven","method":"tools/call","params":{"name":"echo"}}'
    expect "the id comes back with a 403" status 403 json .id seven
    as gast user mcp:read
    send '{"jsonrpc":"2.0","id":9007199254740993,"method":"tools/call","params":{"name":"echo"}}'
    expect "the id comes back with a challenge, too" status 403 id-digits 9007199254740993 challenge error insufficient_scope
}

audit() {
    local TOKEN=$TOKEN log='.result.content[0].text | fromjson | .decisions'
    as mallory guest 'mcp:read mcp:tools'
    tool echo '{"message":"let me in"}'
    as zoe user mcp:read
    tool get_time
    as root admin mcp:audit
    prompt help
    tool audit_log
    expect "audit_log -> the newest decisions first, this one among them" \
        status 200 \
        json "$log | .[0] | [.sub, .client_id, .operation, .allowed]" '["root","gen-token","tools/call audit_log",true]' \
        json "$log | .[1] | [.sub, .operation, .allowed]" '["root","prompts/get help",false]' \
        json "$log | .[2] | [.sub, .operation, .allowed]" '["zoe","tools/call get_time",false]' \
        json "$log | .[3] | [.sub, .operation, .allowed]" '["mallory","tools/call echo",false]'
    expect "every decision has a time and a reason" \
        where "$log | all(.time | test(\"^20[0-9]{2}-.*Z\$\"))" \
        where "$log | all(.reason | length > 0)" \
        where "$log | (.[2].reason | test(\"mcp:tools\")) and (.[3].reason | test(\"role\"))"
    expect "audit_log keeps 100 of them, and no arguments" \
        json "$log | length" 100 \
        where '.result.content[0].text | contains("let me in") | not'
    check "a decision is one line of the log" grep -qE 'mallory.*tools/call echo|tools/call echo.*mallory' "$LOG"
}

limits() {
    local URL=$URL PID=$PID LOG=$LOG TOKEN=$TOKEN alice
    start "step$STEP" --public-key "$KEYS/public.pem" --issuer "$ISSUER" --resource "$RESOURCE" --calls-per-minute 2
    as alice user mcp:tools
    alice=$TOKEN
    tool get_time
    tool get_time
    expect "two calls a minute: the second -> 200" status 200
    tool get_time
    expect "two calls a minute: the third -> 429 and Retry-After" \
        status 429 \
        header Content-Type application/json \
        no-challenge - \
        json .id 1 \
        json .error.code 429
    header Retry-After
    check "Retry-After is at most half a minute" [ "$VALUE" -ge 1 -a "$VALUE" -le 31 ]
    TOKEN=$(token --username alice --scopes mcp:tools --client-id another)
    tool get_time
    expect "another token of the same user -> 429, too" status 429
    rpc ping
    expect "what is no call is not counted" status 200
    as bob user mcp:tools
    tool get_time
    expect "another user is not held up" status 200
    stop "$PID"

    start "step$STEP" --public-key "$KEYS/public.pem" --issuer "$ISSUER" --resource "$RESOURCE" --calls-per-minute 0
    TOKEN=$alice
    tool get_time
    tool get_time
    tool get_time
    expect "0 calls a minute is no limit" status 200
    stop "$PID"
    refused --calls-per-minute many
    check "--calls-per-minute many -> status 2" is "$EXIT" 2
}
