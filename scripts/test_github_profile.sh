#!/usr/bin/env bash
# shellcheck disable=SC2317,SC2119 # functions that `check` and `eventually` call are called all right; `redeem` and `press` take what is not usual
# Checks examples/github-profile on the wire, at mock-github: signing in, the vault, the tool, and what GitHub may do wrong.
# What step 8 and auth-server do by themselves is checked there.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=browser.sh
. "$(dirname "${BASH_SOURCE[0]}")/browser.sh"

unset "${!AUTH_@}" "${!MCP_GITHUB_@}" "${!MCP_UPSTREAM_@}" MCP_ORIGIN
EXCEPTIONS=
TOKEN_PATH=/login/oauth/access_token
USER_PATH=/api/v3/user
SCOPES='mcp:read mcp:tools mcp:prompts github:profile'

# mock NAME=VALUE..: changes the stand-in's mind. The last answer stays for `expect`.
mock() {
    local pair
    local -a arguments=()
    for pair; do
        arguments+=(--data-urlencode "$pair")
    done
    curl -q -s -f --noproxy '*' --max-time 15 -o /dev/null "$MOCK/_mock" "${arguments[@]}" || die "mock-github refused $*"
}

# told FILTER: what the stand-in has seen.
told() {
    curl -q -s -f --noproxy '*' --max-time 15 "$MOCK/_mock" | "$JQ" -r "$1"
}

# Starts the server on its own files; at the port it had before, if it had one.
github_profile() {
    start github-profile --bind "127.0.0.1:${PORT:-0}" --keys-dir "$SCRATCH/keys" --data "$SCRATCH/profile.db"
    PORT=${URL##*:}
    ORIGIN=http://localhost:$PORT
    RESOURCE=$ORIGIN/mcp
}

# log_in LOGIN [NAME=VALUE..]: all of it, in a new browser. Sets TOKEN and REFRESH.
log_in() {
    local login=$1
    shift
    mock "auto=$login"
    through_provider "$@"
    authorize "$@"
    decide approve
    CODE=$(parameter code)
    redeem
    TOKEN=$(field .access_token)
    REFRESH=$(field .refresh_token)
}

profile() {
    rpc tools/call '{"name":"get_user_profile","arguments":{}}'
}

# sign_in_fails PATH FAULT CODE: what the client is told when GitHub does that.
sign_in_fails() {
    mock "fault=$1 $2"
    mock auto=octocat
    through_provider
    mock "fault=$1"
    expect "$1 $2 at sign-in -> $3 to the client" status 303
    check "${1##*/} $2: the client is told so" is "$(parameter error) $(parameter iss)" "$3 $ORIGIN"
    authorize
    check "${1##*/} $2: nobody is signed in" grep -q '<h1>Sign in</h1>' "$BODY"
}

# The tool's result is an error with this sentence, and nothing of a token.
says() {
    expect "$1" status 200 json .result.isError true where ".result.content[0].text | startswith(\"$2\")" \
        where '.result.content[0].text | contains("gho_") | not'
}

build github-profile mock-github gen-token mcp-client

echo "# what it is made of"
lifted() {
    [ -f "$ROOT/step8/src/$1.rs" ] && ! [ -e "$ROOT/examples/github-profile/src/$1.rs" ] &&
        grep -qxF "#[path = \"../../../step8/src/$1.rs\"]" "$ROOT/examples/github-profile/src/main.rs"
}
for file in access auth body cache call config error headers issuer jsonrpc keys mcp metadata prompts server transport verified; do
    check "$file.rs is that of step 8" lifted "$file"
done

echo "# refusing to start"
# gives_up [argument..]: it must end by itself.
gives_up() {
    launch github-profile "$@"
    eventually ended "$PID"
    stop "$PID"
}
gives_up --bind 127.0.0.1:0
check "without the variables it ends with 1" is "$EXIT" 1
check "with one sentence that names both, before it listens" is \
    "$(wc -l <"$LOG" | tr -d ' ') $(grep -c 'MCP_GITHUB_GITHUB_CLIENT_ID and MCP_GITHUB_GITHUB_CLIENT_SECRET' "$LOG")" '1 1'

start mock-github --bind 127.0.0.1:0 --auto octocat --callback http://localhost:8000/github/callback
MOCK=$URL
export MCP_GITHUB_GITHUB_CLIENT_ID=Ov23liMOCKAPP0000000 MCP_GITHUB_GITHUB_CLIENT_SECRET=mock-secret
export MCP_GITHUB_GITHUB_AUTH_URL=$MOCK/login/oauth/authorize MCP_GITHUB_GITHUB_TOKEN_URL=$MOCK$TOKEN_PATH
export MCP_GITHUB_GITHUB_API_URL=$MOCK/api/v3
# The stand-in calls itself localhost, and so does its `iss`.
MCP_GITHUB_GITHUB_AUTH_URL=${MCP_GITHUB_GITHUB_AUTH_URL/127.0.0.1/localhost}

MCP_GITHUB_GITHUB_API_URL=http://api.github.example gives_up --bind 127.0.0.1:0 --data "$SCRATCH/x.db"
check "secrets go over https: plain http beyond this machine is refused" is "$EXIT $(grep -c 'must be https' "$LOG")" '1 1'
gives_up --origin https://mcp.example.com/
check "an origin with a slash at its end is refused" is "$EXIT $(grep -c 'without path' "$LOG")" '2 1'
gives_up --bind 0.0.0.0:0 --data "$SCRATCH/x.db"
check "beyond this machine only with an https origin" is "$EXIT $(grep -c 'plain http' "$LOG")" '1 1'

echo "# one origin"
github_profile
check "it says where clients connect" grep -q "listening on $URL, clients connect to $RESOURCE" "$LOG"
get /.well-known/oauth-protected-resource/mcp
expect "the resource names this origin as its authorization server" status 200 json .resource "$RESOURCE" \
    json .authorization_servers "[\"$ORIGIN\"]" \
    json .scopes_supported '["mcp:read","mcp:tools","mcp:prompts","github:profile"]'
get /.well-known/oauth-authorization-server
expect "which is here, and offers the scope" status 200 json .issuer "$ORIGIN" \
    where '.scopes_supported | index("github:profile") != null'
get /.well-known/jwks.json
expect "with its keys" status 200 where '.keys | length == 1'
get /health
expect "health answers" status 200 json .service github-profile json .auth.sign_in GitHub
get /nothing
expect "other paths lead nowhere" status 404 json .error not_found
TOKEN=
profile
expect "no token -> 401, with all basic scopes" status 401 challenge-words scope "$SCOPES" \
    challenge resource_metadata "$ORIGIN/.well-known/oauth-protected-resource/mcp"
TOKEN=gho_a-token-of-github
profile
expect "a token of GitHub's is worth nothing here" status 401 challenge error invalid_token
TOKEN=

echo "# signing in"
request /oauth/register --json "{\"client_name\":\"A client\",\"redirect_uris\":[\"$CALLBACK\"]}"
CLIENT=$(field .client_id)
new_browser
authorize
check "the page names the client" grep -q 'A client' "$BODY"
check "and where its answer goes" grep -q '127.0.0.1:5000' "$BODY"
check "and has no place for a password" test "$(grep -c 'type="password"' "$BODY")" -eq 0
press
expect "a press leads to GitHub" status 303
check "with PKCE, the scopes, and a state" is \
    "$(printf '%s' "${AWAY#*\?}" | tr '&' '\n' | grep -cE '^(code_challenge=.{43}|code_challenge_method=S256|scope=read%3Auser\+user%3Aemail|state=.{43})$')" 4
visit "$AWAY"
MINE=$BACK
VICTIM_OF=$JAR
new_browser
authorize
come_back "$MINE"
expect "another browser cannot finish it" status 403
authorize
check "and is signed in as nobody" grep -q 'Sign in with GitHub' "$BODY"
JAR=$VICTIM_OF
come_back "$MINE"
expect "the browser that began it can" status 303
come_back "$MINE"
expect "once" status 403
authorize
check "then our own page asks" grep -q '<h1>Allow access?</h1>' "$BODY"
check "by the name at GitHub, and the number" is "$(grep -c -e 'octocat' -e 'github:583231' "$BODY")" 2
new_browser
authorize
CURL_EXTRA=(-b "$JAR" -c "$JAR" -H 'Origin: https://evil.example')
form /oauth/upstream "request=$(hidden request)" "csrf=$(hidden csrf)"
CURL_EXTRA=()
expect "no other site sends a browser to GitHub" status 403

log_in octocat
expect "the client gets our tokens" status 200 json .token_type Bearer json .scope "$SCOPES"
check "for github:ID, never the login name" is "$(claim '"\(.sub) \(.preferred_username) \(.roles | join(","))"')" \
    'github:583231 octocat user'
check "and for this server" is "$(claim '"\(.iss) \(.aud)"')" "$ORIGIN $RESOURCE"
OCTOCAT=$TOKEN
OCTOCAT_REFRESH=$REFRESH

echo "# the tool"
rpc tools/list
expect "tools/list has it, with the shape of its answer" status 200 json '.result.tools | map(.name)' '["get_user_profile"]' \
    where '.result.tools[0].outputSchema.additionalProperties == false'
profile
expect "it answers the caller's profile" status 200 json .result.structuredContent.id 583231 \
    json .result.structuredContent.login octocat json .result.isError false
expect "the same as text" status 200 where '(.result.content[0].text | fromjson) == .result.structuredContent'
expect "and nothing private" status 200 \
    where '.result.structuredContent | has("plan") or has("two_factor_authentication") or has("private_gists") | not'
rpc tools/call '{"name":"get_user_profile","arguments":{"login":"hubot"}}'
expect "nobody can ask for somebody else" status 200 json .result.isError true
log_in hubot
HUBOT=$TOKEN
HUBOT_REFRESH=$REFRESH
profile
expect "a second user of the same client gets the second one's" status 200 json .result.structuredContent.id 480938
TOKEN=$OCTOCAT
profile
expect "and the first one still the first one's" status 200 json .result.structuredContent.id 583231
log_in octocat 'scope=mcp:read mcp:tools'
profile
expect "without the scope: 403, with what to ask for" status 403 challenge error insufficient_scope \
    challenge-words scope 'mcp:read mcp:tools github:profile'
KEYS=$SCRATCH/keys ISSUER=$ORIGIN
TOKEN=$(token --username alice --scopes "$SCOPES")
profile
says "who did not come from GitHub has no profile" 'you did not sign in with GitHub'

echo "# what GitHub may do wrong"
sign_in_fails "$TOKEN_PATH" 500 temporarily_unavailable
sign_in_fails "$TOKEN_PATH" redirect temporarily_unavailable
sign_in_fails "$TOKEN_PATH" form temporarily_unavailable
sign_in_fails "$TOKEN_PATH" error access_denied
sign_in_fails "$TOKEN_PATH" other-app access_denied
sign_in_fails "$USER_PATH" other-user access_denied
mock 'fault=/login/oauth/authorize other-issuer'
through_provider
mock 'fault=/login/oauth/authorize'
expect "an answer of another issuer ends on a page" status 400 no-header Location
TOKEN=$OCTOCAT
for fault in 500 redirect huge html not-json form; do
    mock "fault=$USER_PATH $fault"
    profile
    says "$fault: the tool says so" 'GitHub gives no usable answer'
done
mock "fault=$USER_PATH hang"
profile
says "no answer: the tool says so after five seconds" 'GitHub gives no usable answer'
mock "fault=$USER_PATH rate-limit"
profile
says "a rate limit: the tool says when to come back" "GitHub's rate limit is used up: try again in"
mock "fault=$USER_PATH 403"
profile
says "a plain 403 is no rate limit" 'GitHub does not let this server see that'
mock "fault=$USER_PATH other-user"
profile
says "somebody else's profile is not passed on" "GitHub's answer is about somebody else"
mock "fault=$USER_PATH"
profile
expect "afterwards all is well" status 200 json .result.structuredContent.id 583231

echo "# the vault"
# shellcheck disable=SC2012 # one file of our own
check "its key is for this user alone" is "$(ls -l "$SCRATCH/keys/vault.key" | cut -c 1-10)" -rw-------
check "no token of GitHub's lies in the database" test -z "$(cat "$SCRATCH"/profile.db* | tr -c '[:alnum:]_-' '\n' | grep '^gho_')"
kill -KILL "$PID"
wait "$PID" 2>/dev/null
stop "$PID"
github_profile
profile
expect "after kill -9 it is still there" status 200 json .result.structuredContent.id 583231
refresh "$OCTOCAT_REFRESH"
expect "and so are our refresh tokens" status 200
OCTOCAT_REFRESH=$(field .refresh_token)

mock expires_in=30
log_in monalisa
mock expires_in=28800
BEFORE=$(told .refreshes)
# The first refresh is held up until all have been let in.
mock "fault=$TOKEN_PATH hold"
ACCEPTED=$(grep -c 'token accepted' "$LOG")
all_are_in() { [ "$(grep -c 'token accepted' "$LOG")" -ge "$((ACCEPTED + 8))" ]; }
ASKING=
for number in 1 2 3 4 5 6 7 8; do
    curl -q -s --noproxy '*' --max-time 15 -o "$SCRATCH/asked-$number" "$URL/mcp" -H "Authorization: Bearer $TOKEN" \
        --json '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_user_profile","arguments":{}}}' &
    ASKING="$ASKING $!"
done
eventually all_are_in
mock "fault=$TOKEN_PATH"
for number in $ASKING; do
    wait "$number"
done
check "a token that expires is there for all who ask at once" is \
    "$(cat "$SCRATCH"/asked-* | grep -o '"isError":[a-z]*' | sort | uniq -c | awk '{ print $1 $2 }')" '8"isError":false'
check "and was refreshed once" is "$(told .refreshes)" "$((BEFORE + 1))"
mock expires_in=

TOKEN=$OCTOCAT
mock "fault=$USER_PATH 401"
profile
says "GitHub does not take the token any more" 'GitHub does not take your sign-in any more: sign in with GitHub again'
mock "fault=$USER_PATH"
profile
says "then it is gone" 'GitHub does not take your sign-in any more'
refresh "$OCTOCAT_REFRESH"
expect "and the user's refresh tokens with it" status 400 json .error invalid_grant
TOKEN=$HUBOT
profile
expect "but nobody else's token" status 200 json .result.structuredContent.id 480938
refresh "$HUBOT_REFRESH"
expect "nor refresh tokens" status 200
log_in octocat
profile
expect "a new sign-in brings a new token" status 200 json .result.structuredContent.id 583231

echo "# in public"
LAST=$PID
start github-profile --bind 127.0.0.1:0 --keys-dir "$SCRATCH/keys" --data "$SCRATCH/public.db" --origin https://mcp.example.com
get /.well-known/oauth-protected-resource/mcp
expect "the resource is that of --origin" status 200 json .resource https://mcp.example.com/mcp \
    json .authorization_servers '["https://mcp.example.com"]'
request /oauth/register --json "{\"redirect_uris\":[\"$CALLBACK\"]}"
CLIENT=$(field .client_id)
request /oauth/authorize -G -H 'Host: mcp.example.com' -d response_type=code -d "client_id=$CLIENT" \
    --data-urlencode "redirect_uri=$CALLBACK" -d "code_challenge=$CHALLENGE" -d code_challenge_method=S256
expect "its pages are there under that host" status 200
header Set-Cookie
check "with cookies for https and that host alone" is "$(printf '%s' "$VALUE" | grep -c '^__Host-.*; Secure')" 1
request /oauth/authorize -H 'Host: evil.example'
expect "and under no other" status 403
check "GitHub's callback is said" grep -q 'https://mcp.example.com/github/callback' "$LOG"
stop "$PID"
PID=$LAST

echo "# as clients see it"
check "mcp-client doctor finds nothing to complain of" env MCP_CLIENT_TOKEN="$TOKEN" MCP_CLIENT_CACHE="$SCRATCH/cache" \
    "$BIN/mcp-client" doctor "$ORIGIN/mcp"

echo "# the log"
check "no token, code or secret is in it" test -z "$(grep -e 'gho_' -e 'ghr_' -e "$CODE" -e "$TOKEN" -e "$REFRESH" -e mock-secret \
    -e 'state=' "$SCRATCH"/*-github-profile.log)"
stop "$PID"
check "SIGTERM ends the server with 0" is "$EXIT" 0

finish
