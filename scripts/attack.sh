#!/usr/bin/env bash
# The break-in lab: plays attacks, one after the other, on a server that falls for them and on the step that does not.
#
#   scripts/attack.sh 6      2, 4, 6, 7 or 8
#
# Each attack is told in two lines, and then really made, with curl, on loopback. Most are made on step N-1 and on step N.
# What step N-1 does not have at all (step 1 has no /mcp, step 3 calls no tools) is shown at step N itself without that
# one check: it is built from patches in scripts/sabotage. If an attack does not come out as told, that is said, and
# the exit status is 1.
set -u

case $#:${1-} in
1:[24678]) ;;
1:-h | 1:--help | 1:help)
    sed -n '2,/^set -u/{/^set -u/d;s/^# \{0,1\}//;p;}' "$0"
    exit 0
    ;;
*)
    echo "usage: scripts/attack.sh N   where N is 2, 4, 6, 7 or 8: the steps that stop attacks." >&2
    exit 2
    ;;
esac

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=exercises/workspace.sh
. "$ROOT/scripts/exercises/workspace.sh"

STEP=$1
BEFORE=step$((STEP - 1))
AFTER=step$STEP
WITHOUT="$AFTER without the check"
RESOURCE=http://localhost:9000/mcp
NUMBER=0

# ---- telling ----------------------------------------------------------------------------------------------------

# attack TITLE WHAT-THE-ATTACKER-DOES WHAT-THE-SERVERS-DO
attack() {
    NUMBER=$((NUMBER + 1))
    printf '\n%s. %s\n   Attacker: %s\n   Servers:  %s\n' "$NUMBER" "$1" "$2" "$3"
}

# fools WHOM CONDITION..: the last request got the attacker what they wanted.
fools() {
    local whom=$1
    shift
    judge "$@"
    tell "$whom" "$([ -z "$WRONG" ] && echo yes)" "fooled, $STATUS"
}

# stopped_by WHOM CONDITION..: it did not.
stopped_by() {
    local whom=$1
    shift
    judge "$@"
    tell "$whom" "$([ -z "$WRONG" ] && echo yes)" "refused, $STATUS $(reason)"
}

# tell WHOM AS-TOLD HOW
tell() {
    local text="     $1: $3"
    if [ -n "$2" ]; then
        PASSED=$((PASSED + 1))
    else
        FAILED=$((FAILED + 1))
        text="     $1: NOT AS TOLD: ${WRONG%%$'\n'*}"
    fi
    # What does not fit goes on below, further in.
    echo "$text" | fold -s -w 72 | sed -e 's/ *$//' -e '2,$s/^/       /'
}

# What the server says about its refusal. A tool refuses with a result that says isError, and the status is 200.
reason() {
    [ "$("$JQ" -r '.result.isError // false' "$BODY" 2>/dev/null)" != true ] || printf '(isError) '
    "$JQ" -r '.error_description // .error.message // .result.content[0].text // empty' "$BODY" 2>/dev/null | head -n 1
}

# at URL: where the next requests go.
at() {
    URL=$1
}

# ---- the servers ------------------------------------------------------------------------------------------------

# serve NAME [argument..]: starts it and keeps its URL in SERVING.
serve() {
    start "$@"
    SERVING=$URL
}

# without PATCH..: starts the step without these checks. The repository's own files are only read.
without() {
    local BIN=$TARGET/attack/debug folder=$TARGET/attack patch
    need rust cc git
    echo "# building $AFTER once more, without some of its checks"
    mkdir -p "$folder"
    rm -rf "$folder/without-$STEP"
    cp -R "$ROOT/$AFTER" "$folder/without-$STEP" || exit 1
    for patch; do
        (cd "$folder/without-$STEP" && GIT_CEILING_DIRECTORIES=$folder git apply -p2 "$ROOT/scripts/sabotage/$AFTER-$patch.patch") ||
            die "the patch $AFTER-$patch does not apply"
    done
    workspace_manifest "$ROOT" "without-$STEP" >"$folder/Cargo.toml"
    cp "$ROOT/Cargo.lock" "$folder/Cargo.lock"
    build_beside "$folder" 2>"$SCRATCH/compiler" || die "$(cat "$SCRATCH/compiler")"
    start "$AFTER" "${SETTINGS[@]}"
    SERVING=$URL
}

# ---- step 2 -----------------------------------------------------------------------------------------------------

attacks_of_2() {
    local naive real ping='{"jsonrpc":"2.0","id":1,"method":"ping"}'
    SETTINGS=(--bind 127.0.0.1:0)
    without origin-unchecked content-type-unchecked headers-not-compared announced-body-awaited
    naive=$SERVING
    serve step2
    real=$SERVING
    echo "Step 2 speaks MCP. Step 1 has no /mcp yet, so there is nothing to attack in it."

    attack "A page of another site" \
        "makes your browser post to your own machine, while you read it." \
        "the browser says whose page it is (Origin); step 2 looks there."
    at "$naive"
    send "$ping" -H 'Origin: https://evil.example'
    fools "$WITHOUT" status 200 json .result '{}'
    at "$real"
    send "$ping" -H 'Origin: https://evil.example'
    stopped_by "$AFTER" status 403 where '.error.message | test("Origin")'

    attack "A form in disguise" \
        "sends JSON as text/plain, before which no browser asks." \
        "step 2 takes application/json alone, for which browsers do ask."
    at "$naive"
    request /mcp -H 'Content-Type: text/plain' --data-raw "$ping"
    fools "$WITHOUT" status 200 json .result '{}'
    at "$real"
    request /mcp -H 'Content-Type: text/plain' --data-raw "$ping"
    stopped_by "$AFTER" status 415

    attack "Two answers to one question" \
        "names one method in the header, and another one in the body." \
        "a gateway believes the header; step 2 refuses where the two differ."
    at "$naive"
    modern server/discover '' -H 'Mcp-Method:' -H 'Mcp-Method: prompts/list'
    fools "$WITHOUT" status 200 json .result.resultType complete
    at "$real"
    modern server/discover '' -H 'Mcp-Method:' -H 'Mcp-Method: prompts/list'
    stopped_by "$AFTER" status 400 json .error.code -32020

    attack "A body that never comes" \
        "announces 10 GB, sends one byte, and keeps the connection." \
        "who waits is busy for long; step 2 has read the announcement."
    at "$naive"
    send '{' -H 'Content-Length: 10000000000' --max-time 2
    if [ "$CURL_EXIT" -eq 28 ]; then
        tell "$WITHOUT" yes "fooled, and still waiting after 2 seconds"
    else
        WRONG="it answered $STATUS"
        tell "$WITHOUT" '' ''
    fi
    at "$real"
    send '{' -H 'Content-Length: 10000000000' --max-time 2
    stopped_by "$AFTER" status 413
}

# ---- step 4 -----------------------------------------------------------------------------------------------------

attacks_of_4() {
    local three four naive host echo='"name":"echo","arguments":{"message":"hi"}'
    SETTINGS=(--bind 127.0.0.1:0)
    without name-not-compared answer-counted-unescaped
    naive=$SERVING
    serve step3
    three=$SERVING
    serve step4
    four=$SERVING
    echo "Step 4 runs tools, so what it lets in matters more. Step 3 only lists them."

    attack "A name that was rebound" \
        "owns a page whose name then (DNS) leads to your own machine." \
        "to the browser it is one site: no foreign Origin. But Host tells."
    host=evil.example
    at "$three"
    rpc tools/list '' -H "Host: $host"
    fools "$BEFORE" status 200 where '.result.tools | length > 0'
    at "$four"
    rpc tools/list '' -H "Host: $host"
    stopped_by "$AFTER" status 403 where '.error.message | test("resource")'

    attack "A name that begins well" \
        "the same with localhost.evil.example: it begins like your machine." \
        "step 3 compares nothing, step 4 the whole host."
    host=localhost.evil.example
    at "$three"
    rpc tools/list '' -H "Host: $host"
    fools "$BEFORE" status 200 where '.result.tools | length > 0'
    at "$four"
    rpc tools/list '' -H "Host: $host"
    stopped_by "$AFTER" status 403

    attack "One tool for the gateway, another for the server" \
        "says Mcp-Name: get_time, which is allowed, and calls echo." \
        "a gateway reads the header, the server the body. Step 4 compares."
    at "$naive"
    modern tools/call "$echo" -H 'Mcp-Name: get_time'
    fools "$WITHOUT" status 200 json .result.structuredContent.text hi
    at "$four"
    modern tools/call "$echo" -H 'Mcp-Name: get_time'
    stopped_by "$AFTER" status 400 json .error.code -32020

    attack "A small request for a huge answer" \
        "has control characters repeated: each is six bytes in the answer." \
        "step 4 counts what it would send, not what it was sent."
    {
        printf '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"repeat_count":10,"message":"'
        awk 'BEGIN { while (n++ < 40000) printf "\\u0001" }'
        printf '"}}}'
    } >"$SCRATCH/small"
    at "$naive"
    send_file "$SCRATCH/small"
    fools "$WITHOUT" status 200 where '.result.structuredContent.text | length > 400000'
    at "$four"
    send_file "$SCRATCH/small"
    stopped_by "$AFTER" status 200 json .result.isError true
}

# ---- step 6 -----------------------------------------------------------------------------------------------------

# A call of get_time with this token; '' is none.
time_with() {
    bearer "$1" rpc tools/call '{"name":"get_time"}'
}

# both TOKEN PATTERN: the call at both servers. Step 5 gives the time to anybody; step 6 says why not.
both() {
    at "$FIVE"
    time_with "$1"
    fools "$BEFORE" status 200 where '.result.isError == false'
    at "$SIX"
    time_with "$1"
    if [ -z "$1" ]; then
        stopped_by "$AFTER" status 401 challenge realm mcp no-challenge error
    else
        stopped_by "$AFTER" status 401 challenge error invalid_token where ".error_description | test(\"$2\")"
    fi
}

attacks_of_6() {
    local good
    make_keys "$KEYS"
    make_keys "$SCRATCH/attacker"
    serve step5 --public-key "$KEYS/public.pem" --resource "$RESOURCE"
    FIVE=$SERVING
    serve step6 --public-key "$KEYS/public.pem" --resource "$RESOURCE" --issuer "$ISSUER"
    SIX=$SERVING
    good=$(token --username alice)
    echo "Step 5 asks nobody. Step 6 wants a token that it has verified."

    attack "No token at all" \
        "has found the port, and calls a tool." \
        "step 5 answers whoever asks; step 6 says 401 before it reads on."
    both ''

    attack "A token made at home" \
        "makes a key, and with it a token that says everything right." \
        "step 6 has its own keys; what the caller brings is none."
    both "$(KEYS=$SCRATCH/attacker token --username admin --roles admin)" key

    attack "One word changed" \
        "takes alice's good token and writes admin where it says alice." \
        "the signature is over every byte; it fits alice's token alone."
    both "${good%%.*}.$(part "$good" 2 | sed 's/alice/admin/g' | base64url).${good##*.}" signature

    attack "alg: none" \
        "writes into the header that this token needs no signature." \
        "who obeys the token checks nothing. Step 6 obeys the key."
    both "$(token --username alice --break alg-none)" token

    attack "The public key as a password" \
        "signs with HS256, and as the secret takes the public key." \
        "who obeys the token checks just that. The key is one for RS256."
    both "$(token --username alice --break hs256)" algorithm

    attack "A token for the wiki" \
        "runs the wiki that alice signed in to, and replays her token here." \
        "it is genuine, and not for this server: aud names the wiki."
    both "$(token --username alice --audience https://wiki.example/mcp)" aud

    attack "A token from another house" \
        "has an account at another issuer, by the name of admin." \
        "step 6 trusts one issuer: iss must be that very string."
    both "$(token --username admin --issuer https://id.evil.example)" iss

    attack "A token from an old log" \
        "found it in last year's backup." \
        "exp is over. (Without exp it would be good for ever.)"
    both "$(token --username alice --break expired)" expired

    attack "An ID token" \
        "has the token that tells an application who alice is." \
        "same issuer, same key; but typ says that it permits nothing."
    both "$(token --username alice --break id-token)" typ
}

# ---- step 7 -----------------------------------------------------------------------------------------------------

# check_again TOKEN: until the answer is another than `not now`, at most 15 seconds.
check_again() {
    local left=30
    time_with "$1"
    while [ "$STATUS" = 503 ] && [ "$left" -gt 0 ]; do
        sleep 0.5
        left=$((left - 1))
        time_with "$1"
    done
}

attacks_of_7() {
    local leaked=$SCRATCH/leaked six seven naive forged mailed
    make_keys "$leaked"
    start auth-server --bind 127.0.0.1:0 --keys-dir "$KEYS" --data "$SCRATCH/auth.db" --resource "$RESOURCE"
    ISSUER=http://localhost:${URL##*:}
    make_keys "$SCRATCH/attacker"
    SETTINGS=(--bind 127.0.0.1:0 --issuer "$ISSUER")
    without metadata-believes-host untyped-accepted
    naive=$SERVING
    serve step6 --public-key "$leaked/public.pem" --issuer "$ISSUER" --resource "$RESOURCE"
    six=$SERVING
    serve step7 --issuer "$ISSUER" --resource "$RESOURCE"
    seven=$SERVING
    echo "Step 6 has a copy of the issuer's key. Step 7 asks the issuer."
    forged=$(KEYS=$leaked token --username admin --roles admin)
    mailed=$(KEYS=$SCRATCH/attacker token --username admin --roles admin)
    # A key that step 7 does not know might be a new one. It asks the issuer again, at most every ten seconds, and until
    # then says 503: nobody gets in, and nobody with a new key is sent away.
    at "$seven"
    time_with "$mailed"
    check_again "$forged"

    attack "A key that was withdrawn" \
        "stole the issuer's key, which the issuer then replaced." \
        "nobody replaced step 6's copy. Step 7 takes what is published."
    at "$six"
    time_with "$forged"
    fools "$BEFORE" status 200 where '.result.isError == false'
    at "$seven"
    time_with "$forged"
    stopped_by "$AFTER" status 401 challenge error invalid_token

    attack "\"Our new key\", by mail" \
        "writes to the operator: from now on please use this public key." \
        "step 6 believes its file. Step 7 asks the issuer itself."
    serve step6 --public-key "$SCRATCH/attacker/public.pem" --issuer "$ISSUER" --resource "$RESOURCE"
    time_with "$mailed"
    fools "$BEFORE" status 200 where '.result.isError == false'
    at "$seven"
    time_with "$mailed"
    stopped_by "$AFTER" status 401 challenge error invalid_token

    attack "A poisoned signpost" \
        "asks for the metadata at Host evil.example; a cache keeps it." \
        "who believes Host sends clients there. Step 7 believes settings."
    at "$naive"
    get /.well-known/oauth-protected-resource -H 'Host: evil.example'
    fools "$WITHOUT" status 200 json .resource http://evil.example/mcp
    at "$seven"
    get /.well-known/oauth-protected-resource -H 'Host: evil.example'
    judge status 200 json .resource "$RESOURCE"
    tell "$AFTER" "$([ -z "$WRONG" ] && echo yes)" "not fooled, $STATUS resource $RESOURCE"

    attack "A JWT of any kind" \
        "has a JWT of the issuer that does not say what it is (no typ)." \
        "step 7 takes one only if its operator says so."
    RESOURCE=http://localhost:${naive##*:}/mcp
    at "$naive"
    time_with "$(token --username alice --break untyped)"
    fools "$WITHOUT" status 200 where '.result.isError == false'
    RESOURCE=http://localhost:9000/mcp
    at "$seven"
    time_with "$(token --username alice --break untyped)"
    stopped_by "$AFTER" status 401 challenge error invalid_token where '.error_description | test("typ")'
}

# ---- step 8 -----------------------------------------------------------------------------------------------------

# calls N TOKEN: so many calls in a row.
calls() {
    local left=$1
    while [ "$left" -gt 0 ]; do
        time_with "$2"
        left=$((left - 1))
    done
}

attacks_of_8() {
    local seven eight token
    make_keys "$KEYS"
    serve step7 --public-key "$KEYS/public.pem" --issuer "$ISSUER" --resource "$RESOURCE"
    seven=$SERVING
    serve step8 --public-key "$KEYS/public.pem" --issuer "$ISSUER" --resource "$RESOURCE" --calls-per-minute 5
    eight=$SERVING
    echo "Step 7 lets whoever has a good token do everything. Step 8 has a table."

    attack "A guest at work" \
        "is a guest, with a good token, and calls a tool." \
        "scopes are what was lent; the role says what one may do at all."
    token=$(token --username gast --roles guest)
    at "$seven"
    time_with "$token"
    fools "$BEFORE" status 200 where '.result.isError == false'
    at "$eight"
    time_with "$token"
    stopped_by "$AFTER" status 403 no-challenge -

    attack "A token that was lent for reading" \
        "is an application to which alice lent mcp:read; calls a tool." \
        "step 8 says what is missing; an honest application asks her."
    token=$(token --username alice --scopes mcp:read)
    at "$seven"
    time_with "$token"
    fools "$BEFORE" status 200 where '.result.isError == false'
    at "$eight"
    time_with "$token"
    stopped_by "$AFTER" status 403 challenge error insufficient_scope challenge-words scope 'mcp:read mcp:tools'

    attack "A scope that looks alike" \
        "has the scope mcp:tools-demo, and hopes for a sloppy comparison." \
        "step 7 looks at no scope; step 8 compares whole words."
    token=$(token --username bob --scopes mcp:tools-demo)
    at "$seven"
    time_with "$token"
    fools "$BEFORE" status 200 where '.result.isError == false'
    at "$eight"
    time_with "$token"
    stopped_by "$AFTER" status 403 challenge error insufficient_scope

    attack "A look around" \
        "is a guest, and asks which tools there are." \
        "step 8 shows what the role could ever call: nothing, to a guest."
    token=$(token --username gast --roles guest)
    at "$seven"
    bearer "$token" rpc tools/list
    fools "$BEFORE" status 200 where '.result.tools | length > 0'
    at "$eight"
    bearer "$token" rpc tools/list
    judge status 200 json .result.tools '[]'
    tell "$AFTER" "$([ -z "$WRONG" ] && echo yes)" "not fooled, $STATUS an empty list"

    attack "A flood of calls" \
        "has a good token and a loop." \
        "step 7 works on and on; step 8 (here: 5 calls a minute) says 429."
    token=$(token --username mallory)
    at "$seven"
    calls 6 "$token"
    fools "$BEFORE" status 200 where '.result.isError == false'
    at "$eight"
    calls 6 "$token"
    stopped_by "$AFTER" status 429

    attack "A flood with a fresh token" \
        "signs in once more, and goes on with the new token." \
        "calls are counted by user (sub), not by token."
    token=$(token --username mallory --client-id another)
    at "$seven"
    calls 6 "$token"
    fools "$BEFORE" status 200 where '.result.isError == false'
    at "$eight"
    time_with "$token"
    stopped_by "$AFTER" status 429
}

# ---- the run ----------------------------------------------------------------------------------------------------

build gen-token "$BEFORE" "$AFTER"
[ "$STEP" -ne 7 ] || build auth-server
"attacks_of_$STEP"
echo
FINISHED=yes
if [ "$FAILED" -gt 0 ] || [ "$PASSED" -ne "$((2 * NUMBER))" ]; then
    echo "$FAILED of $((2 * NUMBER)) outcomes were not as told."
    exit 1
fi
echo "$NUMBER attacks, all as told: $AFTER was not fooled."
