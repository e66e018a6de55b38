#!/usr/bin/env bash
# What deploy/ promises, with the real nginx: TLS, two replicas of step 8 and the issuer under one name, and what becomes of
# the requests when one of them is drained, restarted, killed, stuck or full. All of it on loopback.
#
#   scripts/test_deploy.sh          every claim; a line of load says how many requests were sent, and what became of them
#   scripts/test_deploy.sh haproxy  the same behind HAProxy, the faults that a proxy can meet; only when named
#   scripts/test_deploy.sh keycloak Keycloak's own cluster as the issuer: one of two nodes is killed; likewise
#   scripts/test_deploy.sh prometheus the real Prometheus reads the figures of examples/rmcp-server; likewise
#   scripts/test_deploy.sh image    builds what deploy/Dockerfile builds, in a clean clone: minutes, so only when named
#
# Needs Linux, nginx, openssl and python3. What is not there is skipped and counted; with CI=true it is installed from Debian,
# or else a failure.
# shellcheck disable=SC2317 # functions that `check` and `eventually` call are called all right
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

EXCEPTIONS=
SUB=
# Nothing is left beside load.py, which stuck.py imports.
export PYTHONDONTWRITEBYTECODE=1

give_up() {
    skip 'deploy' "$1"
    finish
}

# Below the ports that Linux gives to connections: many are opened here.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

says_nothing() {
    local said
    if ! said=$("$@" 2>&1) || [ -n "$said" ]; then
        echo "$said"
        return 1
    fi
}

# ---- what deploy/Dockerfile does ------------------------------------------------------------------------------------

# Every RUN line of it, one after the other, where nothing lies but what a clone has and Dockerfile.dockerignore lets through;
# then what its last stage takes along.
check_image() {
    local clone=$SCRATCH/clone context=$SCRATCH/context built=$TARGET/image line
    git clone --quiet "$ROOT" "$clone" || die "git clone failed"
    mkdir "$context"
    while IFS= read -r line; do
        check "the context has $line" cp -R "$clone/$line" "$context/"
    done < <(sed -n 's/^!\(.*\)$/\1/p' "$clone/deploy/Dockerfile.dockerignore")
    cd "$context" || exit 1
    while IFS= read -r line; do
        check "with the context alone: $line" env CARGO_TARGET_DIR="$built" sh -c "$line"
    done < <(sed -n 's/^RUN //p' "$clone/deploy/Dockerfile")
    while IFS= read -r line; do
        check "the program that it copies is there and runs: $line" "$built/$line" --version
        check "it needs nothing but the C library and libgcc" only_c_libraries "$built/$line"
    done < <(sed -n 's,^COPY --from=build /src/target/\([^ ]*\) .*,\1,p' "$clone/deploy/Dockerfile")
}

only_c_libraries() {
    local libraries
    libraries=$(ldd "$1") && ! grep -Ev 'linux-vdso|ld-linux|libc\.so|libm\.so|libgcc_s\.so' <<<"$libraries"
}

case ${1-} in
'' | keycloak | haproxy) ;;
image)
    check_image
    finish
    ;;
prometheus)
    # shellcheck source-path=SCRIPTDIR source=deploy_prometheus.sh
    . "$ROOT/scripts/deploy_prometheus.sh"
    provide_prometheus || give_up 'there is no Prometheus with promtool (apt-get install prometheus)'
    build rmcp-server gen-token
    check_prometheus
    finish
    ;;
*) die "usage: scripts/test_deploy.sh [haproxy|keycloak|prometheus|image]" ;;
esac

# ---- what is needed -------------------------------------------------------------------------------------------------

[ "$(uname -s)" = Linux ] || give_up 'replica.sh reads /proc: it needs Linux'
# The package puts it where only root looks.
PATH=$PATH:/usr/sbin
[ "${1-}" = haproxy ] || provide nginx nginx || give_up 'there is no nginx (apt-get install nginx)'
provide openssl openssl || give_up 'there is no openssl (apt-get install openssl)'
provide python3 python3 || give_up 'there is no python3 (apt-get install python3)'
build auth-server step8 mcp-client gen-token

# ---- certificate ----------------------------------------------------------------------------------------------------

# A throw-away authority, and a certificate of it for localhost.
make_certificate() {
    (
        cd "$SCRATCH" || exit 1
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj '/CN=test authority' \
            -addext 'keyUsage=keyCertSign' -keyout ca.key -out ca.pem &&
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout key.pem -out csr.pem &&
            printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n' >extensions &&
            openssl x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -extfile extensions -out fullchain.pem
    ) >"$SCRATCH/openssl.log" 2>&1 || die "openssl failed: $(tail -n 3 "$SCRATCH/openssl.log")"
    # Beside the usual authorities, which npm and pip need. Rust and Python read the first of these, curl and Node the others.
    cat "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$SCRATCH/ca.pem" >"$SCRATCH/authorities.pem" 2>/dev/null
    export SSL_CERT_FILE=$SCRATCH/authorities.pem
    export CURL_CA_BUNDLE=$SSL_CERT_FILE NODE_EXTRA_CA_CERTS=$SSL_CERT_FILE
}

# ---- nginx ----------------------------------------------------------------------------------------------------------

# deploy/nginx.conf with other ports, files, and the user who runs this. Of an answer the kernel holds no more than 16 KiB
# (and not megabytes, as it does on loopback), so that a slow reader is nginx's to bear. Nothing else is changed.
write_nginx_conf() {
    local folder=$SCRATCH/nginx
    mkdir -p "$folder"
    sed -e "s,^user .*,user $(id -un);," -e "s,/run/nginx.pid,$folder/pid," -e "s,/var/log/nginx,$folder," \
        -e "s,/etc/ssl/mcp,$SCRATCH," -e "s,mcp\.example\.com,localhost," -e '/listen \[::\]/d' \
        -e "s,listen 443,listen 127.0.0.1:$PORT," -e "s,127.0.0.1:9001,127.0.0.1:$ISSUER_PORT," \
        -e 's/ ssl default_server;/ ssl default_server sndbuf=16k;/' \
        -e "s,^http {,&\n$(printf '%s_temp_path F/%s; ' client_body b proxy p fastcgi f uwsgi u scgi s | sed "s,F/,$folder/,g")," \
        "$ROOT/deploy/nginx.conf" >"$folder/nginx.conf"
    sed -e "s,:9000,:$A," -e "s,:9002,:$B," "$ROOT/deploy/replicas.conf" >"$folder/replicas.conf"
    export REPLICAS=$folder/replicas.conf NGINX_COMMAND="nginx -c $folder/nginx.conf" NGINX_PID=$folder/pid
}

start_nginx() {
    # shellcheck disable=SC2086 # a command, with its arguments
    check "nginx takes deploy/nginx.conf" $NGINX_COMMAND -t -q
    $NGINX_COMMAND -g 'daemon off;' >"$SCRATCH/nginx/out" 2>&1 &
    CHILDREN="$CHILDREN $!"
    eventually test -s "$NGINX_PID" || die "nginx did not start: $(cat "$SCRATCH/nginx/out" "$SCRATCH/nginx/error.log")"
}

# The newest line of nginx's log that has this path.
logged() {
    grep -F "\"path\":\"$1\"" "$SCRATCH/nginx/mcp.log" | tail -n 1 | "$JQ" -r "$2"
}

# How many requests of the log a port was asked for.
asked_of() {
    grep -c "\"replica\":\"[^\"]*:$1[\",]" "$SCRATCH/nginx/mcp.log"
}

# ---- the servers ----------------------------------------------------------------------------------------------------

start_issuer() {
    launch auth-server --bind "127.0.0.1:$ISSUER_PORT" --issuer "$ORIGIN" --resource "$SERVER" \
        --keys-dir "$SCRATCH/keys" --data "$SCRATCH/auth.db"
    AUTH=$PID
    eventually settled
    eventually healthy || die "auth-server did not start: $(cat "$LOG")"
}

# replica PORT: one of step 8. The load calls more often than a user may.
replica() {
    launch step8 --bind "127.0.0.1:$1" --issuer "$ISSUER" --resource "$SERVER" --calls-per-minute 0
    eval "REPLICA_$1=$PID"
    eventually settled
    eventually healthy || die "step8 did not start: $(cat "$LOG")"
}

# The process behind a port.
process() {
    eval "echo \$REPLICA_$1"
}

move() {
    sh "$ROOT/deploy/replica.sh" "$@" >"$SCRATCH/replica.log" 2>&1 || die "replica.sh $*: $(cat "$SCRATCH/replica.log")"
}

tokens() {
    local number
    for number in 1 2 3 4 5 6 7 8; do
        token --username "user$number" --expires-in 1h || exit 1
        echo
    done
}

# ---- load -----------------------------------------------------------------------------------------------------------

# Eight clients that call without a pause, until `load_ends`.
load_begins() {
    RESULTS=$SCRATCH/results
    : >"$RESULTS"
    python3 "$ROOT/scripts/clients/load.py" "$SERVER" "${1:-$SCRATCH/tokens}" "$RESULTS" >"$SCRATCH/load.log" 2>&1 &
    LOADER=$!
    CHILDREN="$CHILDREN $LOADER"
    more 100
}

# more N: waits until so many more requests have ended. Some patience, for machines with little to give.
more() {
    RESULTS_WANTED=$(($(wc -l <"$RESULTS") + $1))
    eventually enough_sent || eventually enough_sent || eventually enough_sent ||
        die "the load does not get on: $(tail -n 3 "$RESULTS" "$SCRATCH/load.log" "$SCRATCH/nginx/error.log")"
}

enough_sent() {
    [ "$(wc -l <"$RESULTS")" -ge "$RESULTS_WANTED" ]
}

# load_ends NAME [MOST]: the claim that at most so many (none) of all these requests failed.
load_ends() {
    local most=${2:-0} claim failed
    stop "$LOADER"
    failed=$(grep -vc '^200 ' "$RESULTS")
    claim=$(awk -v name="$1" '
        $1 != "200" { failed++ }
        $3 == "again" { again++ }
        $2 > slowest { slowest = $2 }
        END {
            printf "%s: %d sent, %d failed, slowest %d ms", name, NR, failed, slowest
            if (again) printf ", %d of them on a new connection", again
        }' "$RESULTS")
    if [ "$failed" -le "$most" ]; then
        pass "$claim"
    else
        fail "$claim"
        grep -v '^200 ' "$RESULTS" | cut -c 1-200 | sort | uniq -c | sort -rn | head -n 5 | sed 's/^/    /'
        tail -n 3 "$SCRATCH/nginx/error.log" | sed 's/^/    /'
    fi
}

# ---- a login, at one name -------------------------------------------------------------------------------------------

# login USER COMMAND..: the answer of whoami names the user (by SUB, if that is another word), the issuer and the resource.
login() {
    local user=$1
    shift
    "$@" >"$SCRATCH/whoami" 2>"$SCRATCH/whoami.err" || {
        cat "$SCRATCH/whoami" "$SCRATCH/whoami.err"
        return 1
    }
    "$JQ" -e ".sub == \"${SUB:-$user}\" and .iss == \"$ISSUER\" and (.aud | tostring | contains(\"$SERVER\"))" "$SCRATCH/whoami" || {
        cat "$SCRATCH/whoami"
        return 1
    }
}

mcp_client() {
    "$BIN/mcp-client" call "$SERVER" whoami --as "$1:$1" --cache-dir "$SCRATCH/logins/$SERVERS-$1-$RANDOM"
}

check_logins() {
    check "one host: mcp-client logs in through TLS and calls whoami" login alice mcp_client alice
    "$BIN/mcp-client" doctor "$SERVER" --as bob:bob --json >"$SCRATCH/doctor.json" 2>"$SCRATCH/doctor.err"
    check "one host: the doctor finds nothing broken" is "$("$JQ" -r .failed "$SCRATCH/doctor.json")" 0
    check_sdks
    URL=$ORIGIN
    get /.well-known/oauth-protected-resource/mcp
    expect "one host: the resource's metadata comes from step 8" \
        status 200 json .resource "$SERVER" json '.authorization_servers[0]' "$ORIGIN" \
        header Strict-Transport-Security max-age=31536000
    get /.well-known/openid-configuration
    expect "one host: everything else comes from the issuer" status 200 json .issuer "$ORIGIN"
    get /health
    expect "the health of the processes is not shown to strangers" status 404
    get /mcp -H 'Host: evil.example'
    expect "our name in TLS and another in Host -> 421" status 421
    get /mcp --connect-to "evil.example:443:127.0.0.1:$PORT"
    check "another name in TLS gets no certificate" no_certificate
    TOKEN=$(head -n 1 "$SCRATCH/tokens")
    send '{"jsonrpc":"2.0","id":1,"method":"ping"}'
    expect "a request in time is answered" status 200 json .id 1
    check "the log names the replica" logged_by_a_replica
    check "the log holds no token" holds_no_token
    bearer "$(head -c 9000 /dev/zero | tr '\0' x)" rpc ping
    expect "a token that is too long reaches step 8, which says so" status 401 challenge error invalid_token
    head -c 300000 /dev/zero | tr '\0' x >"$SCRATCH/large"
    send_file "$SCRATCH/large"
    expect "a body over 256 KiB -> 413" status 413
}

no_certificate() {
    curl -q -s --noproxy '*' --max-time 5 --connect-to "evil.example:443:127.0.0.1:$PORT" https://evil.example/mcp -v 2>&1 |
        grep -q 'unrecognized name'
}

logged_by_a_replica() {
    case $(logged /mcp .replica) in
    "127.0.0.1:$A" | "127.0.0.1:$B") ;;
    *) logged /mcp . && return 1 ;;
    esac
}

holds_no_token() {
    ! grep -F "$TOKEN" "$SCRATCH/nginx/mcp.log" "$SCRATCH/nginx/error.log"
}

# The claims of test_clients.sh, at this address.
check_sdks() {
    local line
    CLIENTS_AT=$SERVER timeout 300 "$ROOT/scripts/test_clients.sh" >"$SCRATCH/clients.log" 2>&1
    while IFS= read -r line; do
        case $line in
        'ok '*) pass "one host: ${line#ok * - }" ;;
        'not ok '*) fail "one host: ${line#not ok * - }" ;;
        '# skipped: '*) SKIPPED=$((SKIPPED + 1)) && echo "$line" ;;
        ' '*) echo "$line" ;;
        esac
    done <"$SCRATCH/clients.log"
}

# ---- replicas that go -----------------------------------------------------------------------------------------------

check_drain() {
    local asked
    load_begins
    check "two replicas: both are asked" both_asked
    move out "$A"
    asked=$(asked_of "$A")
    more 200
    check "drain: out of nginx, it is asked no more" is "$(asked_of "$A")" "$asked"
    stop "$(process "$A")"
    check "drain: then SIGTERM ends it with 0" is "$EXIT" 0
    more 200
    load_ends drain
    replica "$A"
    move in "$A"
}

both_asked() {
    [ "$(asked_of "$A")" -gt 0 ] && [ "$(asked_of "$B")" -gt 0 ]
}

check_rolling_restart() {
    local port before=
    load_begins
    for port in "$A" "$B"; do
        before=$(process "$port")
        move out "$port"
        stop "$before"
        replica "$port"
        move in "$port"
        more 100
    done
    load_ends 'rolling restart of both'
    check "the only replica that serves is not taken out" refuses_to_take_both
}

refuses_to_take_both() {
    move out "$A"
    ! sh "$ROOT/deploy/replica.sh" out "$B" >"$SCRATCH/replica.log" 2>&1 && grep -q 'only replica' "$SCRATCH/replica.log"
    local status=$?
    move in "$A"
    return "$status"
}

# Eight clients have eight requests under way at most.
check_kill() {
    local killed
    load_begins
    killed=$(process "$B")
    kill -KILL "$killed"
    # The shell would tell of it otherwise.
    wait "$killed" 2>/dev/null
    more 400
    load_ends 'a replica killed' 8
    check "a replica killed: what failed was under way on it, and was sent once" failures_are_its_own
    replica "$B"
    load_begins
    check "a replica killed: started again, it is asked again by itself" eventually asked_again "$(asked_of "$B")"
    load_ends 'a replica started again'
}

failures_are_its_own() {
    ! grep '"path":"/mcp"' "$SCRATCH/nginx/mcp.log" | grep '"status":"502"' | grep -v "\"replica\":\"127.0.0.1:$B\""
}

asked_again() {
    [ "$(asked_of "$B")" -gt "$1" ]
}

# In the place of a replica: it takes every request, and goes without an answer. Were it sent once more, the other replica
# would answer it.
check_sent_once() {
    local number statuses=
    move out "$A"
    stop "$(process "$A")"
    : >"$SCRATCH/swallows.log"
    python3 -c '
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
while True:
    stream = listener.accept()[0]
    stream.recv(65536)
    stream.close()
' "$A" >"$SCRATCH/swallows.log" 2>&1 &
    PID=$!
    CHILDREN="$CHILDREN $PID"
    eventually grep -q listening "$SCRATCH/swallows.log" || die "the false replica did not start"
    REPLICA=$PID
    # Its health is not asked: it has none.
    sed -i.before "/:$A /s/ down;\$/;/" "$REPLICAS"
    $NGINX_COMMAND -s reload >"$SCRATCH/nginx/out" 2>&1
    for number in 1 2 3 4 5 6 7 8; do
        send '{"jsonrpc":"2.0","id":1,"method":"ping"}'
        statuses="$statuses $STATUS"
        [ "$STATUS" = 200 ] || break
    done
    check "a POST that a replica took and did not answer is not sent to the other: 502" is "${statuses##* }" 502
    check "the log names one replica for it" is "$(logged /mcp .replica)" "127.0.0.1:$A"
    stop "$REPLICA"
    replica "$A"
}

# ---- the issuer -----------------------------------------------------------------------------------------------------

check_issuer_gone() {
    load_begins
    stop "$AUTH"
    get /.well-known/jwks.json
    expect "the issuer stopped: nginx says so" status 502
    bearer "$(token --username alice --break kid)" rpc ping
    expect "the issuer stopped: a key that nobody knows lets nobody in" status 503 no-challenge -
    more 1000
    load_ends 'the issuer stopped'
    start_issuer
    check "the issuer is back: a login works again" login bob mcp_client bob
}

# The next key is published at once, and signs later: here after a little more than the ten seconds in which a replica that
# has just asked the issuer does not ask it again, in production after five minutes.
check_rotation() {
    local old
    old=$(kid)
    load_begins
    "$BIN/auth-server" rotate-keys --lead 12 --keys-dir "$SCRATCH/keys" --data "$SCRATCH/auth.db" >"$SCRATCH/rotate.log" 2>&1 ||
        die "rotate-keys failed: $(cat "$SCRATCH/rotate.log")"
    eventually new_kid "$old" || eventually new_kid "$old"
    check "keys rotated: the new key signs" differs "$(kid)" "$old"
    more 100
    load_ends 'keys rotated, tokens of the old key'
    tokens >"$SCRATCH/tokens.new"
    load_begins "$SCRATCH/tokens.new"
    more 100
    load_ends 'keys rotated, tokens of the new key'
    check "keys rotated: a login works" login alice mcp_client alice
}

# The key that signs now: what gen-token makes, it makes with the same.
kid() {
    part "$(token --username alice)" 1 | "$JQ" -r .kid
}

new_kid() {
    [ "$(kid)" != "$1" ]
}

# ---- who holds a connection -----------------------------------------------------------------------------------------

# stuck KIND COUNT WHAT: COUNT clients of one kind stay where they are, and 400 requests of others are answered. Those that do
# not move at all are let go.
stuck() {
    local said
    said=$(timeout 60 python3 "$ROOT/scripts/clients/stuck.py" "$1" "$SERVER" "$TOKEN" "$2" 2>&1)
    case $said in
    *'not let go') fail "$3: $said" ;;
    "$2 stuck, $2 of them still open after 400 others: 400 answered with 200, "*) pass "$3: $said" ;;
    *) fail "$3: $said" ;;
    esac
}

check_stuck() {
    TOKEN=$(head -n 1 "$SCRATCH/tokens")
    stuck idle 1000 'idle connections'
    stuck headers 200 'slow headers'
    stuck bodies 50 'slow bodies'
    stuck readers 20 'slow readers'
}

# ---- what runs full -------------------------------------------------------------------------------------------------

# The bucket holds 100 and loses 20 a second.
check_issuer_limit() {
    local number
    for number in 1 2 3 4 5 6 7 8; do
        printf 'url = "%s/.well-known/jwks.json?[1-50]"\noutput = /dev/null\n' "$ORIGIN"
    done >"$SCRATCH/often"
    curl -q -s --noproxy '*' --max-time 30 -w '%{http_code}\n' -K "$SCRATCH/often" | sort | uniq -c >"$SCRATCH/statuses"
    check "one address asks the issuer too often: 429, and nothing else but 200" is \
        "$(awk '{ print $2 }' "$SCRATCH/statuses" | tr '\n' ' ')" '200 429 '
}

# A server of its own on a disk of one megabyte.
check_full_disk() {
    DISK=$SCRATCH/disk
    mkdir "$DISK"
    if [ "$(id -u)" -ne 0 ] || ! mount -t tmpfs -o size=1m tmpfs "$DISK" 2>/dev/null; then
        SKIPPED=$((SKIPPED + 1))
        echo "# skipped: a full disk: no file system can be mounted here"
        return
    fi
    trap unmount EXIT
    start auth-server --bind 127.0.0.1:0 --keys-dir "$DISK/keys" --data "$DISK/auth.db"
    register
    expect "a full disk: before, a client registers" status 201
    head -c 2000000 /dev/zero >"$DISK/fill" 2>/dev/null
    until_refused
    expect "a full disk: what cannot be written is refused" status "$1"
    get /.well-known/jwks.json
    expect "a full disk: the keys are still published" status 200 where '.keys | length > 0'
    get /health
    expect "a full disk: the server is there" status 200
    rm "$DISK/fill"
    register
    expect "a full disk: with room again, it goes on without a restart" status 201
    stop "$PID"
    check "a full disk: SIGTERM ends it with 0" is "$EXIT" 0
    umount "$DISK" && trap on_exit EXIT
}

register() {
    request /oauth/register --json '{"client_name":"full","redirect_uris":["http://127.0.0.1:5000/callback"]}'
}

# A page of the database may have room for a few.
until_refused() {
    local number
    for number in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        register
        [ "$STATUS" = 201 ] || break
    done
}

unmount() {
    local status=$?
    stop "$PID"
    umount "$DISK"
    (exit "$status")
    on_exit
}

# Whoever reads the log takes the first line, and goes.
check_log_reader() {
    local pipe=$SCRATCH/pipe
    mkfifo "$pipe"
    (head -n 3 <"$pipe" >"$SCRATCH/read.log") &
    PORT_LOG=$(free_port)
    "$BIN/step8" --bind "127.0.0.1:$PORT_LOG" --issuer "$ORIGIN" --resource "$SERVER" >/dev/null 2>"$pipe" &
    PID=$!
    CHILDREN="$CHILDREN $PID"
    URL=http://127.0.0.1:$PORT_LOG
    eventually healthy
    eventually has_read || die "nothing was logged"
    send '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami"}}'
    expect "the log's reader gone: it goes on serving" status 200 json .id 1
    send '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"audit_log"}}'
    expect "the log's reader gone: and refusing" status 403
    stop "$PID"
    check "the log's reader gone: SIGTERM ends it with 0" is "$EXIT" 0
}

has_read() {
    get /health
    [ "$(wc -l <"$SCRATCH/read.log")" -ge 3 ]
}

# ---- the files ------------------------------------------------------------------------------------------------------

check_unit() {
    local unit=$SCRATCH/step8@.service
    if ! here systemd-analyze; then
        skip 'the systemd unit' 'there is no systemd-analyze (apt-get install systemd)'
        return
    fi
    sed "s,/usr/local/bin/step8,$BIN/step8," "$ROOT/deploy/step8@.service" >"$unit"
    check "systemd-analyze verify has nothing to say of the unit" says_nothing systemd-analyze verify "$unit"
    check "systemd-analyze security: exposure of 1.5 at most, of 10" \
        systemd-analyze security --offline=true --threshold=15 "$unit"
}

# ---- the run --------------------------------------------------------------------------------------------------------

PORT=$(free_port)
ISSUER_PORT=$(free_port)
A=$(free_port)
B=$(free_port)
ORIGIN=https://localhost:$PORT
SERVER=$ORIGIN/mcp
RESOURCE=$SERVER
make_certificate
if [ "${1-}" = keycloak ]; then
    # shellcheck source-path=SCRIPTDIR source=deploy_keycloak.sh
    . "$ROOT/scripts/deploy_keycloak.sh"
    ISSUER=$ORIGIN/realms/mcp-realm
    find_cluster
    check_keycloak
    finish
fi
ISSUER=$ORIGIN
[ $# -gt 0 ] || check_unit
make_keys "$KEYS"
tokens >"$SCRATCH/tokens"
start_issuer
# Before the replicas, which get their keys through it.
if [ "${1-}" = haproxy ]; then
    # shellcheck source-path=SCRIPTDIR source=deploy_haproxy.sh
    . "$ROOT/scripts/deploy_haproxy.sh"
    provide haproxy haproxy || give_up 'there is no HAProxy (apt-get install haproxy)'
    start_haproxy
else
    write_nginx_conf
    start_nginx
fi
replica "$A"
replica "$B"
if [ "${1-}" = haproxy ]; then
    check_haproxy
    finish
fi
URL=$ORIGIN
check_logins
check_drain
check_rolling_restart
check_kill
URL=$ORIGIN
check_sent_once
URL=$ORIGIN
check_issuer_gone
URL=$ORIGIN
check_rotation
check_stuck
check_log_reader
check_issuer_limit
check_full_disk 500
finish
