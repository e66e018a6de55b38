#!/usr/bin/env bash
# Sign in with GitHub, without GitHub: a stand-in, the server examples/github-profile, and a client that goes the whole
# way twice, for two accounts. Each exchange that matters is shown.
#
#   scripts/demo_github.sh           builds, shows, cleans up
#   scripts/demo_github.sh --keep    leaves both running, and says how to connect a real client with a real browser
#
# Needs bash, curl 7.82, a C compiler and the Rust toolchain, and no network once the crates are there. Everything it
# makes lies in a folder of its own, which goes away at the end, except for what cargo builds.
set -u

# shellcheck source-path=SCRIPTDIR source=toolchain.sh
. "$(dirname "${BASH_SOURCE[0]}")/toolchain.sh"
KEEP=no
CHILDREN=
SCRATCH=

usage() {
    sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

for argument; do
    case $argument in
    --keep) KEEP=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        echo "unknown argument $argument" >&2
        usage >&2
        exit 2
        ;;
    esac
done

die() {
    echo
    echo "$*" >&2
    exit 1
}

need rust cc curl:7.82

# Runs on every exit, also on ctrl-c, and keeps the status. It ends its own children, by their ids.
on_exit() {
    local status=$? child
    trap - EXIT
    trap '' INT TERM
    for child in $CHILDREN; do
        kill -TERM "$child" 2>/dev/null
    done
    for child in $CHILDREN; do
        wait "$child" 2>/dev/null
    done
    [ -z "$SCRATCH" ] || rm -rf "$SCRATCH"
    exit "$status"
}
trap on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

title() {
    printf '\n\n### %s\n\n' "$1"
}

# serve NAME [argument..]: starts a server on a free port and waits until it listens. Sets PORT.
serve() {
    local name=$1 tries=200
    shift
    "$TARGET/debug/$name" --bind 127.0.0.1:0 "$@" >"$SCRATCH/$name.log" 2>&1 </dev/null &
    CHILDREN="$CHILDREN $!"
    PORT=
    until [ -n "$PORT" ]; do
        PORT=$(sed -n 's/.* is listening on http:\/\/127\.0\.0\.1:\([0-9]*\).*/\1/p' "$SCRATCH/$name.log" | head -n 1)
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || die "$name did not start: $(cat "$SCRATCH/$name.log")"
        [ -n "$PORT" ] || sleep 0.1
    done
}

# ---- a client and a browser, in curl --------------------------------------------------------------------------------

fetch() {
    curl -q -s --noproxy '*' --max-time 15 "$@"
}

# browse URL [curl argument..]: the page goes to the file page, the place that it leads to is printed.
browse() {
    fetch -b "$JAR" -c "$JAR" -o "$SCRATCH/page" -w '%{redirect_url}' "$@"
}

# hidden NAME: the value of a hidden input on the page.
hidden() {
    sed -n "s/.*name=\"$1\" value=\"\([^\"]*\)\".*/\1/p" "$SCRATCH/page" | head -n 1 | sed 's/&#38;/\&/g; s/&amp;/\&/g'
}

# press PATH [curl argument..]: sends the form of the page.
press() {
    local path=$1
    shift
    browse "$ORIGIN$path" --data-urlencode "request=$(hidden request)" --data-urlencode "csrf=$(hidden csrf)" "$@"
}

# member NAME: a member of the JSON on standard input whose value is a string.
member() {
    sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"
}

# The text of the page, as a person reads it.
read_page() {
    awk '/<h1>/, /<\/main>/' "$SCRATCH/page" | sed 's/<[^>]*>//g; s/^ *//; /^$/d; s/^/    /'
}

# base64url(SHA-256(VERIFIER)), RFC 7636 section 4.2.
VERIFIER='a-verifier-of-at-least-43-characters-0123456789'
CHALLENGE=wZL8MkZejwdzHh4jB2kh79_6EBNURpiMV6pTtCVALSs
CALLBACK=http://127.0.0.1:5000/callback

ask() {
    browse "$ORIGIN/oauth/authorize" -G -d response_type=code -d "client_id=$CLIENT" --data-urlencode "redirect_uri=$CALLBACK" \
        -d "code_challenge=$CHALLENGE" -d code_challenge_method=S256 --data-urlencode "resource=$ORIGIN/mcp" -d state=xyz
}

# Our page, GitHub, back, our other page, and the code becomes a token. Sets TOKEN.
log_in() {
    local away back code
    JAR=$SCRATCH/jar-$RANDOM
    ask >/dev/null
    echo "this server's page:"
    read_page
    away=$(press /oauth/upstream)
    echo "after a press, GitHub: ${away%%\?*}"
    back=$(fetch -o /dev/null -w '%{redirect_url}' "$away")
    echo "and back: ${back%%\?*}?code=..&state=..&iss=.."
    browse "$back" >/dev/null
    ask >/dev/null
    echo "then this server's own question:"
    read_page
    code=$(press /oauth/consent -d decision=approve | sed -n 's/.*[?&]code=\([^&]*\).*/\1/p')
    TOKEN=$(fetch "$ORIGIN/oauth/token" -d grant_type=authorization_code -d "client_id=$CLIENT" -d "code=$code" \
        --data-urlencode "redirect_uri=$CALLBACK" -d "code_verifier=$VERIFIER" | member access_token)
    [ -n "$TOKEN" ] || die "the login failed; the log: $(cat "$SCRATCH/github-profile.log")"
    echo "allowed: the client has a token of this server's"
}

get_user_profile() {
    echo 'and the tool get_user_profile answers:'
    fetch "$ORIGIN/mcp" -H "Authorization: Bearer $TOKEN" \
        --json '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_user_profile","arguments":{}}}'
    echo
}

# ---- the demo -------------------------------------------------------------------------------------------------------

title "Building (the first time takes a few minutes; cargo shows how far it is)"
(cd "$ROOT" && cargo build --locked --target-dir "$TARGET" -p github-profile -p mock-github) || die "cargo build failed."

SCRATCH=$(mktemp -d) || die "no temporary folder could be made."
# Settings of the surroundings must not reach the servers of the demo.
unset MCP_BIND MCP_ISSUER MCP_RESOURCE MCP_PUBLIC_KEY MCP_ORIGIN MCP_CALLS_PER_MINUTE
unset "${!AUTH_@}" "${!MCP_GITHUB_@}" "${!MCP_UPSTREAM_@}"

if [ "$KEEP" = yes ]; then
    serve mock-github
else
    serve mock-github --auto octocat
fi
GITHUB=http://localhost:$PORT
export MCP_GITHUB_GITHUB_CLIENT_ID=Ov23liMOCKAPP0000000 MCP_GITHUB_GITHUB_CLIENT_SECRET=mock-secret
export MCP_GITHUB_GITHUB_AUTH_URL=$GITHUB/login/oauth/authorize
export MCP_GITHUB_GITHUB_TOKEN_URL=$GITHUB/login/oauth/access_token
export MCP_GITHUB_GITHUB_API_URL=$GITHUB/api/v3
serve github-profile --data "$SCRATCH/profile.db" --keys-dir "$SCRATCH/keys"
ORIGIN=http://localhost:$PORT
echo "the stand-in for GitHub  $GITHUB"
echo "the MCP server           $ORIGIN/mcp"

if [ "$KEEP" = yes ]; then
    title "Both keep running until ctrl-c. Connect a real client"
    cat <<END
Sign in as one of the stand-in's accounts; it asks for no password.

MCP Inspector
    npx @modelcontextprotocol/inspector --transport http --server-url $ORIGIN/mcp

Claude Code
    claude mcp add --transport http github-profile $ORIGIN/mcp
    then, in claude, run /mcp and choose github-profile to log in

The client of this workspace, in your browser
    cargo run -p mcp-client -- walk $ORIGIN/mcp

Logs: $SCRATCH/github-profile.log and $SCRATCH/mock-github.log
END
    wait
    exit
fi

title "Without a token: 401, and where to find the way in"
fetch -i "$ORIGIN/mcp" --json '{"jsonrpc":"2.0","id":1,"method":"ping"}' | grep -iE '^(HTTP|www-authenticate)' | tr -d '\r'
echo
fetch "$ORIGIN/.well-known/oauth-protected-resource/mcp"
echo

CLIENT=$(fetch "$ORIGIN/oauth/register" --json "{\"client_name\":\"Demo client\",\"redirect_uris\":[\"$CALLBACK\"]}" |
    member client_id)
title "octocat signs in"
log_in
get_user_profile
OCTOCAT=$TOKEN

title "hubot signs in with the same client, and gets hubot's profile"
fetch -f "$GITHUB/_mock" -d auto=hubot || die "the stand-in has no hubot."
log_in
get_user_profile

title "octocat takes the access back at GitHub: the tool says so, and the user's refresh tokens are gone as well"
fetch -f "$GITHUB/_mock" -d revoke=all || die "the stand-in revokes nothing."
TOKEN=$OCTOCAT
get_user_profile

printf '\nDone. Both are stopped and their files are gone; --keep leaves them running.\n'
