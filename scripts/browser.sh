# shellcheck shell=bash
# shellcheck disable=SC2034,SC2119,SC2120 # the checks read what is set here, and give arguments where they need them
# A client and a browser, in curl: for checks of an authorization server. Sourced after lib.sh, never run. RESOURCE and
# CLIENT are the caller's to set.

CALLBACK=http://127.0.0.1:5000/callback
VERIFIER='a-verifier-of-at-least-43-characters-0123456789'
# base64url(SHA-256(VERIFIER)), RFC 7636 section 4.2.
CHALLENGE=wZL8MkZejwdzHh4jB2kh79_6EBNURpiMV6pTtCVALSs

# field FILTER: one value of the last answer.
field() {
    "$JQ" -r "$1" "$BODY"
}

# form PATH NAME=VALUE..: a form post; values are encoded.
form() {
    local path=$1 pair
    local -a arguments=()
    shift
    for pair; do
        arguments+=(--data-urlencode "$pair")
    done
    request "$path" -X POST "${arguments[@]}" "${CURL_EXTRA[@]}"
}
CURL_EXTRA=(-H 'Accept: application/json')

# authorize [NAME=VALUE..]: opens the authorization endpoint in the browser; a value given here replaces the usual
# one, an empty one removes it.
authorize() {
    local -a arguments=()
    local pair name
    for pair in response_type=code "client_id=$CLIENT" "redirect_uri=$CALLBACK" "code_challenge=$CHALLENGE" \
        code_challenge_method=S256 "resource=$RESOURCE" 'state=a b&c'; do
        name=${pair%%=*}
        case " $*" in *" $name="*) ;; *) arguments+=(--data-urlencode "$pair") ;; esac
    done
    for pair; do
        arguments+=(--data-urlencode "$pair")
    done
    request /oauth/authorize -G "${arguments[@]}" -b "$JAR" -c "$JAR"
}

# hidden NAME: the value of a hidden input on the page that came last.
hidden() {
    sed -n "s/.*name=\"$1\" value=\"\([^\"]*\)\".*/\1/p" "$BODY" | head -n 1 | sed 's/&#38;/\&/g; s/&amp;/\&/g'
}

# sign_in USER PASSWORD: fills in the login page that came last.
sign_in() {
    local request csrf
    request=$(hidden request)
    csrf=$(hidden csrf)
    CURL_EXTRA=(-b "$JAR" -c "$JAR")
    form /oauth/login "username=$1" "password=$2" "request=$request" "csrf=$csrf"
    CURL_EXTRA=()
}

# decide approve|deny: answers the consent page that came last.
decide() {
    local request csrf
    request=$(hidden request)
    csrf=$(hidden csrf)
    CURL_EXTRA=(-b "$JAR" -c "$JAR")
    form /oauth/consent "decision=$1" "request=$request" "csrf=$csrf"
    CURL_EXTRA=()
}

new_browser() {
    JAR=$SCRATCH/jar-$RANDOM-$RANDOM
    : >"$JAR"
}

# parameter NAME: from the query of the Location that came last, decoded.
parameter() {
    header Location
    printf '%s\n' "$VALUE" | tr '?' '&' | tr '&' '\n' | sed -n "s/^$1=//p" | head -n 1 | sed 's/+/ /g; s/%/\\x/g' | xargs -0 printf '%b' |
        tr -d '\n'
}

# code USER [NAME=VALUE..]: the whole way to a code, in a new browser.
code() {
    local user=$1
    shift
    new_browser
    authorize "$@"
    sign_in "$user" "$user"
    authorize "$@"
    decide approve
    CODE=$(parameter code)
}

redeem() {
    form /oauth/token grant_type=authorization_code "client_id=$CLIENT" "code=$CODE" "redirect_uri=$CALLBACK" \
        "code_verifier=$VERIFIER" "$@"
}

refresh() {
    form /oauth/token grant_type=refresh_token "client_id=$CLIENT" "refresh_token=$1" "${@:2}"
}

# claim FILTER: from the access token of the last answer.
claim() {
    field .access_token | cut -d . -f "${2:-2}" | tr '_-' '/+' | awk '{ while (length($0) % 4) $0 = $0 "="; print }' |
        base64 -d | "$JQ" -r "$1"
}

# press [NAME=VALUE]: "Sign in with ..", on the login page that came last. The Location is where the provider is.
press() {
    local request csrf
    request=$(hidden request)
    csrf=$(hidden csrf)
    CURL_EXTRA=(-b "$JAR" -c "$JAR")
    form /oauth/upstream "request=$request" "csrf=$csrf" "$@"
    CURL_EXTRA=()
    header Location
    AWAY=$VALUE
}

# visit URL: the browser's step at a provider where somebody is signed in already. Sets BACK, where it is sent.
visit() {
    BACK=$(curl -q -s --noproxy '*' --max-time 15 -o /dev/null -w '%{redirect_url}' "$1")
}

# come_back URL: the browser follows the provider's redirect.
come_back() {
    local rest=${1#*://}
    request "/${rest#*/}" -b "$JAR" -c "$JAR"
}

# through_provider [NAME=VALUE..]: a new browser, our page, the provider and back.
through_provider() {
    new_browser
    authorize "$@"
    press
    visit "$AWAY"
    come_back "$BACK"
}
