# shellcheck shell=bash
# Step 6: nobody gets in without a valid token.

checks_of_step6() {
    no_credentials
    the_user_is_known
    odd_credentials
    flawed_tokens
    forged_tokens
    keys_of_tokens
    settings_of_tokens
    check "no token, nor any part of one, is in the log" log_is_silent
}

the_user_is_known() {
    tool whoami
    expect "whoami -> what the token says of the user" \
        status 200 \
        json '.result.content[0].text | fromjson | [.sub, .preferred_username, .client_id, .scope]' \
        '["alice","alice","gen-token","mcp:read mcp:tools mcp:prompts"]' \
        json '.result.content[0].text | fromjson | [.roles, .iss, .aud]' "[[\"user\"],\"$ISSUER\",\"$RESOURCE\"]" \
        where '.result.content[0].text | fromjson | .exp > now' \
        where '.result.content[0].text | fromjson | [.. | select(. == null)] | length == 0'
    prompt greeting
    expect "prompts/get greeting without a name -> the user's own" \
        status 200 \
        where '.result.messages[0].content.text | contains("alice")'
    prompt greeting '{"name":"Ada"}'
    expect "prompts/get greeting with a name -> that name, not the user's" \
        where '.result.messages[0].content.text | contains("Ada") and (contains("alice") | not)'
    get /health
    expect "/health is open, and says what is required" \
        status 200 \
        json .auth.required true \
        json .auth.issuer "$ISSUER" \
        json .auth.keys true
    expect "/health says how old the keys are" where '.auth.keys_age_seconds | type == "number" and . >= 0'
    get "$JWKS"
    expect "the key set is open" status 200 where '.keys | length == 1'
}

# asked CLAIM: the last request was answered as one without credentials.
asked() {
    expect "$1 -> 401, asking for a token, without an error" \
        status 401 \
        header Content-Type application/json \
        challenge realm mcp \
        no-challenge error \
        where '.error | type == "string"' \
        where '.error_description | type == "string"'
}

no_credentials() {
    local good=$TOKEN method
    local TOKEN=
    rpc ping
    asked "no Authorization header"
    for method in GET DELETE PUT; do
        request /mcp -X "$method"
        asked "$method /mcp without a token"
    done
    send '{'
    asked "a body that is not JSON is not looked at"
    rpc ping '' -H 'Content-Type: text/plain'
    asked "a content type is not looked at"
    padded_ping 2097152
    send_file "$SCRATCH/padded"
    asked "a body of 2 MiB is not read"
    rpc ping '' -H 'Origin: http://evil.example'
    expect "a wrong Origin without a token -> 403" status 403 no-challenge -
    request /mcp -X OPTIONS
    check "OPTIONS /mcp asks nobody for a token" differs "$STATUS" 401
    request "/mcp?access_token=$good" -H 'Content-Type: application/json' --data-raw '{"jsonrpc":"2.0","id":1,"method":"ping"}'
    asked "a token in the query counts for nothing"
    request /mcp --data-raw "access_token=$good"
    asked "a token in a form counts for nothing"
    rpc ping '' -b "access_token=$good; Authorization=Bearer $good"
    asked "a token in a cookie counts for nothing"
    rpc ping '' -H "Proxy-Authorization: Bearer $good"
    asked "a token for the proxy counts for nothing"
}

# bad_request CLAIM: the last request was answered as one with malformed credentials.
bad_request() {
    expect "$1 -> 400 invalid_request" \
        status 400 \
        challenge realm mcp \
        challenge error invalid_request \
        json .error invalid_request \
        where '.error_description | type == "string"'
}

odd_credentials() {
    local good=$TOKEN scheme
    local TOKEN=
    for scheme in Bearer bearer BEARER bEaReR; do
        rpc ping '' -H "Authorization: $scheme $good"
        expect "the scheme written $scheme -> 200" status 200 json .result '{}'
    done
    rpc ping '' -H 'Authorization;'
    asked "an empty Authorization header"
    for scheme in "Basic YWxpY2U6YWxpY2U=" "Digest $good" "Token $good" "Bearerer $good" "$good" "Bearer=$good"; do
        rpc ping '' -H "Authorization: $scheme"
        asked "the scheme ${scheme%%eyJ*}"
    done
    rpc ping '' -H 'Authorization: Bearer'
    bad_request "Bearer alone"
    rpc ping '' -H "Authorization: Bearer $good" -H "Authorization: Bearer $good"
    bad_request "two Authorization headers, both good"
    rpc ping '' -H "Authorization: Bearer $good" -H 'Authorization: Basic YWxpY2U6YWxpY2U='
    bad_request "two Authorization headers of two schemes"
    rpc ping '' -H "Authorization: Bearer $good, Bearer $good"
    expect "two tokens in one header -> 401" status 401 challenge error invalid_token
}

# refused_token CLAIM TOKEN [WORD]: this token is refused, and the description has the word.
refused_token() {
    bearer "$2" rpc ping
    expect "$1 -> 401 invalid_token" \
        status 401 \
        header Content-Type application/json \
        challenge realm mcp \
        challenge error invalid_token \
        json .error invalid_token \
        where ".error_description | test(\"${3:-token|signature|claim}\")"
}

# Every token here differs from a good one in one thing.
flawed_tokens() {
    local kind word
    while read -r kind word; do
        refused_token "--break $kind" "$(token --username alice --break "$kind")" "$word"
    done <<'END'
signature signature
expired expired
not-yet-valid not valid yet
no-expiry exp
issuer iss
audience aud
alg-none token
hs256 algorithm
kid key
cnf cnf
id-token typ
untyped typ
typ typ
END
    word=$("$JQ" -r .error_description "$BODY")
    expect "the description in the challenge is the one in the body" challenge error_description "$word"
    for word in "$RESOURCE/" "${RESOURCE%/mcp}" "${RESOURCE%/mcp}/" "${RESOURCE}2" "$(printf %s "$RESOURCE" | tr m M)" \
        "http://127.0.0.1:${RESOURCE##*:}" https://example.com/mcp; do
        refused_token "a token for $word" "$(token --username alice --audience "$word")" aud
    done
    for word in "$ISSUER/" "${ISSUER}0" "${ISSUER/http:/https:}" "${ISSUER/127.0.0.1/localhost}"; do
        refused_token "a token from $word" "$(token --username alice --issuer "$word")" iss
    done
    refused_token "a token signed by the right key with another algorithm than the key's" \
        "$(token --username alice --algorithm PS256)" algorithm
    make_keys "$SCRATCH/others"
    refused_token "a token signed with somebody else's key" "$(KEYS=$SCRATCH/others token --username alice)" key
}

# A good token, taken apart and put together wrongly.
forged_tokens() {
    local head=${TOKEN%%.*} rest=${TOKEN#*.} payload signature last
    payload=${rest%%.*} signature=${rest#*.} last=${TOKEN: -1}
    refused_token "another name in the payload" \
        "$head.$(part "$TOKEN" 2 | sed 's/alice/admin/g' | base64url).$signature" signature
    refused_token "one more scope in the payload" \
        "$head.$(part "$TOKEN" 2 | sed 's/mcp:tools/mcp:tools mcp:audit/' | base64url).$signature" signature
    refused_token "one more member in the header" \
        "$(part "$TOKEN" 1 | sed 's/{/{"x":1,/' | base64url).$payload.$signature" signature
    refused_token "a crit header" "$(part "$TOKEN" 1 | sed 's/{/{"crit":["x"],/' | base64url).$payload.$signature"
    local alg
    for alg in none None NONE nOnE ''; do
        refused_token "alg [$alg] without a signature" "$(with_alg "$alg").$payload."
        refused_token "alg [$alg] with the signature left in place" "$(with_alg "$alg").$payload.$signature"
    done
    for alg in RS384 RS512 PS256 ES256 HS256 EdDSA rs256; do
        refused_token "alg $alg in place of RS256" "$(with_alg "$alg").$payload.$signature"
    done
    refused_token "the signature of another token" "$head.$payload.$(token --username bob | cut -d . -f 3)" signature
    refused_token "the last byte of the signature cut off" "${TOKEN%??}"
    refused_token "the first byte of the signature changed" "$head.$payload.$(printf %s "$signature" | tr 'A-Za-z' 'B-ZAb-za')"
    refused_token "the same signature in another spelling" \
        "${TOKEN%?}$(printf %s "$last" | tr 'AQgw' 'BRhx')"
    refused_token "no signature" "$head.$payload."
    refused_token "no payload" "$head..$signature"
    refused_token "no header" ".$payload.$signature"
    refused_token "two parts" "$head.$payload"
    refused_token "four parts" "$TOKEN.$signature"
    refused_token "one part" "$head"
    refused_token "dots only" ..
    refused_token "padding at the end" "$TOKEN=="
    refused_token "padding inside" "$head=.$payload=.$signature"
    refused_token "a space inside" "$head. $payload.$signature"
    refused_token "quotes around the token" "\"$TOKEN\""
    refused_token "the token in standard Base64" "$head.$payload.$(printf %s "$signature" | tr '_-' '/+')+"
    refused_token "a word that is no token" hello
    refused_token "a token of 9 KB" "$TOKEN.$(awk 'BEGIN { while (n++ < 9000) printf "A" }')" 'too long'
    refused_token "a token of 100 KB" "$(awk 'BEGIN { while (n++ < 100000) printf "A" }')" 'too long'
    rpc ping
    expect "after all that the good token still works" status 200 json .result '{}'
}

# The header of the good token with another alg, and nothing else changed.
with_alg() {
    part "$TOKEN" 1 | sed "s/RS256/$1/" | base64url
}

keys_of_tokens() {
    local URL=$URL PID=$PID LOG=$LOG KEYS=$SCRATCH/missing good=$TOKEN old
    local TOKEN=
    start "step$STEP" --public-key "$KEYS/public.pem" --issuer "$ISSUER" --resource "$RESOURCE"
    rpc ping
    asked "no key yet, and no token"
    bearer "$good" rpc ping
    expect "a token that nobody can check yet -> 503, Retry-After and the command" \
        status 503 \
        header Content-Type application/json \
        header Retry-After 1 \
        no-challenge - \
        where '.error_description | contains("cargo run -p gen-token")'
    get /health
    expect "/health says that there is no key" status 200 json .auth.keys false json '.auth | has("keys_age_seconds")' false
    make_keys "$KEYS"
    TOKEN=$(token --username alice)
    check "a key made later lets its tokens in, without a restart" eventually answers 200
    bearer "$good" rpc ping
    expect "a token signed with another key -> 401" status 401 challenge error invalid_token
    old=$TOKEN
    "$BIN/gen-token" --keys-dir "$KEYS" --generate-keys --force >"$SCRATCH/gen-token.log" 2>&1
    TOKEN=$(token --username alice)
    check "a replaced key lets its tokens in, without a restart" eventually answers 200
    bearer "$old" rpc ping
    expect "a token of the key that was replaced -> 401" status 401 challenge error invalid_token

    mv "$KEYS/public.pem" "$KEYS/aside"
    check "a key that is removed lets its tokens in no more, without a restart" eventually answers 503
    rpc ping
    expect "a token of a key that was removed -> 503, Retry-After, no challenge" \
        status 503 \
        header Retry-After 1 \
        no-challenge -
    bearer '' rpc ping
    asked "the key was removed, and there is no token"
    mv "$KEYS/aside" "$KEYS/public.pem"
    check "a key that comes back lets its tokens in again" eventually answers 200
    cp "$KEYS/public.pem" "$KEYS/aside"
    : >"$KEYS/public.pem"
    check "a key file that is emptied lets nobody in, without a restart" eventually answers 503
    rpc ping
    expect "a token while the key file is empty -> 503 and a fixed sentence" \
        status 503 \
        no-challenge - \
        json .error_description "the signing key cannot be read"
    cp "$KEYS/aside" "$KEYS/public.pem"
    check "a key file that is written again lets its tokens in" eventually answers 200
    stop "$PID"
}

# Whether a ping with the token at hand has this status now.
answers() {
    rpc ping
    [ "$STATUS" = "$1" ]
}

settings_of_tokens() {
    local URL=$URL PID=$PID LOG=$LOG
    refused --issuer nonsense
    check "--issuer nonsense -> status 2, no panic" both "$EXIT" 2 no_panic
}

log_is_silent() {
    local part
    for part in "${TOKEN%%.*}" "${TOKEN##*.}" "$(printf %s "$TOKEN" | cut -d . -f 2 | cut -c 1-60)"; do
        ! grep -lF -e "$part" "$SCRATCH"/*.log || return 1
    done
}
