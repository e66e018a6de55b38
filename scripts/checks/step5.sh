# shellcheck shell=bash
# Step 5: it publishes the key that tokens are signed with.

JWKS=/.well-known/jwks.json

checks_of_step5() {
    local kid
    get "$JWKS"
    expect "the key set -> one RSA key, for RS256 signatures" \
        status 200 \
        header Content-Type application/json \
        json '.keys | map([.kty, .alg, .use])' '[["RSA","RS256","sig"]]' \
        json .keys[0].e AQAB \
        where '.keys[0].n | length == 342'
    expect "the key set holds nothing private" json '.keys[0] | [.d, .p, .q, .dp, .dq, .qi, .k] | map(select(. != null))' '[]'
    kid=$(part "$(token --username alice)" 1 | "$JQ" -r .kid)
    expect "the kid in a token's header is the kid of the key" json .keys[0].kid "$kid" where '.keys[0].kid | length == 43'
    request "$JWKS" -X POST
    expect "POST to the key set -> 405" status 405
    keys_that_come_later
    keys_that_go_away
    files_that_are_no_keys
}

keys_that_come_later() {
    local URL=$URL PID=$PID LOG=$LOG folder=$SCRATCH/later first KID=
    start "step$STEP" --public-key "$folder/public.pem"
    get "$JWKS"
    expect "no key yet -> 503, and the command that makes one" \
        status 503 \
        header Content-Type application/json \
        where '.error_description | contains("cargo run -p gen-token")'
    get /health
    expect "no key yet -> still healthy" status 200 json .status healthy
    make_keys "$folder"
    check "a key made later is picked up without a restart" eventually serves_key_other_than ''
    # Once more in this shell: what a check runs leaves nothing behind.
    serves_key_other_than ''
    first=$KID
    "$BIN/gen-token" --keys-dir "$folder" --generate-keys --force >"$SCRATCH/gen-token.log" 2>&1
    check "a replaced key is picked up without a restart" eventually serves_key_other_than "$first"
    stop "$PID"
}

# Asks for the key set; succeeds when its one kid is known and is not this one.
serves_key_other_than() {
    get "$JWKS"
    [ "$STATUS" = 200 ] && KID=$("$JQ" -r .keys[0].kid "$BODY") && [ -n "$KID" ] && [ "$KID" != "$1" ]
}

# What was read is obeyed, also where there is nothing to read any more: that stops a stolen key.
keys_that_go_away() {
    local URL=$URL PID=$PID LOG=$LOG folder=$SCRATCH/away KID=
    make_keys "$folder"
    start "step$STEP" --public-key "$folder/public.pem"
    get "$JWKS"
    expect "a key that is there at the start -> the key set" status 200
    mv "$folder/public.pem" "$folder/aside"
    check "a key file that is removed is obeyed without a restart" eventually key_set_answers 503
    get "$JWKS"
    expect "a key file that is removed -> 503 and Retry-After" status 503 header Retry-After 1
    mv "$folder/aside" "$folder/public.pem"
    check "a key file that comes back is picked up" eventually serves_key_other_than ''
    cp "$folder/public.pem" "$folder/aside"
    : >"$folder/public.pem"
    check "a key file that is emptied is obeyed without a restart" eventually key_set_answers 503
    get "$JWKS"
    expect "a key file that is emptied -> 503 and a fixed sentence, without a path of ours" \
        status 503 \
        header Content-Type application/json \
        header Retry-After 1 \
        json .error_description "the signing key cannot be read"
    cp "$folder/aside" "$folder/public.pem"
    check "a key file that is written again is picked up" eventually serves_key_other_than ''
    stop "$PID"
}

# Whether the key set has this status now.
key_set_answers() {
    get "$JWKS"
    [ "$STATUS" = "$1" ]
}

files_that_are_no_keys() {
    local URL=$URL PID=$PID LOG=$LOG
    echo 'not a key' >"$SCRATCH/not-a-key.pem"
    refused --public-key "$SCRATCH/not-a-key.pem"
    check "a file that is no key -> status 1" is "$EXIT" 1
    check "a file that is no key -> one sentence that names it" one_sentence not-a-key.pem
    refused --public-key "$KEYS/private.pem"
    check "the private key in its place -> status 1" is "$EXIT" 1
}
