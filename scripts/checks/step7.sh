# shellcheck shell=bash
# Step 7: a client that knows nothing can find the way in.

WELL_KNOWN=/.well-known/oauth-protected-resource
BASIC_SCOPES='mcp:read mcp:tools mcp:prompts'

checks_of_step7() {
    metadata_documents
    the_challenge_leads_there
    answers_lead_there
    untyped_tokens
    other_resources
    issuer_out_of_reach
    pages_of_other_origins
}

# get_url URL [curl argument..]: a request to a whole URL, as a client sends it that was told that URL.
get_url() {
    local URL=
    request "$@"
}

metadata_documents() {
    local TOKEN='' path
    get "$WELL_KNOWN/mcp"
    cp "$BODY" "$SCRATCH/metadata"
    expect "the resource's metadata: what it is, who issues its tokens, what they may hold" \
        status 200 \
        header Content-Type application/json \
        json .resource "$RESOURCE" \
        json .authorization_servers "[\"$ISSUER\"]" \
        json .scopes_supported '["mcp:read","mcp:tools","mcp:prompts"]' \
        json .bearer_methods_supported '["header"]' \
        where '.resource_name | type == "string" and length > 0'
    get "$WELL_KNOWN"
    expect "the metadata is also at the root" status 200 header Content-Type application/json
    check "both documents are the same, byte for byte" cmp "$SCRATCH/metadata" "$BODY"
    get "$WELL_KNOWN/mcp" -H 'Host: evil.example' -H 'X-Forwarded-Host: evil.example' -H 'X-Forwarded-Proto: https'
    expect "the metadata does not believe Host and X-Forwarded-*" status 200 json .resource "$RESOURCE"
    for path in "$WELL_KNOWN/other" "$WELL_KNOWN/mcp/more" "$WELL_KNOWN/" /.well-known/openid-configuration; do
        get "$path"
        expect "$path -> 404 in JSON" status 404 header Content-Type application/json where '.error | type == "string"'
    done
    request "$WELL_KNOWN/mcp" -X POST
    expect "POST to the metadata -> 405" status 405
    get "$WELL_KNOWN/mcp" -I
    expect "HEAD of the metadata -> 200" status 200
    get_url "$RESOURCE"
    asked "the resource named in the metadata is there"
}

the_challenge_leads_there() {
    local TOKEN='' url
    rpc ping
    expect "401 -> where the metadata is, and which scopes to ask for; no error" \
        status 401 \
        challenge realm mcp \
        challenge resource_metadata "${RESOURCE%/mcp}$WELL_KNOWN/mcp" \
        challenge scope "$BASIC_SCOPES" \
        no-challenge error
    challenge resource_metadata
    get_url "$VALUE"
    expect "the URL in the challenge answers with our document" status 200 json .resource "$RESOURCE"
    bearer no-token rpc ping
    expect "a bad token -> the same, and the error" \
        status 401 \
        challenge error invalid_token \
        challenge resource_metadata "${RESOURCE%/mcp}$WELL_KNOWN/mcp" \
        challenge scope "$BASIC_SCOPES"
    rpc ping '' -H 'X-Forwarded-Host: evil.example' -H 'X-Forwarded-Proto: https' -H 'Forwarded: host=evil.example'
    expect "the challenge does not believe X-Forwarded-*" challenge resource_metadata "${RESOURCE%/mcp}$WELL_KNOWN/mcp"
    get /health
    expect "/health names the metadata URL" status 200 json .auth.resource_metadata "${RESOURCE%/mcp}$WELL_KNOWN/mcp"
    url=$("$JQ" -r .auth.resource_metadata "$BODY")
    get_url "$url"
    expect "the URL in /health answers with our document" status 200 json .resource "$RESOURCE"
}

# A client that has a token already never sees a challenge.
answers_lead_there() {
    local place='_meta["io.github.mcp-auth-steps/authorization"].resource_metadata'
    initialize 2025-11-25
    expect "initialize names the metadata URL in _meta" status 200 json ".result.$place" "${RESOURCE%/mcp}$WELL_KNOWN/mcp"
    modern server/discover
    expect "server/discover names it, too, beside the server's name" \
        status 200 \
        json ".result.$place" "${RESOURCE%/mcp}$WELL_KNOWN/mcp" \
        json '.result._meta["io.modelcontextprotocol/serverInfo"].name' "$SERVICE"
    modern tools/list
    expect "other answers do not repeat it" where '[.. | objects | has("io.github.mcp-auth-steps/authorization")] | any | not'
}

untyped_tokens() {
    local URL=$URL PID=$PID LOG=$LOG kind word
    refused_token "a token without a typ, without --accept-untyped" "$(token --username alice --break untyped)" typ
    start "step$STEP" --public-key "$KEYS/public.pem" --issuer "$ISSUER" --resource "$RESOURCE" --accept-untyped
    bearer "$(token --username alice --break untyped)" rpc ping
    expect "a token without a typ, with --accept-untyped -> 200" status 200 json .result '{}'
    rpc ping
    expect "a token with the right typ, with --accept-untyped -> 200" status 200
    while read -r kind word; do
        refused_token "--break $kind, with --accept-untyped" "$(token --username alice --break "$kind")" "$word"
    done <<'END'
typ typ
id-token typ
cnf cnf
audience aud
END
    stop "$PID"
}

other_resources() {
    local URL=$URL PID=$PID LOG=$LOG TOKEN='' name suffix
    for name in http://localhost:9000 https://mcp.example.com/team/a/mcp; do
        suffix=${name#*://*/}
        [ "$suffix" = "$name" ] && suffix='' || suffix=/$suffix
        start "step$STEP" --public-key "$KEYS/public.pem" --issuer "$ISSUER" --resource "$name"
        rpc ping
        expect "the challenge of $name -> its metadata URL" \
            status 401 \
            challenge resource_metadata "${name%"$suffix"}$WELL_KNOWN$suffix"
        get "$WELL_KNOWN$suffix"
        expect "the metadata of $name is where RFC 9728 puts it" status 200 json .resource "$name"
        stop "$PID"
    done
}

issuer_out_of_reach() {
    local URL=$URL PID=$PID LOG=$LOG
    get /.well-known/oauth-authorization-server
    expect "the issuer's metadata, when nobody answers there -> 503 and a fixed sentence" \
        status 503 \
        header Content-Type application/json \
        header Retry-After 10 \
        json .error_description "the metadata of the issuer cannot be had"
    check "the reason is in the log" eventually grep -qF "$ISSUER/.well-known/oauth-authorization-server" "$LOG"
    rpc ping
    expect "a local key needs no issuer" status 200 json .result '{}'

    start "step$STEP" --issuer "$ISSUER" --resource "$RESOURCE"
    check "the log says that the keys are the issuer's" grep -qF "$ISSUER" "$LOG"
    rpc ping
    expect "a token that only the issuer's keys could check -> 503, no challenge" \
        status 503 \
        header Content-Type application/json \
        header Retry-After 10 \
        no-challenge - \
        json .error_description "the keys of the issuer cannot be had"
    bearer '' rpc ping
    expect "no token, no issuer -> 401 all the same" status 401 no-challenge error
    get "$JWKS"
    expect "no issuer -> no key set: 503" status 503 header Retry-After 10
    get /health
    expect "no issuer -> healthy, but without keys" status 200 json .status healthy json .auth.keys false
    get "$WELL_KNOWN/mcp"
    expect "no issuer -> our own metadata all the same" status 200 json .authorization_servers "[\"$ISSUER\"]"
    stop "$PID"
}

# readable CLAIM CONDITION..: a page at $origin may read the last answer, also why it was refused.
readable() {
    expect "$1" "${@:2}" \
        header Access-Control-Allow-Origin "$origin" \
        header Access-Control-Expose-Headers www-authenticate,retry-after
}

pages_of_other_origins() {
    local origin=http://localhost:6274 path good=$TOKEN
    local asks=authorization,content-type,accept,mcp-protocol-version,mcp-method,mcp-name,mcp-param-x
    local TOKEN=
    request /mcp -X OPTIONS -H "Origin: $origin" -H 'Access-Control-Request-Method: POST' \
        -H "Access-Control-Request-Headers: $asks"
    expect "a preflight for /mcp -> every header a client may need" \
        status 200 \
        header Access-Control-Allow-Origin "$origin" \
        header Access-Control-Allow-Headers "$asks" \
        no-challenge -
    header Access-Control-Allow-Methods
    check "the preflight allows POST" grep -qw POST <<<"$VALUE"

    bearer "$good" rpc ping '' -H "Origin: $origin"
    readable "a page may read an answer" status 200
    rpc ping '' -H "Origin: $origin"
    readable "a page may read a 401 and its challenge" status 401 challenge scope "$BASIC_SCOPES"
    bearer no-token rpc ping '' -H "Origin: $origin"
    readable "a page may read why its token was refused" status 401 challenge error invalid_token
    rpc ping '' -H "Origin: $origin" -H "Authorization: Bearer"
    readable "a page may read a 400" status 400
    request /mcp -H "Origin: $origin" -H "Authorization: Bearer $good"
    readable "a page may read a 405" status 405
    bearer "$good" rpc ping '' -H "Origin: $origin" -H 'Content-Type: text/plain'
    readable "a page may read a 415" status 415
    padded_ping 2097152
    bearer "$good" send_file "$SCRATCH/padded" -H "Origin: $origin"
    readable "a page may read a 413" status 413
    get /nowhere -H "Origin: $origin"
    readable "a page may read a 404" status 404

    for path in "$WELL_KNOWN/mcp" "$WELL_KNOWN" "$JWKS" /.well-known/oauth-authorization-server; do
        origin=https://inspector.example.org
        get "$path" -H "Origin: $origin"
        readable "any page may read $path"
        request "$path" -X OPTIONS -H "Origin: $origin" -H 'Access-Control-Request-Method: GET' \
            -H 'Access-Control-Request-Headers: mcp-protocol-version'
        expect "a preflight for $path from any page" \
            status 200 \
            header Access-Control-Allow-Origin "$origin" \
            header Access-Control-Allow-Headers mcp-protocol-version
    done
    rpc ping '' -H "Origin: $origin"
    expect "a page of another site may not read /mcp -> 403" status 403 no-header Access-Control-Allow-Origin
    request /mcp -X OPTIONS -H "Origin: $origin" -H 'Access-Control-Request-Method: POST'
    expect "a preflight for /mcp from another site is not granted" no-header Access-Control-Allow-Origin
    bearer "$good" rpc ping '' -H 'Origin: http://localhost'
    expect "no page may make the browser add credentials of its own" no-header Access-Control-Allow-Credentials
}
