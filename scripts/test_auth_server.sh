#!/usr/bin/env bash
# shellcheck disable=SC2317 # functions that `check` and `eventually` call are called all right
# Checks the authorization server as its callers see it: the real binary, real requests, one line per claim.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

for name in BIND KEYS_DIR DATA USERS CLIENTS ACCESS_TTL CODE_TTL REFRESH_TTL GRANT_TTL REFRESH_GRACE SESSION_TTL \
    REGISTRATIONS_PER_MINUTE LOGINS_PER_MINUTE MAX_CLIENTS REQUEST_TIMEOUT ALLOW_LOOPBACK_CLIENT_METADATA; do
    unset "AUTH_$name"
done
EXCEPTIONS=

RESOURCE=http://localhost:9000/mcp
# shellcheck source-path=SCRIPTDIR source=browser.sh
. "$(dirname "${BASH_SOURCE[0]}")/browser.sh"

# Starts one on its own files, which stay where they are between starts.
auth_server() {
    start auth-server --bind 127.0.0.1:0 --keys-dir "$SCRATCH/keys" --data "$SCRATCH/auth.db" \
        --resource "$RESOURCE"
    ISSUER=$(request /.well-known/openid-configuration && field .issuer)
}

is_page() {
    header Content-Type
    case $VALUE in text/html*) ;; *) return 1 ;; esac
    header Location
    is "$VALUE" '(absent)'
}

# introspect TOKEN: as the client with a secret.
introspect() {
    CURL_EXTRA=(-u "$SERVICE")
    form /oauth/introspect "token=$1"
    CURL_EXTRA=()
}

# wrong_passwords N COUNT: the N-th browser posts so many, each under a name that nobody has. For the background:
# it changes what other functions use.
wrong_passwords() {
    local request csrf number
    JAR=$SCRATCH/storm-$1
    : >"$JAR"
    BODY=$JAR.page
    SCRATCH=$JAR.scratch
    mkdir -p "$SCRATCH"
    authorize
    request=$(hidden request)
    csrf=$(hidden csrf)
    CURL_EXTRA=(-b "$JAR" -c "$JAR")
    number=0
    while [ "$number" -lt "$2" ]; do
        number=$((number + 1))
        form /oauth/login "username=nobody-$1-$number" password=wrong "request=$request" "csrf=$csrf"
        echo "$STATUS"
    done
}

# ---- the checks ---------------------------------------------------------------------------------------------------

CURL_EXTRA=()
build auth-server
build gen-token
auth_server

echo "# what it is"
check "the start says that it is one process on one file, and what to run in production" \
    grep -q 'INFO .*one process on one SQLite file: never run a second one .*production.*docs/production.md' "$LOG"

echo "# metadata and keys"
get /.well-known/oauth-authorization-server
expect "RFC 8414 metadata names the issuer and S256" status 200 header Content-Type application/json \
    json .issuer "$ISSUER" json .code_challenge_methods_supported '["S256"]' \
    json .authorization_response_iss_parameter_supported true json .client_id_metadata_document_supported true \
    where '.token_endpoint_auth_methods_supported | index("none") != null'
field 'to_entries[] | select(.value | type == "string" and startswith("http")) | .value' >"$SCRATCH/urls"
get /.well-known/openid-configuration
expect "OIDC discovery serves the same" status 200 json .issuer "$ISSUER" json .subject_types_supported '["public"]'
while read -r url; do
    path=/${url#*://*/}
    [ "$url" = "$ISSUER" ] && path=/
    get "$path"
    check "$path from the metadata answers" test "$STATUS" != 404 -a "$STATUS" != 000
done <"$SCRATCH/urls"
get /.well-known/other
expect "the rest of /.well-known/ is a JSON 404" status 404 header Content-Type application/json json .error not_found
get /.well-known/jwks.json
expect "the key set holds one RS256 key and nothing private" status 200 where '.keys | length == 1' \
    json '.keys[0].alg' RS256 json '.keys[0].use' sig where '.keys[0] | has("d") | not'
KID=$(field '.keys[0].kid')
request /oauth/token -X OPTIONS -H 'Origin: http://localhost:6274' -H 'Access-Control-Request-Method: POST'
expect "a preflight for the token endpoint passes" status 200 header Access-Control-Allow-Origin '*'
request /oauth/authorize -X OPTIONS -H 'Origin: http://localhost:6274' -H 'Access-Control-Request-Method: GET'
expect "the authorization endpoint has no CORS" no-header Access-Control-Allow-Origin

echo "# registration"
request /oauth/register --json "{\"redirect_uris\":[\"$CALLBACK\"],\"client_name\":\"Checks\",\"logo_uri\":null,\
\"token_endpoint_auth_method\":\"none\",\"software_id\":\"x\"}"
expect "a registration is 201, echoed, without a secret" status 201 header Cache-Control no-store \
    json .redirect_uris "[\"$CALLBACK\"]" json .software_id x where 'has("client_secret") | not'
CLIENT=$(field .client_id)
request /oauth/register --json "{\"redirect_uris\":[\"$CALLBACK\"],\
\"token_endpoint_auth_method\":\"client_secret_basic\"}"
expect "a secret comes where one is asked for" status 201 json .client_secret_expires_at 0 \
    where '.client_secret | length == 43'
SERVICE=$(field '"\(.client_id):\(.client_secret)"')
for uri in 'javascript:alert(1)' 'data:text/html,x' 'file:///etc/passwd' 'http://evil.example/cb' \
    'https://a.example/cb#x' 'https://u@a.example/cb' 'https://*.example/cb' 'https:///cb'; do
    request /oauth/register --json "{\"redirect_uris\":[\"$uri\"]}"
    expect "$uri cannot be registered" status 400 json .error invalid_redirect_uri
done
request /oauth/register --json '{"redirect_uris":["cursor://anysphere.cursor-mcp/oauth/callback"]}'
expect "a private-use scheme with an authority can" status 201
request /oauth/register --json "{\"redirect_uris\":[\"$CALLBACK\"],\"client_name\":\"$(printf '%017000d' 0)\"}"
expect "a body over 16 KB is refused in JSON" status 413 json .error invalid_request
for path in /oauth/register /oauth/token /oauth/authorize /health /nowhere; do
    request "$path" -X POST -H 'Content-Type: application/json' -H 'Content-Length: 10000000000'
    expect "$path refuses a body of 10 GB without waiting for it" status 413 json .error invalid_request
done

request /oauth/register --json "{\"redirect_uris\":[\"$CALLBACK\"],\"client_name\":\"Managed\"}"
MANAGED=$(field .client_id)
MANAGED_AT=$(field .registration_client_uri)
MANAGED_AT=/${MANAGED_AT#*://*/}
MANAGER=$(field .registration_access_token)
request "$MANAGED_AT" -H "Authorization: Bearer $MANAGER"
expect "a client reads its own registration" status 200 header Cache-Control no-store json .client_id "$MANAGED" \
    json .client_name Managed
request "$MANAGED_AT" -H 'Authorization: Bearer wrong'
expect "with its own token only" status 401 challenge error invalid_token
request "$MANAGED_AT" -X DELETE -H "Authorization: Bearer $MANAGER"
expect "and deletes it" status 204 empty
form /oauth/token grant_type=refresh_token "client_id=$MANAGED" refresh_token=x
expect "after which the client is unknown" status 401 json .error invalid_client

echo "# authorization"
new_browser
authorize client_id=nobody
expect "an unknown client is a page" status 400 header X-Frame-Options DENY
check "and not a redirect" is_page
authorize redirect_uri=https://evil.example/
expect "an unregistered redirect URI is refused" status 400
check "and nobody is redirected" is_page
authorize redirect_uri=http://127.0.0.1:61234/callback
expect "a loopback port is free" status 200
for case in 'code_challenge= invalid_request' 'code_challenge_method=plain invalid_request' \
    'response_type=token unsupported_response_type' 'resource=http://localhost:9000/x invalid_target'; do
    authorize "${case% *}"
    expect "${case% *} is sent back as ${case#* }" status 303
    check "with error, state and iss" is "$(parameter error) $(parameter state) $(parameter iss)" \
        "${case#* } a b&c $ISSUER"
done
request /oauth/register --json '{"redirect_uris":["https://phish.example/login"]}'
PHISHER=$(field .client_id)
for case in prompt=none response_type=token code_challenge= resource=https://elsewhere.example/; do
    authorize "client_id=$PHISHER" redirect_uri=https://phish.example/login "$case"
    expect "$case sends no stranger to a self-registered site" status 400
    check "but shows a page with $case" is_page
    check "which names the site, with $case" grep -q '<code>phish.example</code>' "$BODY"
done
new_browser
authorize
expect "the login page cannot be framed, cached or scripted" status 200 header X-Frame-Options DENY \
    header Cache-Control no-store header Referrer-Policy no-referrer \
    header Content-Security-Policy "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
header Set-Cookie
check "its cookie is HttpOnly and SameSite=Lax" is "${VALUE#*; }" 'HttpOnly; SameSite=Lax; Path=/'
LOGIN_CSRF=$(hidden csrf)
form /oauth/login username=alice password=alice "request=$(hidden request)" "csrf=$LOGIN_CSRF"
expect "a login form without the browser's cookie is refused" status 403
authorize
sign_in alice wrong
expect "a wrong password is refused" status 403
cp "$BODY" "$SCRATCH/wrong"
authorize
sign_in nobody wrong
check "an unknown user gets the same answer" is \
    "$(sed 's/value="[^"]*"//g' "$BODY")" "$(sed 's/value="[^"]*"//g' "$SCRATCH/wrong")"
authorize
sign_in alice alice
expect "the right one leads back to the authorization endpoint" status 303
authorize
expect "which now asks for consent" status 200
CONSENT=$(hidden request)
CSRF=$(hidden csrf)
form /oauth/consent decision=approve "request=$CONSENT" "csrf=$CSRF"
expect "consent from another browser is refused" status 403
CURL_EXTRA=(-b "$JAR" -H 'Origin: https://evil.example')
form /oauth/consent decision=approve "request=$CONSENT" "csrf=$CSRF"
expect "consent from another origin is refused" status 403
CURL_EXTRA=()
authorize
decide deny
check "deny is sent back as access_denied" is "$(parameter error) $(parameter iss)" "access_denied $ISSUER"
authorize
decide approve
CODE=$(parameter code)
check "approve is sent back with code, state and iss" is "${#CODE} $(parameter state) $(parameter iss)" \
    "43 a b&c $ISSUER"

echo "# tokens"
redeem code_verifier=wrong
expect "a repeated parameter is refused" status 400 json .error invalid_request
form /oauth/token grant_type=authorization_code "client_id=$CLIENT" "code=$CODE" "redirect_uri=$CALLBACK" \
    code_verifier=another-verifier-of-at-least-43-characters-00
expect "another verifier is invalid_grant" status 400 json .error invalid_grant
redeem
expect "the code becomes tokens" status 200 header Cache-Control no-store json .token_type Bearer \
    json .expires_in 900 json .scope 'mcp:read mcp:tools mcp:prompts' where '.refresh_token | length == 65'
ACCESS=$(field .access_token)
REFRESH=$(field .refresh_token)
check "the token's header is at+jwt, RS256, with the published kid" is \
    "$(claim '"\(.typ) \(.alg) \(.kid)"' 1)" "at+jwt RS256 $KID"
check "its claims name issuer, audience, user, client and roles" is \
    "$(claim '"\(.iss) \(.aud) \(.sub) \(.client_id) \(.roles | join(","))"')" \
    "$ISSUER $RESOURCE alice $CLIENT user"
refresh "$REFRESH" scope=mcp:audit
expect "more scope on refresh is invalid_scope" status 400 json .error invalid_scope
introspect "$REFRESH"
expect "another client learns nothing about a refresh token" status 200 json . '{"active":false}'
refresh "$REFRESH" scope=mcp:reed
expect "a scope that does not exist is not everything" status 400 json .error invalid_scope
refresh "$REFRESH" resource=http://localhost:9000/x
expect "another resource on refresh is invalid_target" status 400 json .error invalid_target
refresh "$REFRESH"
expect "a refresh gives a new refresh token" status 200 where ".refresh_token != \"$REFRESH\""
SECOND=$(field .refresh_token)
refresh "$REFRESH"
expect "within the grace the old one gives the same successor" status 200 json .refresh_token "$SECOND"
check "which leaves a line in the audit log" grep -q 'used again, within its grace' "$LOG"
refresh "$SECOND"
expect "the successor works" status 200
refresh "$REFRESH"
expect "after that the old one is reuse" status 400 json .error invalid_grant
refresh "$SECOND"
expect "and the family is revoked" status 400 json .error invalid_grant
redeem
expect "a second use of the code is invalid_grant" status 400 json .error invalid_grant
form /oauth/token grant_type=authorization_code client_id=nobody code=x
expect "an unknown client is 401 invalid_client" status 401 json .error invalid_client

code alice
for number in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    curl -q -s --noproxy '*' --max-time 15 -o "$SCRATCH/race-$number" -w '%{http_code}\n' "$URL/oauth/token" \
        --data-urlencode grant_type=authorization_code --data-urlencode "client_id=$CLIENT" \
        --data-urlencode "code=$CODE" --data-urlencode "redirect_uri=$CALLBACK" \
        --data-urlencode "code_verifier=$VERIFIER" >"$SCRATCH/status-$number" &
    RACERS="${RACERS-} $!"
done
for racer in $RACERS; do
    wait "$racer"
done
check "of 20 redemptions at once exactly one succeeds" is \
    "$(cat "$SCRATCH"/status-* | sort | uniq -c | awk '{ print $2 "x" $1 }' | xargs)" '200x1 400x19'
WINNER=$(grep -l 200 "$SCRATCH"/status-*)
refresh "$("$JQ" -r .refresh_token "$SCRATCH/race-${WINNER##*-}")"
expect "and what it gave is revoked" status 400 json .error invalid_grant

echo "# roles"
code guest 'scope=mcp:read mcp:tools'
redeem
expect "a guest lends no mcp:tools" status 200 json .scope mcp:read
check "and the log says that it was dropped" grep -q 'consent.scope.*: mcp:tools"' "$LOG"
code admin scope=mcp:audit
redeem
expect "an admin lends mcp:audit" status 200 json .scope mcp:audit

echo "# ID token, userinfo, introspection, revocation"
code bob 'scope=openid profile mcp:read' nonce=n-1
redeem
expect "with openid there is an ID token" status 200 where '.id_token | split(".") | length == 3'
ACCESS=$(field .access_token)
REFRESH=$(field .refresh_token)
ID_TOKEN=$(field .id_token)
request /oauth/userinfo -H "Authorization: Bearer $ACCESS"
expect "userinfo knows the user" status 200 json .sub bob json .preferred_username bob
request /oauth/userinfo
expect "userinfo without a token is 401 with a bare challenge" status 401 challenge realm auth-server \
    no-challenge error
request /oauth/userinfo -H "Authorization: Bearer $ID_TOKEN"
expect "an ID token is no access token" status 401 challenge error invalid_token
form /oauth/introspect "token=$ACCESS"
expect "introspection is authenticated" status 401 json .error invalid_client
CURL_EXTRA=(-u "$SERVICE")
form /oauth/introspect "token=$ACCESS"
expect "introspection knows the access token" status 200 json .active true json .sub bob json .aud "$RESOURCE"
form /oauth/introspect token=garbage
expect "and says active: false for garbage" status 200 json . '{"active":false}'
CURL_EXTRA=()
form /oauth/revoke "client_id=$CLIENT" "token=$REFRESH"
expect "a refresh token can be given back" status 200
refresh "$REFRESH"
expect "after which it is invalid_grant" status 400 json .error invalid_grant
CURL_EXTRA=(-u "$SERVICE")
form /oauth/introspect "token=$ACCESS"
expect "and its access token inactive" status 200 json . '{"active":false}'
CURL_EXTRA=()

echo "# throttling"
new_browser
for number in 1 2 3 4 5; do
    authorize
    sign_in mallory "guess-$number"
done
authorize
sign_in mallory guess-6
expect "after five wrong passwords the name waits" status 429
header Retry-After
check "for about half a minute" test "$VALUE" -gt 20 -a "$VALUE" -le 30

new_browser
authorize
sign_in guest guest
KNOWN=$JAR
for number in 1 2 3 4 5; do
    new_browser
    authorize
    sign_in guest "guess-$number"
done
new_browser
authorize
sign_in guest guest
expect "also the right password waits in a browser that is not known" status 429
JAR=$KNOWN
authorize prompt=login
sign_in guest guest
expect "where the user signed in before it does not" status 303
for number in 1 2 3 4 5 6; do
    CURL_EXTRA=(-u "${SERVICE%%:*}:guess-$number")
    form /oauth/introspect token=x
done
expect "a client's secret cannot be guessed at without end" status 429
header Retry-After
check "and says how long to wait" test "$VALUE" -gt 0 -a "$VALUE" -le 30
introspect x
expect "the right secret is never made to wait" status 200 json .active false

echo "# signing out"
request /oauth/register --json "{\"redirect_uris\":[\"$CALLBACK\"],\
\"post_logout_redirect_uris\":[\"http://127.0.0.1/bye\"]}"
CLIENT=$(field .client_id)
code bob scope=openid
redeem
ID_TOKEN=$(field .id_token)
request /oauth/end_session -G --data-urlencode "client_id=$CLIENT" -b "$JAR" -c "$JAR"
expect "without an ID token the user is asked" status 200
authorize
check "and still signed in" grep -q '<h1>Allow access?</h1>' "$BODY"
request /oauth/end_session -G --data-urlencode "id_token_hint=$ID_TOKEN" -b "$JAR" -c "$JAR" \
    --data-urlencode post_logout_redirect_uri=https://evil.example/
expect "nobody is sent where the client did not register" status 400
request /oauth/end_session -G --data-urlencode "id_token_hint=$ID_TOKEN" -b "$JAR" -c "$JAR" \
    --data-urlencode post_logout_redirect_uri=http://127.0.0.1:7777/bye --data-urlencode state=s
expect "with it the session ends" status 303 header Location 'http://127.0.0.1:7777/bye?state=s'
authorize
check "and the next one has to sign in" grep -q '<h1>Sign in</h1>' "$BODY"

echo "# taking back"
code bob
redeem
ACCESS=$(field .access_token)
REFRESH=$(field .refresh_token)
check "revoke --user works beside the running server" "$BIN/auth-server" revoke --user bob \
    --keys-dir "$SCRATCH/keys" --data "$SCRATCH/auth.db"
authorize
check "the browser is signed out" grep -q '<h1>Sign in</h1>' "$BODY"
refresh "$REFRESH"
expect "the refresh token is worth nothing" status 400 json .error invalid_grant
introspect "$ACCESS"
expect "nor is the access token, for those who ask" status 200 json . '{"active":false}'
code bob
redeem
REFRESH=$(field .refresh_token)
check "revoke --client works as well" "$BIN/auth-server" revoke --client "$CLIENT" \
    --keys-dir "$SCRATCH/keys" --data "$SCRATCH/auth.db"
refresh "$REFRESH"
expect "the client has to register again" status 401 json .error invalid_client
request /oauth/register --json "{\"redirect_uris\":[\"$CALLBACK\"]}"
CLIENT=$(field .client_id)

echo "# README"
# Its shell lines, one after the other, with this server's address in them.
awk '/^## Every endpoint/ { on = 1 } /^## Settings/ { on = 0 } on && /^```sh/ { print_on = 1; next }
    /^```/ { print_on = 0 } print_on' "$ROOT/tools/auth-server/README.md" |
    sed "s|http://localhost:9001|$URL|g; s/| jq /| '${JQ//\//\\/}' /g" >"$SCRATCH/readme.sh"
mkdir -p "$SCRATCH/readme"
readme() { (cd "$SCRATCH/readme" && bash -eu ../readme.sh >../readme.out 2>../readme.err); }
check "its commands run" readme
check "as far as knowing the user" grep -q '{"sub":"alice"}' "$SCRATCH/readme.out"
check "and the token active before it is given back, inactive after" is \
    "$(grep -o '"active":[a-z]*' "$SCRATCH/readme.out" | xargs)" 'active:true active:false'

echo "# audit"
check "every decision is one line in the log" \
    test "$(grep -c 'audit' "$LOG")" -gt 40
check "a code, a token, a password or the name of nobody never is in it" \
    test -z "$(grep -e "$CODE" -e "$ACCESS" -e "$REFRESH" -e guess- -e mallory -e "${SERVICE#*:}" "$LOG")"

echo "# key rotation"
check "rotate-keys works beside the running server" "$BIN/auth-server" rotate-keys --lead 2 \
    --keys-dir "$SCRATCH/keys" --data "$SCRATCH/auth.db"
two_keys() { get /.well-known/jwks.json && [ "$(field '.keys | length')" = 2 ]; }
new_kid() { get /.well-known/jwks.json && [ "$(field '.keys[0].kid')" != "$KID" ]; }
check "the next key is published" eventually two_keys
check "first it does not sign, then it does" eventually new_kid
code alice
redeem
check "new tokens carry the new kid" test "$(claim .kid 1)" != "$KID"
get /.well-known/jwks.json
expect "and the old key stays published" status 200 where ".keys | map(.kid) | index(\"$KID\") != null"

code bob
redeem
ACCESS=$(field .access_token)
get /.well-known/jwks.json
KID=$(field '.keys[0].kid')
check "a key can be replaced by hand" "$BIN/gen-token" --generate-keys --force --keys-dir "$SCRATCH/keys"
check "the new key signs" eventually new_kid
get /.well-known/jwks.json
expect "and no old key is published" status 200 where '.keys | length == 1'
introspect "$ACCESS"
expect "what the stolen key signed is refused" status 200 json . '{"active":false}'

echo "# state"
code alice
redeem
REFRESH=$(field .refresh_token)
USED=$CODE
launch auth-server --bind 127.0.0.1:0 --keys-dir "$SCRATCH/keys" --data "$SCRATCH/auth.db"
SECOND_PID=$PID
eventually ended "$SECOND_PID"
stop "$SECOND_PID"
check "a second server on the same file gives up with 1" is "$EXIT" 1
check "and says why" grep -q 'another auth-server is using the database' "$LOG"
ln -s "$SCRATCH/auth.db" "$SCRATCH/link.db"
launch auth-server --bind 127.0.0.1:0 --keys-dir "$SCRATCH/keys" --data "$SCRATCH/link.db"
SECOND_PID=$PID
eventually ended "$SECOND_PID"
stop "$SECOND_PID"
check "also under another name of the file" is "$EXIT" 1
FIRST=${CHILDREN// /}
kill -KILL "$FIRST"
wait "$FIRST" 2>/dev/null
stop "$FIRST"
chmod 644 "$SCRATCH/keys/private.pem"
auth_server
check "a private key that others can read is named" grep -q 'private.pem can be read by others (mode 0644)' "$LOG"
# shellcheck disable=SC2012 # one file of our own
check "and left as it is" is "$(ls -l "$SCRATCH/keys/private.pem" | cut -c 1-10)" -rw-r--r--
chmod 600 "$SCRATCH/keys/private.pem"
refresh "$REFRESH"
expect "after kill -9 the refresh token still works" status 200
CODE=$USED
redeem
expect "and the used code is still used" status 400 json .error invalid_grant
launch auth-server --bind "${URL#http://}" --keys-dir "$SCRATCH/keys" --data "$SCRATCH/other.db"
TAKEN=$PID
eventually ended "$TAKEN"
stop "$TAKEN"
check "a taken port is one sentence and exit 1" is "$EXIT $(wc -l <"$LOG" | tr -d ' ')" '1 1'
launch auth-server --bind 0.0.0.0:0 --keys-dir "$SCRATCH/keys" --data "$SCRATCH/other.db"
EXPOSED=$PID
eventually ended "$EXPOSED"
stop "$EXPOSED"
check "demo users on an address that is not loopback are refused" is "$EXIT" 1
check "with the reason" grep -q "demo users' passwords are known" "$LOG"
LAST=${CHILDREN// /}
stop "$LAST"
check "SIGTERM ends the server with 0" is "$EXIT" 0

echo "# an issuer with a path, users from a file"
HASH=$(printf 'sesame\n' | "$BIN/auth-server" hash-password 2>/dev/null)
printf '[[users]]\nusername = "carol"\npassword_hash = "%s"\nroles = ["user"]\n' "$HASH" >"$SCRATCH/users.toml"
start auth-server --bind 127.0.0.1:0 --keys-dir "$SCRATCH/keys" --data "$SCRATCH/path.db" --resource "$RESOURCE" \
    --issuer http://localhost:9001/tenant --users "$SCRATCH/users.toml"
for path in /.well-known/oauth-authorization-server/tenant /.well-known/openid-configuration/tenant \
    /tenant/.well-known/openid-configuration; do
    get "$path"
    expect "$path answers" status 200 json .issuer http://localhost:9001/tenant
done
get /.well-known/oauth-authorization-server
expect "the form without the path does not" status 404 json .error not_found

LAST=${CHILDREN// /}
stop "$LAST"

echo "# a new password"
carol() {
    start auth-server --bind 127.0.0.1:0 --keys-dir "$SCRATCH/keys" --data "$SCRATCH/carol.db" \
        --resource "$RESOURCE" --users "$SCRATCH/users.toml" --issuer http://localhost:9001
}
carol
request /oauth/register --json "{\"redirect_uris\":[\"$CALLBACK\"]}"
CLIENT=$(field .client_id)
new_browser
authorize
sign_in carol sesame
authorize
decide approve
CODE=$(parameter code)
redeem
REFRESH=$(field .refresh_token)
stop "$PID"
HASH=$(printf 'tahini\n' | "$BIN/auth-server" hash-password 2>/dev/null)
printf '[[users]]\nusername = "carol"\npassword_hash = "%s"\nroles = ["user"]\n' "$HASH" >"$SCRATCH/users.toml"
carol
refresh "$REFRESH"
expect "ends what was granted with the old one" status 400 json .error invalid_grant
authorize
check "and the session" grep -q '<h1>Sign in</h1>' "$BODY"
stop "$PID"

echo "# an upstream provider"
start auth-server --bind 127.0.0.1:0 --keys-dir "$SCRATCH/provider-keys" --data "$SCRATCH/provider.db" --resource "$RESOURCE"
PROVIDER=$PID
THERE=$URL
CLIENT_THERE=$(request /oauth/register --json '{"redirect_uris":["http://localhost/oauth/upstream/callback"]}' &&
    field .client_id)
# signed_in_there USER: the browser's step at the provider, as a user of it. Sets BACK.
signed_in_there() {
    local URL=$THERE HERE=$JAR query=${AWAY#*\?}
    new_browser
    request "/oauth/authorize?$query" -b "$JAR" -c "$JAR"
    sign_in "$1" "$1"
    request "/oauth/authorize?$query" -b "$JAR" -c "$JAR"
    decide approve
    header Location
    BACK=$VALUE
    JAR=$HERE
}
launch auth-server --bind 127.0.0.1:0 --data "$SCRATCH/upstream.db" --no-local-users
eventually ended "$PID"
stop "$PID"
check "without local users and without a provider it does not start" is "$EXIT" 1
start auth-server --bind 127.0.0.1:0 --keys-dir "$SCRATCH/keys" --data "$SCRATCH/upstream.db" --resource "$RESOURCE" \
    --upstream-issuer "${THERE/127.0.0.1/localhost}" --upstream-client-id "$CLIENT_THERE" --upstream-name corp
ISSUER=$(request /.well-known/openid-configuration && field .issuer)
request /oauth/register --json "{\"redirect_uris\":[\"$CALLBACK\"]}"
CLIENT=$(field .client_id)
new_browser
authorize
check "the login page leads there as well" grep -q 'Sign in with corp' "$BODY"
press
expect "after a press" status 303
signed_in_there alice
come_back "$BACK"
expect "and back" status 303
authorize
decide approve
CODE=$(parameter code)
redeem
REFRESH=$(field .refresh_token)
expect "where the client gets this server's tokens" status 200
check "in the name of the provider's alice, not of the one here" is "$(claim '"\(.iss) \(.sub) \(.roles | join(","))"')" \
    "$ISSUER corp:alice user"
stop "$PROVIDER"
new_browser
authorize
press
AGAIN=$JAR
refresh "$REFRESH"
expect "refreshing needs no provider" status 200
JAR=$AGAIN
visit "$AWAY"
check "a provider that is gone is met by the browser alone" is "$BACK" ''
authorize
sign_in bob bob
expect "and users with a password sign in as before" status 303
stop "$PID"

echo "# machines without a user"
HASH=$(printf 'machine secret\n' | "$BIN/auth-server" hash-password 2>/dev/null)
"$BIN/gen-token" --generate-keys --algorithm ES256 --keys-dir "$SCRATCH/machine" >"$SCRATCH/out" 2>&1
cat >"$SCRATCH/clients.toml" <<END
[[clients]]
client_id = "nightly"
grant_types = ["client_credentials"]
client_secret_hash = "$HASH"
roles = ["user"]
scope = "mcp:read mcp:tools"

[[clients]]
client_id = "backup"
grant_types = ["client_credentials"]
public_keys = ["""$(cat "$SCRATCH/machine/public.pem")"""]
roles = ["admin"]
scope = "mcp:read mcp:audit"

[[clients]]
client_id = "web"
redirect_uris = ["$CALLBACK"]
END
start auth-server --bind 127.0.0.1:0 --keys-dir "$SCRATCH/keys" --data "$SCRATCH/machines.db" --resource "$RESOURCE" \
    --clients "$SCRATCH/clients.toml"
get /.well-known/oauth-authorization-server
ISSUER=$(field .issuer)
expect "the metadata names the grant, the method and its algorithms" status 200 \
    where '.grant_types_supported | index("client_credentials") != null' \
    where '.token_endpoint_auth_methods_supported | index("private_key_jwt") != null' \
    json .token_endpoint_auth_signing_alg_values_supported '["RS256","ES256"]'
# machine [NAME=VALUE..]: asks in a client's own name.
machine() {
    form /oauth/token grant_type=client_credentials "resource=$RESOURCE" "$@"
}
# assertion AUDIENCE TIME: a new one of the client with a key.
assertion() {
    "$BIN/gen-token" --username backup --issuer backup --audience "$1" --expires-in "$2" --algorithm ES256 \
        --keys-dir "$SCRATCH/machine" --break untyped 2>/dev/null
}
# signed ASSERTION [NAME=VALUE..]: asks with it.
signed() {
    local text=$1
    shift
    machine client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer "client_assertion=$text" "$@"
}
machine client_id=nightly 'client_secret=machine secret'
expect "a secret gives a machine its token and no refresh token" status 200 header Cache-Control no-store \
    json .scope 'mcp:read mcp:tools' where 'has("refresh_token") or has("id_token") | not'
check "in the client's own name" is "$(claim '"\(.iss) \(.aud) \(.sub) \(.client_id) \(.roles | join(","))"')" \
    "$ISSUER $RESOURCE nightly nightly user"
machine client_id=nightly client_secret=wrong
expect "with a wrong secret it gets none" status 401 json .error invalid_client
machine client_id=web
expect "a public client does not get the grant" status 400 json .error unauthorized_client
request /oauth/register --json "{\"redirect_uris\":[\"$CALLBACK\"],\"token_endpoint_auth_method\":\
\"client_secret_post\",\"grant_types\":[\"authorization_code\",\"client_credentials\"]}"
machine "client_id=$(field .client_id)" "client_secret=$(field .client_secret)"
expect "nor does one that registered itself with a secret" status 400 json .error unauthorized_client
machine client_id=nightly 'client_secret=machine secret' 'scope=mcp:read mcp:audit'
expect "more scope than its entry has is invalid_scope" status 400 json .error invalid_scope
machine client_id=nightly 'client_secret=machine secret' resource=http://localhost:9000/x
expect "another resource for a machine is invalid_target" status 400 json .error invalid_target
ASSERTION=$(assertion "$ISSUER" 4m)
signed "$ASSERTION" 'client_secret=machine secret'
expect "two proofs at once are invalid_request" status 400 json .error invalid_request
signed "$ASSERTION"
expect "an assertion does as well as a secret" status 200 json .scope 'mcp:read mcp:audit' where 'has("refresh_token") | not'
check "and names its client" is "$(claim .sub)" backup
signed "$ASSERTION"
expect "an assertion counts once" status 401 json .error invalid_client
signed "$(assertion "$ISSUER/oauth/token" 4m)"
expect "its audience is the issuer, not the token endpoint" status 401 json .error invalid_client
signed "$(assertion "$ISSUER" 6m)"
expect "it is good for five minutes at most" status 401 json .error invalid_client
machine client_id=backup
expect "a client with a key has to sign" status 401 json .error invalid_client
check "no secret and no assertion is in the log" \
    test -z "$(grep -e 'machine secret' -e "$ASSERTION" "$LOG")"
LAST=$PID
sed 's/"nightly"/"alice"/' "$SCRATCH/clients.toml" >"$SCRATCH/alice.toml"
launch auth-server --bind 127.0.0.1:0 --keys-dir "$SCRATCH/keys" --data "$SCRATCH/other.db" \
    --clients "$SCRATCH/alice.toml"
eventually ended "$PID"
stop "$PID"
check "a machine that is called like a user is refused at the start" is "$EXIT" 1
check "by name" grep -q 'the client "alice" is called like a user' "$LOG"
stop "$LAST"

echo "# a storm"
start auth-server --bind 127.0.0.1:0 --keys-dir "$SCRATCH/keys" --data "$SCRATCH/storm.db" --resource "$RESOURCE" \
    --logins-per-minute 1000
request /oauth/register --json "{\"redirect_uris\":[\"$CALLBACK\"]}"
CLIENT=$(field .client_id)
STORM=
for number in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    wrong_passwords "$number" 6 >"$SCRATCH/wrong-$number" &
    STORM="$STORM $!"
done
for number in $STORM; do
    wait "$number"
done
check "120 wrong passwords, 20 at a time, are answered" is \
    "$(cat "$SCRATCH"/wrong-* | sort | uniq -c | awk '{ print $2 "x" $1 }' | xargs)" 403x120
RESIDENT=$(($(ps -o rss= -p "$PID") / 1024))
echo "# resident afterwards: $RESIDENT MiB"
check "and leave less than 200 MiB in memory" test "$RESIDENT" -lt 200

finish
