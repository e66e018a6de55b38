#!/usr/bin/env bash
# Checks the checks: every condition of lib.sh can fail, and a script that breaks off never ends in success.
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2016
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

STEP=2

# holds, breaks CONDITION..: what `expect` would have said of the last answer.
holds() {
    judge "$@"
    is "$WRONG" ''
}

breaks() {
    judge "$@"
    [ -n "$WRONG" ]
}

conditions() {
    get /health
    check "status: right" holds status 200
    check "status: wrong" breaks status 201
    check "header: right, in any case" holds header content-TYPE application/json
    check "header: wrong" breaks header Content-Type application/jso
    check "header: absent" breaks header Content-Typ application/json
    check "no-header: right" holds no-header Allow
    check "no-header: wrong" breaks no-header CONTENT-TYPE
    check "json: right" holds json .status healthy json .service step2
    check "json: wrong" breaks json .status ill
    check "json: right and wrong" breaks json .status healthy json .service step1
    check "json: a number is no string" breaks json '.status | length' '"7"'
    check "json: a word with quotes and backslashes" holds json '.status | "\"\\"' '"\"\\"'
    check "json: absent" breaks json .stat healthy
    check "json: nothing yielded" breaks json '.status | empty' healthy
    check "json: two values yielded" breaks json '"healthy", "healthy"' healthy
    check "json: a filter that is none" breaks json '.status |' healthy
    check "where: right" holds where '.status | length == 7'
    check "where: wrong" breaks where '.status | length == 8'
    check "where: true, not just something" breaks where .status
    check "where: a type error" breaks where '.status | keys | length > 0'
    check "empty: wrong" breaks empty
    check "no condition at all" breaks
    check "a condition that is none" breaks statuss 200
    check "an earlier condition counts" breaks status 201 json .status healthy

    send '{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}'
    check "id-digits: right" holds id-digits 9007199254740993
    check "id-digits: the last digit wrong" breaks id-digits 9007199254740992
    check "id-digits: the first digits only" breaks id-digits 900719925474099
    send '{"jsonrpc":"2.0","method":"notifications/initialized"}'
    check "empty: right" holds empty
    check "json: of an empty body" breaks json . '{}'
    printf '{"a":null}' >"$BODY"
    check "json: a null member anywhere" breaks where '.b == null'
    printf 'null' >"$BODY"
    check "json: null alone" breaks where '. == null'
    printf '{"a":1}{"a":1}' >"$BODY"
    check "json: two documents" breaks json .a 1
    printf '<p>1</p>' >"$BODY"
    check "json: no JSON" breaks where true
}

challenges() {
    HEADERS=('HTTP/1.1 401 Unauthorized' 'www-authenticate: Bearer realm="mcp", error="invalid_token", scope="a b"')
    check "challenge: right" holds challenge realm mcp challenge error invalid_token challenge scope 'a b'
    check "challenge: wrong" breaks challenge error invalid
    check "challenge-words: in another order" holds challenge-words scope 'b a'
    check "challenge-words: one missing" breaks challenge-words scope 'b a c'
    check "challenge-words: one too many" breaks challenge-words scope a
    check "challenge-words: another" breaks challenge-words scope 'a c'
    check "challenge: absent" breaks challenge resource_metadata x
    check "challenge: the end of another name" breaks challenge ror invalid_token
    check "no-challenge: right" holds no-challenge resource_metadata
    check "no-challenge: wrong" breaks no-challenge error
    check "no-challenge -: wrong" breaks no-challenge -
    HEADERS=('HTTP/1.1 401 Unauthorized' 'WWW-Authenticate: Bearer')
    check "challenge: without parameters" holds no-challenge error
    HEADERS=('HTTP/1.1 401 Unauthorized' 'WWW-Authenticate: Basic realm="mcp"')
    check "challenge: of another scheme" breaks challenge realm mcp
    check "no-challenge: needs a challenge" breaks no-challenge error
    HEADERS=('HTTP/1.1 401 Unauthorized' 'WWW-Authenticate: Bearer realm="mcp"' 'WWW-Authenticate: Bearer realm="mcp"')
    check "challenge: two of them" breaks challenge realm mcp
    HEADERS=('HTTP/1.1 401 Unauthorized')
    check "challenge: none" breaks challenge realm mcp
    check "no-challenge -: right" holds no-challenge -
}

failed_requests() {
    local URL=http://127.0.0.1:1
    get /health
    check "no server: no status holds" breaks status 000
    check "no server: not even an empty body" breaks empty
    check "no server: not even an absent header" breaks no-header Allow
}

# ends SCRIPT: runs this text as a check script and prints its exit status and its last line.
ends() {
    printf '. "%s"\nSTEP=2\n%s\n' "$ROOT/scripts/lib.sh" "$1" >"$SCRATCH/script.sh"
    bash "$SCRATCH/script.sh" >"$SCRATCH/script.out" 2>&1
    echo "$? $(tail -n 1 "$SCRATCH/script.out")"
}

scripts() {
    local pid
    check "one claim that holds" is "$(ends 'check one true; finish')" '0 1 passed, 0 failed'
    check "one claim that does not" is "$(ends 'check one true; check two false; finish')" '1 1 passed, 1 failed'
    check "a failure prints the request, the expectation and the answer" is \
        "$(ends 'start step1; get /health; expect "one" status 404; finish' >"$SCRATCH/ends" &&
            cut -d ' ' -f 1 "$SCRATCH/ends" && grep -cE '^    (request|expected|wrong|answer): ' "$SCRATCH/script.out")" "1
4"
    # Filter by filter: what it yields, and what it must.
    ends 'start step1; get /health; expect one json .status ill json .service step1 where "1 > 2"; finish' >/dev/null
    check "a failure names each filter that is wrong" is "$(grep -cE '`\.status` is "healthy", expected "ill"$|`1 > 2` is false, expected true$|`\.service`' "$SCRATCH/script.out")" 2
    ends 'start step1; stop $PID; rpc ping; expect one status 200; finish' >/dev/null
    check "without an answer the last lines of the log are shown" grep -q '^    its log:  .*is listening' "$SCRATCH/script.out"
    check "no claim at all" is "$(ends finish)" '1 0 passed, 0 failed'
    check "broken off" is "$(ends 'check one true; exit 0')" '1 1 passed, 1 failed'
    check "broken off by an unset variable" is "$(ends 'check one true; echo $no_such; finish' | cut -c 2-)" ' 1 passed, 1 failed'
    check "ended by a signal" is "$(ends 'check one true; kill -TERM $$; sleep 1; finish')" '143 1 passed, 1 failed'
    check "a server that never starts" is "$(ends 'start step1 --no-such-flag; check one true; finish')" '1 0 passed, 1 failed'
    check "a binary that is not there" is "$(ends 'start no-such-server; check one true; finish')" '1 0 passed, 1 failed'
    check "a package that does not build" is "$(CHECKS_BIN='' ends 'build no-such-package; check one true; finish')" '1 0 passed, 1 failed'
    ends 'start step1; echo "$PID"; check one true; finish' >/dev/null
    pid=$(head -n 1 "$SCRATCH/script.out")
    check "its server is gone when a script ends" ended "$pid"
    ends 'start step1; echo "$PID"; exit 3' >/dev/null
    pid=$(head -n 1 "$SCRATCH/script.out")
    check "its server is gone when a script breaks off" ended "$pid"
    check "a step that is none" is "$("$ROOT/scripts/test_step1.sh" 9 2>/dev/null | tail -n 1)" '0 passed, 1 failed'
    check "an earlier step" is "$("$ROOT/scripts/test_step2.sh" 1 2>/dev/null | tail -n 1)" '0 passed, 1 failed'
}

# on_a_machine_with SCRIPT TOOL[=VERSION]..: how a script ends where only these tools are, what it says, and whether it
# had anything compiled.
on_a_machine_with() {
    local script=$1 tool status machine=$SCRATCH/machine
    shift
    rm -rf "$machine" "$SCRATCH/compiled"
    mkdir "$machine"
    for tool in bash basename cat chmod cut date dirname env find grep head id mkdir mktemp rm sed sleep sort tail tr uname wc; do
        ln -s "$(command -v "$tool")" "$machine/$tool"
    done
    for tool; do
        case $tool in
        cargo) printf '#!/bin/sh\n[ "$1" = --version ] || : >"%s"\n' "$SCRATCH/compiled" >"$machine/cargo" ;;
        *=*) printf '#!/bin/sh\necho "%s %s"\n' "${tool%%=*}" "${tool#*=}" >"$machine/${tool%%=*}" ;;
        *) printf '#!/bin/sh\n' >"$machine/$tool" ;;
        esac
        chmod +x "$machine/${tool%%=*}"
    done
    # shellcheck disable=SC2086 # with its arguments
    env -u CHECKS_BIN -u CI PATH="$machine" "$ROOT"/scripts/$script >"$SCRATCH/said" 2>&1 </dev/null
    status=$?
    [ -e "$SCRATCH/compiled" ] && echo "something was compiled"
    echo "$status: $(cat "$SCRATCH/said")"
}

tools() {
    local script wanted good='curl=7.88.1 git=2.39.2 rustc=1.95.0 cargo cc apt-get jq'
    wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$ROOT/Cargo.toml")
    check "the version of Rust that is wanted stands in Cargo.toml" [ -n "$wanted" ]
    for script in demo.sh test_all.sh test_step1.sh test_auth_server.sh test_workspace.sh readme_commands.sh break_it.sh; do
        # shellcheck disable=SC2086 # words
        check "$script: a Rust that is too old is one sentence" is \
            "$(on_a_machine_with "$script" ${good/1.95.0/1.65.0})" \
            "1: this needs Rust $wanted or newer, you have 1.65; install it with rustup (https://rustup.rs)"
        # shellcheck disable=SC2086
        check "$script: no Rust at all is one sentence" is "$(on_a_machine_with "$script" ${good/rustc=1.95.0 cargo/})" \
            "1: this needs Rust $wanted or newer, and there is none; install it with rustup (https://rustup.rs)"
        # shellcheck disable=SC2086
        check "$script: no C compiler is one sentence" is "$(on_a_machine_with "$script" ${good/cc/})" \
            "1: this needs a C compiler, and there is none; install one: apt-get install gcc libc6-dev"
    done
    for script in test_all.sh test_step1.sh; do
        # shellcheck disable=SC2086
        check "$script: no curl is one sentence" is "$(on_a_machine_with "$script" ${good/curl=7.88.1/})" \
            "1: this needs curl 7.82 or newer, and there is none; install it: apt-get install curl"
        # shellcheck disable=SC2086
        check "$script: a curl that is too old is one sentence" is "$(on_a_machine_with "$script" ${good/7.88.1/7.74.0})" \
            "1: this needs curl 7.82 or newer, you have 7.74; install a newer one: apt-get install curl, or from https://curl.se/download.html"
    done
    # shellcheck disable=SC2086
    check "demo.sh: no curl is one sentence" is "$(on_a_machine_with demo.sh ${good/curl=7.88.1/})" \
        "1: this needs curl, and there is none; install it: apt-get install curl"
    for script in test_all.sh 'diff_step.sh 6'; do
        # shellcheck disable=SC2086
        check "$script: no git is one sentence" is "$(on_a_machine_with "$script" ${good/git=2.39.2/})" \
            "1: this needs git, and there is none; install it: apt-get install git"
    done
    check "all that is missing is named at once" is "$(on_a_machine_with test_all.sh jq | grep -c 'this needs')" 4
    check "a version is older by its numbers, not by its letters" eval \
        'is_older 1.9 1.95 && is_older 7.9 7.82 && is_older 0.99 1.0 && is_older "" 1.0 && ! is_older 1.95 1.95 && ! is_older 8.0 7.82 && ! is_older 2.1 1.95'
}

skips() {
    check "what is skipped is counted" is "$(CI='' ends 'check one true; skip two because; finish')" \
        '0 1 passed, 0 failed, 1 skipped'
    check "everything may be skipped" is "$(CI='' ends 'skip one because; finish')" '0 0 passed, 0 failed, 1 skipped'
    check "in CI nothing may be skipped" is "$(CI=true ends 'check one true; skip two because; finish')" \
        '1 1 passed, 1 failed'
    check "no script reads from the terminal" is \
        "$(ends 'read -r line && check two false; check one true; finish' <<<'a line')" '0 1 passed, 0 failed'
}

exceptions() {
    EXCEPTIONS='|changed|'
    get /health
    check "an exception for a claim that holds is a failure" is \
        "$(expect changed status 200 | grep -c '^not ok')" 1
    check "an exception for a claim that does not hold is none" is \
        "$(expect changed status 404 | grep -c '^# changed since')" 1
    check "an exception excuses no other claim" is "$(expect another status 404 | grep -c '^not ok')" 1
    DEMANDED='changed
'
    USED=
    check "an exception that no check met is a failure" is "$(exceptions_used 2 >/dev/null || echo red)" red
    USED='|changed|'
    check "an exception that was met is none" exceptions_used 2
    EXCEPTIONS=
    local URL=http://127.0.0.1:1
    EXCEPTIONS='|changed|'
    get /health
    check "an exception does not excuse a server that is gone" is "$(expect changed status 200 | grep -c '^not ok')" 1
    EXCEPTIONS=
}

build step1 step2
start step2
conditions
challenges
failed_requests
scripts
tools
skips
exceptions
finish
