#!/usr/bin/env bash
# Checks examples/whoami on the wire, beside the real authorization server: who gets in by each way of checking a token,
# and what becomes of a token that was not meant for us. What step 7 does is checked at step 7.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
unset MCP_VERIFY MCP_INTROSPECTION_CLIENT_ID MCP_INTROSPECTION_CLIENT_SECRET MCP_USERINFO MCP_ISSUER_METADATA
unset MCP_ALLOW_HTTP_ISSUER MCP_SET_METADATA MCP_SUBJECT_CLAIM MCP_SCOPES

LOUD='--verify userinfo: any application of this issuer can act as its users here'
OTHER=https://other-app.example/mcp
RESOURCE=https://whoami.example/mcp
METADATA=/.well-known/oauth-authorization-server

whoami() {
    rpc tools/call '{"name":"whoami"}'
}

# log_has TEXT: whether the server has said so.
log_has() {
    grep -qF -e "$1" "$LOG"
}

# gives_up [argument..]: runs whoami, which must end by itself; EXIT and LOG tell how.
gives_up() {
    launch whoami "$@"
    eventually ended "$PID"
    stop "$PID"
}

build whoami auth-server gen-token mcp-client
KEYS=$SCRATCH/issuer
start auth-server --bind 127.0.0.1:0 --keys-dir "$KEYS" --data "$SCRATCH/auth.db" --resource "$RESOURCE" --resource "$OTHER"
AUTH=$URL
ISSUER=http://localhost:${URL##*:}
AUTH_PID=$PID
# A client of the issuer that may ask about tokens.
request /oauth/register --json '{"redirect_uris":["http://127.0.0.1:5000/callback"],"token_endpoint_auth_method":"client_secret_basic"}'
CLIENT=$("$JQ" -r .client_id "$BODY")
SECRET=$("$JQ" -r .client_secret "$BODY")
GOOD=$(token --username alice --scopes 'openid profile mcp:tools') || exit 1
# As good, from the same issuer, for the same user, but for another application.
FOREIGN=$(RESOURCE=$OTHER token --username alice --scopes 'openid profile mcp:tools') || exit 1

echo "# --verify jwt: this server reads the token"
start whoami --issuer "$ISSUER" --resource "$RESOURCE"
get /health
expect "/health says how tokens are checked" status 200 json .service whoami json .auth.verify jwt json .auth.keys true \
    json .auth.warnings '[]'
bearer "$GOOD" whoami
expect "a token for us -> all its claims, and what userinfo adds" status 200 \
    json '.result.content[0].text | fromjson | [.sub, .aud, .name]' "[\"alice\",\"$RESOURCE\",\"alice\"]" \
    json '.result.content[0].text | fromjson | has("iat")' true
expect "the result names the user" json '.result._meta["io.github.mcp-auth-steps/user"]' '{"preferred_username":"alice","sub":"alice"}'
bearer "$FOREIGN" whoami
expect "a token for another application -> 401 invalid_token" status 401 challenge error invalid_token
bearer "$(token --username alice --scopes mcp:tools)" whoami
expect "a token without openid is not shown to userinfo" status 200 \
    json '.result.content[0].text | fromjson | has("name")' false
stop "$PID"

echo "# --verify introspection: the issuer says whether it is active, and for whom"
export MCP_INTROSPECTION_CLIENT_SECRET=$SECRET
start whoami --verify introspection --introspection-client-id "$CLIENT" --issuer "$ISSUER" --resource "$RESOURCE"
bearer "$GOOD" whoami
expect "introspection: a token for us -> what the issuer says about it" status 200 \
    json '.result.content[0].text | fromjson | [.sub, .active, .username]' '["alice",true,"alice"]'
bearer "$FOREIGN" whoami
expect "introspection: a token for another application -> 401 invalid_token" status 401 challenge error invalid_token
bearer made-up whoami
expect "introspection: a made-up token -> 401 invalid_token" status 401 challenge error invalid_token
for flaw in expired signature issuer; do
    bearer "$(token --username alice --break "$flaw")" whoami
    expect "introspection: a token with the flaw $flaw -> 401 invalid_token" status 401 challenge error invalid_token
done
get /health
expect "introspection: /health says so, and needs no keys" status 200 json .auth.verify introspection json .auth.keys false
check "introspection: nothing of a token or secret is in the log" is "$(grep -cF -e eyJ -e "$SECRET" "$LOG")" 0
# shellcheck disable=SC2009 # what others on this machine see, is asked of ps
check "introspection: the secret is not among the arguments that ps shows" is \
    "$(ps -o args= -p "$PID" 2>/dev/null | grep -cF -e "$SECRET")" 0
stop "$PID"
MCP_INTROSPECTION_CLIENT_SECRET=wrong start whoami --verify introspection --introspection-client-id "$CLIENT" \
    --issuer "$ISSUER" --resource "$RESOURCE"
bearer "$GOOD" whoami
expect "introspection: the issuer does not let us ask -> 503, no reason to log in again" status 503 no-challenge -
check "introspection: and the log says that it may be our secret" log_has 'our client is refused, or its secret'
stop "$PID"
unset MCP_INTROSPECTION_CLIENT_SECRET

echo "# --verify userinfo: the issuer says who its user is"
start whoami --verify userinfo --issuer "$ISSUER" --resource "$RESOURCE"
check "userinfo: the start says loudly what that means" log_has "$LOUD"
get /health
expect "userinfo: /health says loudly what that means" status 200 json .auth.verify userinfo json .auth.warnings "[\"$LOUD\"]"
request /mcp
expect "userinfo: the challenge asks for the scopes of a profile" status 401 challenge-words scope 'openid profile email'
bearer "$GOOD" whoami
expect "userinfo: a token of the issuer -> who its user is" status 200 \
    json '.result.content[0].text | fromjson | [.sub, .name]' '["alice","alice"]'
bearer "$FOREIGN" whoami
expect "userinfo: a token for another application gets in, as was said" status 200 \
    json '.result._meta["io.github.mcp-auth-steps/user"].sub' alice
bearer made-up whoami
expect "userinfo: a made-up token -> 401 invalid_token" status 401 challenge error invalid_token
bearer "$(token --username alice --scopes mcp:tools)" whoami
expect "userinfo: a token without openid -> 401 invalid_token, as the issuer says 403" status 401 challenge error invalid_token
stop "$PID"

echo "# what the operator knows better than the metadata"
# A server that passes on metadata can pose as a userinfo of any kind.
start whoami --issuer "$ISSUER" --resource "$RESOURCE" --set-metadata 'sub="mallory"' --set-metadata 'name="Mallory"' \
    --set-metadata id=583231 --set-metadata 'response_types_supported=["code","token"]' --set-metadata jwks_uri=null
STANDIN=$URL$METADATA
get "$METADATA"
expect "--set-metadata puts the metadata right before it is passed on" status 200 json .issuer "$ISSUER" \
    json .response_types_supported '["code","token"]' json 'has("jwks_uri")' false
start whoami --issuer "$ISSUER" --resource "$RESOURCE" --userinfo "$STANDIN"
bearer "$GOOD" whoami
expect "userinfo about another user adds nothing to a token" status 200 \
    json '.result.content[0].text | fromjson | [.sub, has("name")]' '["alice",false]'
stop "$PID"
start whoami --verify userinfo --issuer http://oauth2.example --resource "$RESOURCE" --userinfo "$STANDIN" --subject-claim id \
    --scopes 'read:user'
bearer opaque whoami
expect "a provider without discovery, whose user is id" status 200 \
    json '.result.content[0].text | fromjson | .sub' '"583231"'
request /mcp
expect "--scopes is what the challenge asks for" status 401 challenge scope read:user
stop "$PID"
echo "{\"issuer\":\"https://id.example\",\"jwks_uri\":\"$AUTH/.well-known/jwks.json\"}" >"$SCRATCH/metadata.json"
start whoami --issuer https://id.example --resource "$RESOURCE" --issuer-metadata "$SCRATCH/metadata.json"
bearer "$(ISSUER=https://id.example token --username alice)" whoami
expect "--issuer-metadata FILE stands for a discovery that does not work here" status 200 json .id 1
stop "$PID"
start whoami --issuer "$ISSUER" --resource "$RESOURCE" --allow-http-issuer keycloak
check "--allow-http-issuer is said at the start" log_has "keycloak"
stop "$PID"

echo "# what can never work ends the start"
gives_up --verify userinfo --issuer "$ISSUER" --set-metadata userinfo_endpoint=null
check "userinfo without a place to ask -> status 1" is "$EXIT" 1
check "and a sentence that names --userinfo" log_has --userinfo
gives_up --verify introspection --introspection-client-id x --issuer "$ISSUER"
check "introspection without the secret -> status 1" is "$EXIT" 1
check "and a sentence that names the variable" log_has MCP_INTROSPECTION_CLIENT_SECRET
check "the secret is no flag" is "$("$BIN/whoami" --introspection-client-secret x >/dev/null 2>&1 || echo $?)" 2
check "the issuer of the metadata is not to be set" is "$("$BIN/whoami" --set-metadata 'issuer="x"' >/dev/null 2>&1 || echo $?)" 2

echo "# when the issuer cannot say"
start whoami --verify userinfo --issuer "$ISSUER" --resource "$RESOURCE"
bearer "$GOOD" whoami
expect "before: a good token" status 200
stop "$AUTH_PID"
bearer "$FOREIGN" whoami
expect "no answer -> 503 with Retry-After, and no challenge" status 503 header Retry-After 10 no-challenge - \
    json .error temporarily_unavailable
bearer "$GOOD" whoami
expect "an answer of a moment ago still counts" status 200
stop "$PID"
check "SIGTERM ends it with 0" is "$EXIT" 0

echo "# with a login"
start whoami --issuer "$ISSUER"
PORT=${URL##*:}
RESOURCE=http://localhost:$PORT/mcp
stop "$PID"
# The port that was ours a moment ago: auth-server has to know the resource, and the server its issuer.
start auth-server --bind 127.0.0.1:0 --keys-dir "$KEYS" --data "$SCRATCH/login.db" --resource "$RESOURCE"
ISSUER=http://localhost:${URL##*:}
client() {
    "$BIN/mcp-client" "$@" --as alice:alice >"$SCRATCH/client.log" 2>&1 || {
        cat "$SCRATCH/client.log"
        return 1
    }
}
start whoami --bind "127.0.0.1:$PORT" --issuer "$ISSUER"
check "mcp-client doctor finds nothing wrong" client doctor "$RESOURCE"
stop "$PID"
start whoami --bind "127.0.0.1:$PORT" --issuer "$ISSUER" --verify userinfo
check "userinfo: a client that knows nothing logs in and calls whoami" client call "$RESOURCE" whoami
check "userinfo: and is told who it is" grep -q '"sub": *"alice"\|\\"sub\\":\\"alice\\"' "$SCRATCH/client.log"

finish
