# shellcheck shell=bash
# The same two replicas and issuer behind HAProxy, with deploy/haproxy.cfg. Sourced by test_deploy.sh, never run.
# shellcheck disable=SC2317 # functions that `check` and `eventually` call are called all right
# shellcheck disable=SC2034,SC2154 # what it shares with test_deploy.sh

# deploy/haproxy.cfg with other ports and files, as the user who runs this. Of an answer the kernel holds no more than 16 KiB, so
# that a slow reader is HAProxy's to bear. Nothing else is changed.
start_haproxy() {
    local file=$SCRATCH/haproxy.cfg
    SOCKET=$SCRATCH/haproxy.sock
    cat "$SCRATCH/fullchain.pem" "$SCRATCH/key.pem" >"$SCRATCH/mcp.pem"
    sed -e "s/^global\$/&\n    tune.sndbuf.client 16384/" -e '/^ *user /d' -e '/^ *group /d' \
        -e "s,/run/haproxy/admin.sock,$SOCKET,g" -e "s,/etc/ssl/mcp,$SCRATCH," \
        -e "s,bind :443,bind 127.0.0.1:$PORT," -e "s,mcp\.example\.com,localhost,g" -e "s,127.0.0.1:9000,127.0.0.1:$A," \
        -e "s,127.0.0.1:9002,127.0.0.1:$B," -e "s,127.0.0.1:9001,127.0.0.1:$ISSUER_PORT," \
        "$ROOT/deploy/haproxy.cfg" >"$file"
    check "haproxy takes deploy/haproxy.cfg" haproxy -c -q -f "$file"
    haproxy -db -f "$file" >"$SCRATCH/haproxy.log" 2>"$SCRATCH/haproxy.err" &
    CHILDREN="$CHILDREN $!"
    eventually test -S "$SOCKET" || die "HAProxy did not start: $(cat "$SCRATCH/haproxy.err")"
}

# runtime COMMAND: what an operator tells HAProxy through its socket.
runtime() {
    python3 -c '
import socket, sys
stream = socket.socket(socket.AF_UNIX)
stream.connect(sys.argv[1])
stream.sendall(sys.argv[2].encode() + b"\n")
while answer := stream.recv(65536):
    sys.stdout.write(answer.decode())
' "$SOCKET" "$1"
}

# stat SERVER COLUMN: of `show stat`, by the names in its first line.
stat_of() {
    runtime 'show stat' | awk -F , -v server="$1" -v column="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == column) wanted = i }
        $1 == "step8" && $2 == server { print $wanted }'
}

both_up() {
    [ "$(stat_of a status) $(stat_of b status)" = 'UP UP' ]
}

is_idle() {
    [ "$(stat_of "$1" scur)" = 0 ]
}

check_haproxy() {
    local asked killed
    eventually both_up || die "HAProxy finds no replicas: $(tail -n 3 "$SCRATCH/haproxy.log")"
    check "haproxy: mcp-client logs in through TLS and calls whoami" login alice mcp_client alice
    URL=$ORIGIN
    get /.well-known/oauth-protected-resource/mcp
    expect "haproxy: the resource's metadata comes from step 8" \
        status 200 json .resource "$SERVER" header Strict-Transport-Security max-age=31536000
    get /.well-known/openid-configuration
    expect "haproxy: everything else comes from the issuer" status 200 json .issuer "$ORIGIN"
    get /health
    expect "haproxy: the health of the processes is not shown to strangers" status 404
    get /mcp -H 'Host: evil.example'
    expect "haproxy: our name in TLS and another in Host -> 421" status 421
    TOKEN=$(head -n 1 "$SCRATCH/tokens")
    bearer "$(head -c 9000 /dev/zero | tr '\0' x)" rpc ping
    expect "haproxy: a token that is too long reaches step 8, which says so" status 401 challenge error invalid_token
    head -c 300000 /dev/zero | tr '\0' x >"$SCRATCH/large"
    send_file "$SCRATCH/large"
    expect "haproxy: a body over 256 KiB reaches step 8, whose 413 arrives" status 413
    check "haproxy: the log is JSON, and names the replica" names_a_replica
    check "haproxy: the log holds no token and no query" log_is_clean

    load_begins
    runtime 'set server step8/a state drain' >/dev/null
    eventually is_idle a
    asked=$(stat_of a stot)
    more 200
    check "haproxy: drained, a replica is asked no more" is "$(stat_of a stot)" "$asked"
    stop "$(process "$A")"
    check "haproxy: then SIGTERM ends it with 0" is "$EXIT" 0
    more 200
    load_ends 'haproxy: drain'
    replica "$A"
    runtime 'set server step8/a state ready' >/dev/null
    eventually both_up || die 'the drained replica is not taken back'

    load_begins
    killed=$(process "$B")
    kill -KILL "$killed"
    wait "$killed" 2>/dev/null
    more 400
    load_ends 'haproxy: a replica killed' 8
    replica "$B"
    check "haproxy: started again, it is taken back by itself" eventually both_up

    stuck idle 1000 'haproxy: idle connections'
    stuck headers 200 'haproxy: slow headers'
    stuck readers 20 'haproxy: slow readers'
    URL=$ORIGIN
    check_issuer_limit
}

# Its log also has lines of its own, such as that a server is up.
names_a_replica() {
    grep '^{' "$SCRATCH/haproxy.log" | "$JQ" -se 'map(select(.path == "/mcp" and .status == 200))
        | length > 0 and all(.replica == "step8/a" or .replica == "step8/b")'
}

log_is_clean() {
    ! grep -F -e "$TOKEN" -e 'code=' -e '?' "$SCRATCH/haproxy.log"
}
