#!/usr/bin/env bash
# step8 and mcp-client with a real Keycloak, and the realm of examples/keycloak: who is served, who is refused, and what
# becomes of a client that registers itself.
# Needs Java 17 and Maven, or KEYCLOAK_HOME; the Inspector needs npm and Chromium, too. What cannot run is skipped and
# counted; with CI=true it is installed, or else a failure. Keycloak is fetched once, into the target folder; it takes
# 700 MB of memory.
# shellcheck disable=SC2317 # functions that `check` and `eventually` call are called all right
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=clients/inspector.sh
. "$ROOT/scripts/clients/inspector.sh"

unset MCP_VERIFY MCP_INTROSPECTION_CLIENT_ID MCP_INTROSPECTION_CLIENT_SECRET MCP_USERINFO MCP_ISSUER_METADATA
unset MCP_ALLOW_HTTP_ISSUER MCP_SET_METADATA MCP_SUBJECT_CLAIM MCP_SCOPES
EXCEPTIONS=
BASIC='mcp:read mcp:tools mcp:prompts'
TOOL='{"name":"whoami","arguments":{}}'

# ---- Keycloak and step8 -----------------------------------------------------------------------------------------

give_up() {
    skip 'Keycloak' "$1"
    finish
}

# provide_keycloak: what scripts/keycloak.sh needs. Without Maven it still starts what lies in the target folder.
provide_keycloak() {
    provide java default-jre-headless || give_up 'there is no Java 17 (apt-get install default-jre-headless)'
    [ -n "${KEYCLOAK_HOME-}" ] || provide mvn maven ||
        give_up 'there is no Maven that could fetch it (apt-get install maven), and no KEYCLOAK_HOME'
}

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 20000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# start_keycloak FEATURES: with these features, or none. In the folder `/`, because it has to run from any. Sets
# KEYCLOAK_PID and KEYCLOAK_LOG.
start_keycloak() {
    KEYCLOAK_LOG=$SCRATCH/keycloak-$1.log
    mkdir -p "$SCRATCH/tmp"
    (cd / && TMPDIR=$SCRATCH/tmp exec "$ROOT/scripts/keycloak.sh" --port "$KEYCLOAK_PORT" --resource "$RESOURCE" \
        --features "$1") >"$KEYCLOAK_LOG" 2>&1 </dev/null &
    KEYCLOAK_PID=$!
    CHILDREN="$CHILDREN $KEYCLOAK_PID"
    local left=40
    # Ten seconds each: the first start fetches it, and every start compiles.
    until eventually keycloak_says_so; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || break
    done
    grep -q listening "$KEYCLOAK_LOG"
}

keycloak_says_so() {
    grep -q listening "$KEYCLOAK_LOG" || ended "$KEYCLOAK_PID"
}

start_step8() {
    MCP_CALLS_PER_MINUTE=0 start step8 --bind "127.0.0.1:$SERVER_PORT" --issuer "$ISSUER" --resource "$RESOURCE"
}

# ---- tokens -----------------------------------------------------------------------------------------------------

# at_keycloak PATH [curl argument..]: a request to Keycloak in place of step8.
at_keycloak() {
    local URL=$KEYCLOAK
    request "$@"
}

# grant [curl argument..]: a request to the token endpoint; its answer waits for `expect` and `field`.
grant() {
    at_keycloak /realms/mcp-realm/protocol/openid-connect/token "$@"
}

# field NAME: a member of the last answer.
field() {
    "$JQ" -r ".$1 // empty" "$BODY"
}

# payload TOKEN FILTER: a claim of a JWT.
payload() {
    part "$1" 2 | "$JQ" -c "$2"
}

CALLBACK=http://127.0.0.1:7777/callback
# The pair of RFC 7636, appendix B. Nobody listens at the callback: the code is read from the redirect.
VERIFIER=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk
CHALLENGE=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM

# browse URL [curl argument..]: one request as a browser makes it. Sets LOCATION to where it leads, and PAGE.
browse() {
    PAGE=$SCRATCH/page
    : >"$PAGE"
    LOCATION=$(curl -q -s --noproxy '*' --max-time 15 -b "$SCRATCH/cookies" -c "$SCRATCH/cookies" -o "$PAGE" \
        -w '%{redirect_url}' "${@:2}" "$1")
}

# authorize CLIENT SCOPE [curl argument..]: the first request of a login, in a new browser.
authorize() {
    rm -f "$SCRATCH/cookies"
    browse "$ISSUER/protocol/openid-connect/auth" -G --data-urlencode "client_id=$1" --data-urlencode "scope=$2" \
        --data-urlencode "redirect_uri=$CALLBACK" ${RESOURCE:+--data-urlencode "resource=$RESOURCE"} \
        -d 'response_type=code' -d 'state=s' "${@:3}"
}

# sign_in CLIENT USER SCOPE: goes through Keycloak's pages, and to the token endpoint. Names no resource if RESOURCE is
# empty.
sign_in() {
    local steps=6
    authorize "$1" "$3" -d "code_challenge=$CHALLENGE" -d 'code_challenge_method=S256'
    while [ "$steps" -gt 0 ] && [ "${LOCATION#"$CALLBACK"}" = "$LOCATION" ]; do
        steps=$((steps - 1))
        if [ -n "$LOCATION" ]; then
            browse "$LOCATION"
        else
            at_keycloaks_page "$2"
        fi
    done
    grant -d grant_type=authorization_code -d "client_id=$1" -d "code=$(code_of "$LOCATION")" \
        --data-urlencode "redirect_uri=$CALLBACK" -d "code_verifier=$VERIFIER" \
        ${RESOURCE:+--data-urlencode "resource=$RESOURCE"}
}

# at_keycloaks_page USER: signs in, or says yes to the client.
at_keycloaks_page() {
    if grep -q 'name="password"' "$PAGE"; then
        browse "$(action)" --data-urlencode "username=$1" --data-urlencode "password=$1"
    else
        browse "$(action)" -d "code=$(hidden code)" -d 'accept=Yes'
    fi
}

code_of() {
    printf '%s' "$1" | sed -n 's/.*[?&]code=\([^&]*\).*/\1/p'
}

# Where the page's form goes; some of them leave the host out.
action() {
    sed -n 's/.*<form[^>]* action="\([^"]*\)".*/\1/p' "$PAGE" | head -n 1 | sed "s/&amp;/\&/g; s|^/|$KEYCLOAK/|"
}

hidden() {
    sed -n "s/.*name=\"$1\" value=\"\([^\"]*\)\".*/\1/p" "$PAGE" | head -n 1 | sed 's/&amp;/\&/g; s/&#38;/\&/g'
}

# password USER PASSWORD SCOPE: the password grant, without a browser.
password() {
    grant -d grant_type=password -d client_id=mcp-test-client -d "username=$1" -d "password=$2" --data-urlencode "scope=$3"
}

# client COMMAND USER [argument..]: mcp-client, which remembers no login.
client() {
    local command=$1 user=$2
    shift 2
    [ "$command" != call ] || set -- --cache-dir "$(mktemp -d "$SCRATCH/cache.XXXXXX")" "$@"
    "$BIN/mcp-client" "$command" "$RESOURCE" --as "$user:$user" "$@" >"$SCRATCH/client.out" 2>"$SCRATCH/client.err" || {
        cat "$SCRATCH/client.out" "$SCRATCH/client.err"
        return 1
    }
}

# said FILTER: of what the tool answered mcp-client.
said() {
    "$JQ" -c "$1" "$SCRATCH/client.out"
}

# ---- what is claimed --------------------------------------------------------------------------------------------

check_start() {
    echo "# Keycloak by itself"
    check "it says where it listens, and its issuer" grep -qxF \
        "keycloak is listening on http://127.0.0.1:$KEYCLOAK_PORT, the issuer is $ISSUER" "$KEYCLOAK_LOG"
    at_keycloak /realms/mcp-realm/.well-known/openid-configuration
    expect "its metadata names this issuer" status 200 json .issuer "$ISSUER" json .jwks_uri \
        "$ISSUER/protocol/openid-connect/certs"
    at_keycloak /.well-known/oauth-authorization-server/realms/mcp-realm
    expect "so does RFC 8414's document, where clients look first" status 200 json .issuer "$ISSUER"
    [ ! -r /proc/net/tcp ] || check "nobody beyond this machine can reach it" loopback_only "$KEYCLOAK_PORT"
    "$ROOT/scripts/keycloak.sh" --port "$KEYCLOAK_PORT" >"$SCRATCH/second" 2>&1
    check "a second one on this port says so, and does not start" is "$? $(cat "$SCRATCH/second")" \
        "1 port $KEYCLOAK_PORT is taken; choose another one with --port."
}

# loopback_only PORT: every listener there is bound to 127.0.0.1.
loopback_only() {
    local port listeners
    port=$(printf ':%04X' "$1")
    listeners=$(awk -v port="$port" '$4 == "0A" && index($2, port) { print $2 }' /proc/net/tcp /proc/net/tcp6)
    case $listeners in
    "0100007F$port" | "0000000000000000FFFF00000100007F$port") ;;
    *) echo "listeners: $listeners" && return 1 ;;
    esac
}

check_users() {
    echo "# who is served"
    sign_in mcp-client alice "$BASIC profile"
    expect "alice signs in at the client mcp-client" status 200 json .token_type Bearer
    TOKEN=$(field access_token) OLD_TOKEN=$TOKEN
    rpc tools/call "$TOOL"
    expect "and is served, with her name and her role" status 200 \
        json '.result.content[0].text | fromjson | [.preferred_username, .client_id, .iss]' \
        "[\"alice\",\"mcp-client\",\"$ISSUER\"]" \
        where '.result.content[0].text | fromjson | .roles | index("user") != null'
    check "her token has what step8 reads" is "$(payload "$TOKEN" '[.typ, .azp, (.aud | sort | join(" "))]')" \
        "[\"Bearer\",\"mcp-client\",\"$RESOURCE mcp-server\"]"
    sign_in mcp-client admin "$BASIC mcp:audit"
    bearer "$(field access_token)" rpc tools/call '{"name":"audit_log","arguments":{}}'
    expect "admin reads the audit log" status 200 where '.result.content[0].text | fromjson | .decisions | length > 0'
    local who
    for who in guest norole; do
        sign_in mcp-client "$who" "$BASIC"
        bearer "$(field access_token)" rpc tools/call "$TOOL"
        expect "$who is refused: 403 by role, and no challenge" status 403 no-challenge - json .error.code 403
    done
    grant -u mcp-machine:mcp-machine-secret -d grant_type=client_credentials --data-urlencode "scope=mcp:tools"
    bearer "$(field access_token)" rpc tools/call "$TOOL"
    expect "a machine without a user, mcp-machine, is served" status 200 \
        json '.result.content[0].text | fromjson | [.client_id, .scope]' '["mcp-machine","mcp:tools"]'
    check "mcp-client --client-credentials comes as that machine" comes_as_machine
}

comes_as_machine() {
    MCP_CLIENT_ID=mcp-machine MCP_CLIENT_SECRET=mcp-machine-secret "$BIN/mcp-client" call "$RESOURCE" whoami \
        --client-credentials --cache-dir "$(mktemp -d "$SCRATCH/cache.XXXXXX")" >"$SCRATCH/client.out" 2>"$SCRATCH/client.err" || {
        cat "$SCRATCH/client.out" "$SCRATCH/client.err"
        return 1
    }
    is "$(said '.client_id')" '"mcp-machine"'
}

# Keycloak leaves `aud` out where nobody is named.
NO_AUDIENCE='one of exp, iss, aud and sub is missing'

# refused_for CLAIM SENTENCE: 401, and the failed check by name.
refused_for() {
    expect "$1" status 401 challenge error invalid_token challenge error_description "$2"
}

check_refusals() {
    echo "# tokens that are not for this server"
    local id refresh
    sign_in mcp-client alice 'openid profile'
    bearer "$(field access_token)" rpc ping
    refused_for "without our scopes there is no audience -> 401" "$NO_AUDIENCE"
    sign_in mcp-client alice "openid $BASIC"
    id=$(field id_token) refresh=$(field refresh_token)
    bearer "$id" rpc ping
    refused_for "an ID token -> 401, though its audience is the client" 'the token is for another audience (aud)'
    # Its key is not among the published ones. It might be a new one: until step8 may look again, it answers 503.
    eventually known "$refresh" || eventually known "$refresh"
    refused_for "a refresh token -> 401" 'the token is signed with an unknown key'
    grant -d grant_type=refresh_token -d client_id=mcp-client -d "refresh_token=$refresh"
    bearer "$(field access_token)" rpc ping
    expect "what it is good for: a new access token, which is served" status 200 json .result '{}'
    sign_in other-app alice 'openid profile email'
    OTHER_TOKEN=$(field access_token)
    check "other-app has a token of alice" is "$(payload "$OTHER_TOKEN" '[.preferred_username, .azp]')" '["alice","other-app"]'
    bearer "$OTHER_TOKEN" rpc ping
    refused_for "which opens nothing here -> 401" "$NO_AUDIENCE"
    authorize other-app "$BASIC" -d "code_challenge=$CHALLENGE" -d 'code_challenge_method=S256'
    check "other-app gets none of our scopes, whoever asks" is "$(error_of "$LOCATION")" invalid_scope
    grant -u mcp-machine:mcp-machine-secret -d grant_type=client_credentials
    bearer "$(field access_token)" rpc ping
    refused_for "a machine that asks for no scope -> 401" "$NO_AUDIENCE"
}

check_policies() {
    echo "# what the realm insists on"
    local name
    for name in mcp-client mcp-inspector other-app; do
        authorize "$name" profile
        check "$name without PKCE is sent back" is "$(error_of "$LOCATION")" invalid_request
    done
    authorize mcp-client "$BASIC" -d "code_challenge=$VERIFIER" -d 'code_challenge_method=plain'
    check "PKCE without S256, too" is "$(error_of "$LOCATION")" invalid_request
    authorize mcp-test-client "$BASIC" -d "code_challenge=$CHALLENGE" -d 'code_challenge_method=S256'
    check "mcp-test-client has passwords only: there is no page to log in at" is "$(grep -c 'name="password"' "$PAGE")" 0
    grant -d grant_type=password -d client_id=mcp-client -d username=alice -d password=alice
    expect "no other client takes passwords" status 400 json .error unauthorized_client
}

error_of() {
    printf '%s' "$1" | sed -n 's/.*[?&]error=\([^&]*\).*/\1/p'
}

register() {
    at_keycloak /realms/mcp-realm/clients-registrations/openid-connect --json "$1" "${@:2}"
}

check_registration() {
    echo "# clients that register themselves"
    local good='{"client_name":"t","redirect_uris":["http://127.0.0.1/callback"],"token_endpoint_auth_method":"none",
        "scope":"mcp:read"}'
    register "$good" -H 'Origin: http://localhost:6274'
    expect "one on this machine may, also a page of the Inspector" status 201 json .token_endpoint_auth_method none \
        header Access-Control-Allow-Origin http://localhost:6274
    authorize "$(field client_id)" mcp:read
    check "it cannot do without PKCE either" is "$(error_of "$LOCATION")" invalid_request
    register "${good//127.0.0.1/evil.example}"
    expect "one that wants its codes elsewhere may not" status 403 json .error insufficient_scope
    register "$good" -H 'Origin: https://evil.example'
    expect "a page of another site may not read the answer" no-header Access-Control-Allow-Origin

    check "mcp-client registers, signs alice in and is served" client call alice whoami
    check "by her id, with her role" is "$(said '[.sub, (.roles | index("user") != null)]')" \
        "[$(payload "$OLD_TOKEN" .sub),true]"
    check "as a client of its own" differs "$(said .client_id)" '"mcp-client"'
    check "under the id that was made by hand, too" client call bob --client-id mcp-client --callback-port 7777 whoami
    check "and then it is that client" is "$(said .client_id)" '"mcp-client"'
    check "an admin's client steps up to the audit log" client call admin audit_log
    check "a guest's is refused" refused_by_role guest
    check "one of a user without a role, too" refused_by_role norole
}

refused_by_role() {
    ! client call "$1" whoami && grep -q 'your role does not permit this' "$SCRATCH/client.err"
}

# In a real browser.
check_inspector() {
    echo "# the Inspector"
    if provide_inspector; then
        start_inspector "$(free_port)" "$RESOURCE"
        check "the Inspector registers, connects through Keycloak's pages and runs whoami" inspected alice
        check_inspector_by_hand
    else
        skip 'the Inspector' "$LACKING"
    fi
}

# The client that the realm has for it is called back at the Inspector's usual port alone.
check_inspector_by_hand() {
    if (exec 3<>/dev/tcp/127.0.0.1/6274) 2>/dev/null; then
        skip 'the Inspector as the client mcp-inspector' 'something listens on its port 6274'
        return
    fi
    start_inspector 6274 "$RESOURCE"
    check "as the client mcp-inspector, which was made by hand, too" inspected alice mcp-inspector "$BASIC profile"
    check "and then it knows her name" is "$(said '[.client_id, .preferred_username]')" '["mcp-inspector","alice"]'
}

inspected() {
    inspector "$@" >"$SCRATCH/client.out" || {
        cat "$SCRATCH/client.out"
        return 1
    }
    is "$(said '[.iss, (.roles | index("user") != null)]')" "[\"$ISSUER\",true]"
}

# status_of TITLE: the status of the exchange with this title.
status_of() {
    awk -v title="$1" 'index($0, "### ") == 1 { found = index($0, title) > 0 } found && /^HTTP\/1.1 / { print $2; exit }' \
        "$SCRATCH/walk.md"
}

# check_client FINDINGS: the walk and the doctor; what the doctor rightly finds wrong with Keycloak.
check_client() {
    echo "# the walk and the doctor"
    check "the walk ends well" client walk alice --markdown "$SCRATCH/walk.md"
    check "with a registration" is "$(status_of 'Register this client')" 201
    check "and a step-up" is "$(status_of 'Call the tool whoami again')" 200
    "$BIN/mcp-client" doctor "$RESOURCE" --as alice:alice --foreign-token "$OTHER_TOKEN" --json \
        >"$SCRATCH/doctor.json" 2>"$SCRATCH/doctor.err"
    check "the doctor finds only what is true of Keycloak" is \
        "$("$JQ" -r '[.checks[] | select(.outcome == "fail") | .id] | sort | join(" ")' "$SCRATCH/doctor.json")" "$1"
}

check_password() {
    echo "# the command of the Python original"
    password mcp-admin admin123 'openid profile email mcp:read mcp:tools mcp:prompts'
    expect "its user, its client and its scopes" status 200 json .token_type Bearer
    bearer "$(field access_token)" rpc tools/call "$TOOL"
    expect "and the token is served" status 200 \
        json '.result.content[0].text | fromjson | [.preferred_username, .client_id]' '["mcp-admin","mcp-test-client"]'
    password mcp-admin wrong "$BASIC"
    expect "not with another password" status 400 json .error invalid_grant
}

introspect() {
    at_keycloak /realms/mcp-realm/protocol/openid-connect/token/introspect -u mcp-server:mcp-server-secret -d "token=$1"
}

check_introspection() {
    echo "# asking Keycloak about a token"
    introspect "$TOKEN"
    expect "mcp-server is told of alice's" status 200 json .active true json .username alice
    introspect "$OTHER_TOKEN"
    expect "and nothing of other-app's" status 200 json .active false
}

# A new key of higher priority, as an operator makes it.
check_rotation() {
    echo "# the keys change"
    local admin old new
    at_keycloak /realms/master/protocol/openid-connect/token -d grant_type=password -d client_id=admin-cli \
        -d username=admin -d password=admin
    expect "the administrator is admin, password admin" status 200
    admin=$(field access_token)
    at_keycloak /admin/realms/mcp-realm/components -H "Authorization: Bearer $admin" --json \
        '{"name":"newer","providerId":"rsa-generated","providerType":"org.keycloak.keys.KeyProvider","config":{"priority":["200"]}}'
    expect "a newer key" status 201
    password alice alice "$BASIC"
    new=$(field access_token)
    old=$(part "$OLD_TOKEN" 1 | "$JQ" -r .kid)
    check "signs from now on" differs "$(part "$new" 1 | "$JQ" -r .kid)" "$old"
    eventually known "$new" || eventually known "$new"
    expect "step8 has followed" status 200
    bearer "$OLD_TOKEN" rpc ping
    expect "tokens of the older key stay good" status 200
}

# known TOKEN: whether step8 has looked for its key. For ten seconds after it did, it answers 503 to those of new names.
known() {
    bearer "$1" rpc ping
    [ "$STATUS" != 503 ]
}

# What examples/whoami makes of Keycloak, in each of its three modes, beside step8 on a port of its own.
check_whoami() {
    local step8_url=$URL step8_pid=$PID good plain
    # It may not be there, in a copy of the steps alone.
    [ -d "$ROOT/examples/whoami" ] || return 0
    build whoami
    sign_in mcp-client alice "openid $BASIC profile email"
    good=$(field access_token)
    password alice alice "$BASIC"
    plain=$(field access_token)
    check "a token does not have the email address" is "$(payload "$good" '[.preferred_username, has("email")]')" '["alice",false]'

    echo "# whoami, --verify jwt"
    start whoami --bind 127.0.0.1:0 --issuer "$ISSUER" --resource "$RESOURCE"
    bearer "$good" rpc tools/call "$TOOL"
    expect "whoami reads the token, and userinfo adds the address" status 200 \
        json '.result.content[0].text | fromjson | [.azp, .preferred_username, .email]' \
        '["mcp-client","alice","alice@example.com"]'
    bearer "$plain" rpc tools/call "$TOOL"
    expect "without openid in the token nobody is asked" status 200 json '.result.content[0].text | fromjson | has("email")' false
    bearer "$OTHER_TOKEN" rpc tools/call "$TOOL"
    refused_for "other-app's token -> 401" "$NO_AUDIENCE"
    stop "$PID"

    echo "# whoami, --verify introspection"
    MCP_INTROSPECTION_CLIENT_SECRET=mcp-server-secret start whoami --bind 127.0.0.1:0 --issuer "$ISSUER" \
        --resource "$RESOURCE" --verify introspection --introspection-client-id mcp-server
    bearer "$good" rpc tools/call "$TOOL"
    expect "introspection: Keycloak says who it is" status 200 \
        json '.result.content[0].text | fromjson | [.active, .username, .client_id]' '[true,"alice","mcp-client"]'
    bearer "$OTHER_TOKEN" rpc tools/call "$TOOL"
    expect "introspection: other-app's token -> 401" status 401 challenge error invalid_token
    stop "$PID"

    echo "# whoami, --verify userinfo"
    start whoami --bind 127.0.0.1:0 --issuer "$ISSUER" --resource "$RESOURCE" --verify userinfo
    bearer "$good" rpc tools/call "$TOOL"
    expect "userinfo: Keycloak says who it is" status 200 \
        json '.result.content[0].text | fromjson | [.preferred_username, .email]' '["alice","alice@example.com"]'
    bearer "$plain" rpc tools/call "$TOOL"
    expect "userinfo: a token without openid -> 401, because Keycloak refuses it" status 401 challenge error invalid_token
    bearer "$OTHER_TOKEN" rpc tools/call "$TOOL"
    expect "userinfo: the token of other-app is served, as everybody is warned" status 200 \
        json '.result.content[0].text | fromjson | .preferred_username' alice
    get /health
    expect "userinfo: the warning is in /health" status 200 json .auth.warnings \
        '["--verify userinfo: any application of this issuer can act as its users here"]'
    stop "$PID"
    URL=$step8_url PID=$step8_pid
}

# Our own auth-server, whose users sign in at Keycloak. It is called 127.0.0.1, because cookies know no ports.
check_upstream() {
    local server_url=$URL server_pid=$PID port there secret client
    # It may not be able to, in a copy of the steps alone.
    [ -f "$ROOT/tools/auth-server/src/upstream/openid.rs" ] || return 0
    echo "# auth-server, with Keycloak upstream"
    build auth-server
    port=$(free_port)
    register "{\"client_name\":\"auth-server\",\"redirect_uris\":[\"http://127.0.0.1:$port/oauth/upstream/callback\"],
        \"token_endpoint_auth_method\":\"client_secret_basic\",\"scope\":\"profile\"}"
    expect "Keycloak registers it, with a secret" status 201
    there=$(field client_id) secret=$(field client_secret)
    MCP_UPSTREAM_CLIENT_SECRET=$secret start auth-server --bind "127.0.0.1:$port" --issuer "http://127.0.0.1:$port" \
        --keys-dir "$SCRATCH/auth-keys" --data "$SCRATCH/auth.db" --resource "$RESOURCE" --no-local-users \
        --upstream-issuer "$ISSUER" --upstream-client-id "$there" --upstream-name keycloak
    request /oauth/register --json "{\"redirect_uris\":[\"$CALLBACK\"],\"token_endpoint_auth_method\":\"none\"}"
    client=$(field client_id)
    sign_in_through "$client" alice
    request /oauth/token -d grant_type=authorization_code -d "client_id=$client" -d "code=$CODE" \
        --data-urlencode "redirect_uri=$CALLBACK" -d "code_verifier=$VERIFIER" --data-urlencode "resource=$RESOURCE"
    expect "alice signs in there, through Keycloak's pages and ours" status 200 json .token_type Bearer
    check "her token is of auth-server, and says where she signed in" is \
        "$(payload "$(field access_token)" '[.iss, .sub, .aud, .preferred_username, .roles[0]]')" \
        "[\"$URL\",\"keycloak:$(payload "$OLD_TOKEN" .sub | tr -d '\"')\",\"$RESOURCE\",\"alice\",\"user\"]"
    stop "$PID"
    URL=$server_url PID=$server_pid
}

# sign_in_through CLIENT USER: a login at the server in URL that leads through Keycloak and back. Sets CODE.
sign_in_through() {
    local steps=12
    rm -f "$SCRATCH/cookies"
    browse "$URL/oauth/authorize" -G -d "client_id=$1" --data-urlencode "redirect_uri=$CALLBACK" -d response_type=code \
        -d state=s -d "code_challenge=$CHALLENGE" -d code_challenge_method=S256 --data-urlencode "resource=$RESOURCE"
    while [ "$steps" -gt 0 ] && [ "${LOCATION#"$CALLBACK"}" = "$LOCATION" ]; do
        steps=$((steps - 1))
        if [ -n "$LOCATION" ]; then
            browse "$LOCATION"
        elif grep -q 'action="[^"]*/oauth/upstream"' "$PAGE"; then
            browse "$URL/oauth/upstream" --data-urlencode "request=$(hidden request)" -d "csrf=$(hidden csrf)"
        elif grep -q 'action="[^"]*/oauth/consent"' "$PAGE"; then
            browse "$URL/oauth/consent" --data-urlencode "request=$(hidden request)" -d "csrf=$(hidden csrf)" -d decision=approve
        else
            at_keycloaks_page "$2"
        fi
    done
    CODE=$(code_of "$LOCATION")
}

# Keycloak once more, with other keys, on the same ports.
restart_with() {
    echo "# with --features $1"
    stop "$PID"
    stop "$KEYCLOAK_PID"
    check "SIGTERM ends Keycloak with 0" is "$EXIT" 0
    check "and nothing of it is left" is "$(ls -A "$SCRATCH/tmp")" ''
    : >"$SCRATCH/stamp"
    start_keycloak "$1" || die "Keycloak did not start with the features $1: $(tail -n 5 "$KEYCLOAK_LOG")"
    check "what it was copied from is as it was" is \
        "$(find "${KEYCLOAK_HOME:-$TARGET/keycloak}" -newer "$SCRATCH/stamp" | head -n 3)" ''
    start_step8
}

check_features() {
    at_keycloak /realms/mcp-realm/.well-known/openid-configuration
    expect "the metadata says so" status 200 json .client_id_metadata_document_supported true \
        where '.token_endpoint_auth_methods_supported | index("none") != null'
    sign_in mcp-client alice "$BASIC profile"
    expect "alice signs in" status 200
    TOKEN=$(field access_token)
    check "the audience is the resource that was asked for, and nothing else" is "$(payload "$TOKEN" .aud)" "\"$RESOURCE\""
    rpc tools/call "$TOOL"
    expect "and she is served" status 200 json '.result.content[0].text | fromjson | .preferred_username' alice
    RESOURCE=http://localhost:1/other sign_in mcp-client alice "$BASIC"
    expect "another resource is refused" status 400 json .error invalid_target
    RESOURCE='' sign_in other-app alice profile
    OTHER_TOKEN=$(field access_token)
    bearer "$OTHER_TOKEN" rpc ping
    refused_for "a token of other-app -> 401" "$NO_AUDIENCE"
    # Without a resource: the feature does not reckon with a grant that has no refresh token, and answers 500.
    grant -u mcp-machine:mcp-machine-secret -d grant_type=client_credentials --data-urlencode "scope=mcp:tools"
    bearer "$(field access_token)" rpc tools/call "$TOOL"
    expect "a machine is served" status 200 json '.result.content[0].text | fromjson | .client_id' mcp-machine
    introspect "$TOKEN"
    expect "introspection tells mcp-server nothing: it is not in the audience" status 200 json .active false
    check "mcp-client registers, signs alice in and is served" client call alice whoami
}

# A client's metadata document, served on this machine.
check_document() {
    local port folder=$SCRATCH/documents
    if ! provide python3 python3; then
        skip 'metadata documents' 'there is no python3 that could serve one'
        return
    fi
    port=$(free_port)
    mkdir -p "$folder"
    printf '{"client_id":"http://localhost:%s/client.json","client_name":"A client with a document","redirect_uris":["%s"],
        "grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none"}' \
        "$port" "$CALLBACK" >"$folder/client.json"
    python3 -m http.server --bind 127.0.0.1 --directory "$folder" "$port" >"$SCRATCH/documents.log" 2>&1 &
    CHILDREN="$CHILDREN $!"
    eventually curl -q -s --noproxy '*' --max-time 5 -o /dev/null "http://127.0.0.1:$port/client.json"
    check "a client is who its document says, and alice is served" \
        client call alice --client-metadata-url "http://localhost:$port/client.json" --callback-port 7777 whoami
    check "its id is the URL of the document" is "$(said .client_id)" "\"http://localhost:$port/client.json\""
}

# ---- the run ----------------------------------------------------------------------------------------------------

provide_keycloak
build step8 mcp-client
KEYCLOAK_PORT=$(free_port)
SERVER_PORT=$(free_port)
KEYCLOAK=http://localhost:$KEYCLOAK_PORT
ISSUER=$KEYCLOAK/realms/mcp-realm
RESOURCE=http://localhost:$SERVER_PORT/mcp
start_keycloak '' || give_up "it did not start: $(tail -n 3 "$KEYCLOAK_LOG")"
start_step8
check_start
check_users
check_refusals
check_policies
check_registration
check_client 'as.public-clients dcr.redirect-schemes redirect.loopback-port'
check_inspector
check_password
check_introspection
check_whoami
check_upstream
check_rotation
restart_with resource-indicators,cimd
check_features
check_document
check_client 'dcr.redirect-schemes redirect.loopback-port'
finish
