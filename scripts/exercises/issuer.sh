# shellcheck shell=bash disable=SC2034 # lib.sh reads what is set here
# The claims of the exercise `issuer`: step 8 with an issuer whose tokens look different from ours.

claims_of_exercise() {
    local line
    "$BIN/gen-token" --keys-dir "$SCRATCH/company" --algorithm ES256 --generate-keys >"$SCRATCH/gen-token.log" 2>&1
    "$BIN/gen-token" --keys-dir "$SCRATCH/company" --algorithm ES256 --jwks >"$SCRATCH/company/jwks.json" 2>"$SCRATCH/gen-token.log"
    RESOURCE=https://plants.example/mcp
    the_company
    ISSUER=$URL
    # The reader's settings: only names of ours, taken as they stand.
    while IFS= read -r line; do
        case $line in MCP_[A-Z]*=*) export "${line?}" ;; esac
    done <"${CHECKS_SETTINGS:-/dev/null}"
    export MCP_ISSUER=$ISSUER MCP_RESOURCE=$RESOURCE MCP_CALLS_PER_MINUTE=0
    unset MCP_PUBLIC_KEY
    start step8
    echo "# issuer"
    who_gets_in
    what_is_read
    what_is_asked_for
    who_may_do_what
    what_is_no_right
    what_stays_out
}

# The stand-in is not what is claimed to start.
the_company() {
    launch company --keys "$SCRATCH/company" --audience "$RESOURCE"
    if ! eventually settled || ended "$PID"; then
        cat "$LOG"
        die "the stand-in for the company did not start."
    fi
    COMPANY=$URL
    SERVERS=0
}

# grant CLAIMS: a token of the company, with these claims in place of the usual ones; sets TOKEN.
grant() {
    local URL=$COMPANY TOKEN=
    request /token -H 'Content-Type: application/json' --data-raw "$1"
    GRANTED=$(cat "$BODY")
}

# as CLAIMS: the same, and from here on it is sent.
as() {
    grant "$1"
    TOKEN=$GRANTED
}

tool() {
    rpc tools/call "{\"name\":\"$1\"${2:+,\"arguments\":$2}}"
}

who_gets_in() {
    rpc ping
    expect "no token -> 401" status 401 no-challenge error
    as '{}'
    rpc ping
    expect "a token of the company gets in" status 200 json .result '{}'
    as '{"header":{"typ":"at+jwt"}}'
    rpc ping
    expect "a token with a typ gets in, too" status 200 json .result '{}'
    get /health
    expect "the keys are the company's, found by discovery" status 200 json .auth.keys true json .auth.issuer "$ISSUER"
}

what_is_read() {
    as '{}'
    tool whoami
    expect "whoami -> its groups are the roles" status 200 json '.result.content[0].text | fromjson | .roles' '["staff"]'
    expect "whoami -> its permissions are the scope" json '.result.content[0].text | fromjson | .scope' 'tools.read tools.call'
    expect "whoami -> its azp is the client" json '.result.content[0].text | fromjson | .client_id' intranet
}

what_is_asked_for() {
    bearer '' rpc ping
    expect "the 401 asks for the company's scopes" status 401 challenge-words scope 'tools.read tools.call'
    get /.well-known/oauth-protected-resource
    expect "so does the metadata" status 200 json '.scopes_supported | sort' '["tools.call","tools.read"]'
}

# forbidden, insufficient: as in step 8.
forbidden() {
    expect "$1 -> 403, the role forbids it: no challenge" status 403 no-challenge - json .error.code 403
}

insufficient() {
    expect "$1 -> 403 insufficient_scope, asking for [$2]" status 403 challenge error insufficient_scope challenge-words scope "$2"
}

who_may_do_what() {
    as '{}'
    tool echo '{"message":"hi"}'
    expect "staff with tools.call: echo" status 200 json .result.structuredContent.text hi
    rpc tools/list
    expect "staff see every tool but audit_log" status 200 json '[.result.tools[].name]' '["echo","get_time","whoami"]'
    rpc prompts/list
    expect "staff with tools.read: prompts/list" status 200 where '.result.prompts | length > 0'
    as '{"permissions":["tools.read"]}'
    tool echo '{"message":"hi"}'
    insufficient "staff without tools.call: echo" 'tools.read tools.call'
    as '{"groups":["contractors"]}'
    tool echo '{"message":"hi"}'
    forbidden "contractors: echo"
    rpc tools/list
    expect "contractors see no tool" status 200 json .result.tools '[]'
    as '{"groups":["staff"],"permissions":["tools.call","audit.read"]}'
    tool audit_log
    forbidden "staff with audit.read: audit_log"
    as '{"groups":["staff","platform-admins"]}'
    tool audit_log
    insufficient "platform-admins without audit.read: audit_log" 'tools.read tools.call audit.read'
    as '{"groups":["platform-admins"],"permissions":["audit.read"]}'
    tool audit_log
    expect "platform-admins with audit.read: audit_log" status 200 where '.result.isError != true'
}

what_is_no_right() {
    as '{"groups":null,"roles":["platform-admins","admin"],"permissions":["tools.call","audit.read"]}'
    tool audit_log
    forbidden "the job titles in roles are no roles here: audit_log"
    as '{"groups":["admin"],"permissions":["audit.read"]}'
    tool audit_log
    forbidden "a group that only our demo knows: audit_log"
    as '{"scope":"tools.call tools.read","permissions":[]}'
    tool echo '{"message":"hi"}'
    insufficient "what stands in scope is no permission: echo" tools.call
    as '{"permissions":["mcp:tools"]}'
    tool echo '{"message":"hi"}'
    insufficient "the scopes of our demo are no permissions: echo" tools.call
}

# refused_token CLAIM [CLAIMS]: the token of the company with these claims is refused.
refused_token() {
    [ $# -lt 2 ] || grant "$2"
    bearer "$GRANTED" rpc ping
    expect "$1 -> 401 invalid_token" status 401 challenge error invalid_token
}

what_stays_out() {
    local head
    refused_token "a token for another application" '{"aud":["https://wiki.example/mcp"]}'
    refused_token "a token from another issuer" '{"iss":"https://id.example"}'
    refused_token "a token that has expired" '{"exp":1700000000}'
    refused_token "an ID token of the company" '{"nonce":"n-0S6_WzA2Mj"}'
    refused_token "a token of another type" '{"header":{"typ":"logout+jwt"}}'
    grant '{"sub":"admin"}'
    head=${GRANTED%.*}
    grant '{}'
    GRANTED=$head.${GRANTED##*.}
    refused_token "a token with the signature of another"
    grant '{}'
    GRANTED=${GRANTED%.*}.
    refused_token "a token without its signature"
}
