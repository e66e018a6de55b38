# shellcheck shell=bash
# Keycloak's own cluster as the issuer: two nodes on one PostgreSQL, behind the nginx of deploy/, with the realm of
# examples/keycloak. Sourced by test_deploy.sh, never run. Needs Java 17, 2 GB of memory and two minutes.
# shellcheck disable=SC2317 # functions that `check` and `eventually` call are called all right
# shellcheck disable=SC2034,SC2154 # what it shares with test_deploy.sh

# Keycloak where scripts/keycloak.sh has put it, and PostgreSQL where Debian has.
find_cluster() {
    DISTRIBUTION=${KEYCLOAK_HOME:-$(printf '%s\n' "$TARGET"/keycloak/keycloak-* | tail -n 1)}
    [ -f "$DISTRIBUTION/bin/kc.sh" ] || give_up 'there is no Keycloak (scripts/keycloak.sh fetches it)'
    provide java default-jre-headless || give_up 'there is no Java 17 (apt-get install default-jre-headless)'
    PATH=$PATH:$(printf '%s\n' /usr/lib/postgresql/*/bin | tail -n 1)
    provide initdb postgresql || give_up 'there is no PostgreSQL (apt-get install postgresql)'
}

# patiently COMMAND..: for what takes Java a minute.
patiently() {
    local left=18
    until eventually "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
    done
}

# PostgreSQL refuses to run as root; then it gets the user of its package.
as_postgres() {
    if [ "$(id -u)" -eq 0 ]; then
        (cd / && exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@")
    else
        "$@"
    fi
}

start_postgres() {
    DATABASE=$(mktemp -d "${TMPDIR:-/tmp}/mcp-postgres.XXXXXX") || exit 1
    trap remove_database EXIT
    [ "$(id -u)" -ne 0 ] || chown postgres "$DATABASE"
    DATABASE_PORT=$(free_port)
    : >"$SCRATCH/postgres.log"
    as_postgres "$(command -v initdb)" -D "$DATABASE/data" -A trust -E UTF8 -U keycloak >"$SCRATCH/initdb.log" 2>&1 ||
        die "initdb failed: $(tail -n 3 "$SCRATCH/initdb.log")"
    as_postgres "$(command -v postgres)" -D "$DATABASE/data" -c listen_addresses=127.0.0.1 -p "$DATABASE_PORT" \
        -k "$DATABASE" >"$SCRATCH/postgres.log" 2>&1 &
    CHILDREN="$! $CHILDREN"
    eventually grep -q 'ready to accept connections' "$SCRATCH/postgres.log" ||
        die "PostgreSQL did not start: $(tail -n 3 "$SCRATCH/postgres.log")"
}

# Everything that uses it is ended first, in on_exit.
remove_database() {
    local status=$? child
    for child in $CHILDREN; do
        stop "$child"
    done
    CHILDREN=
    rm -rf "$DATABASE"
    (exit "$status")
    on_exit
}

# One folder a node: the second is a copy of the first, for which Keycloak has been built.
prepare_nodes() {
    local home=$SCRATCH/node1
    mkdir -p "$home/conf" "$home/providers" "$home/data/import" "$home/tmp"
    cp -R "$DISTRIBUTION/bin" "$DISTRIBUTION/lib" "$home/" && chmod -R u+w "$home"
    sed "s,http://localhost:9000/mcp,$SERVER," "$ROOT/examples/keycloak/mcp-realm-realm.json" \
        >"$home/data/import/mcp-realm-realm.json"
    "$home/bin/kc.sh" build --db postgres >"$SCRATCH/build.log" 2>&1 </dev/null ||
        die "kc.sh build failed: $(tail -n 3 "$SCRATCH/build.log")"
    cp -R "$home" "$SCRATCH/node2"
}

# node NUMBER PORT: as docs/production.md has it, on loopback.
node() {
    local home=$SCRATCH/node$1
    (
        cd "$home" || exit 1
        export KC_BOOTSTRAP_ADMIN_USERNAME=admin KC_BOOTSTRAP_ADMIN_PASSWORD=admin JAVA_OPTS_KC_HEAP='-Xms64m -Xmx512m'
        exec "$home/bin/kc.sh" "-Djava.io.tmpdir=$home/tmp" start --optimized --import-realm \
            --db-url "jdbc:postgresql://127.0.0.1:$DATABASE_PORT/postgres" --db-username keycloak --db-password keycloak \
            --http-enabled true --http-host 127.0.0.1 --http-port "$2" --hostname "$ORIGIN" --proxy-headers xforwarded \
            --cache-embedded-network-bind-address 127.0.0.1
    ) >"$SCRATCH/node$1.log" 2>&1 </dev/null &
    eval "NODE$1=$!"
    CHILDREN="$CHILDREN $!"
    patiently node_settled "$!" "$2"
    node_answers "$2" || die "node $1 did not start: $(tail -n 5 "$SCRATCH/node$1.log")"
}

# Whether it answers, or has ended and never will.
node_settled() {
    ended "$1" || node_answers "$2"
}

node_answers() {
    [ "$(curl -q -s --noproxy '*' --max-time 5 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$1/realms/mcp-realm")" = 200 ]
}

# deploy/nginx.conf with two issuers, and what Keycloak reads of a request.
name_both_nodes() {
    local conf=$SCRATCH/nginx/nginx.conf
    cat >"$SCRATCH/nginx/keycloak.conf" <<END
proxy_set_header Host \$http_host;
proxy_set_header Connection "";
proxy_set_header X-Forwarded-Proto https;
proxy_set_header X-Forwarded-Port $PORT;
proxy_set_header X-Forwarded-For \$remote_addr;
proxy_buffer_size 16k;
proxy_buffers 8 16k;
END
    sed -i.before -e "s,^ *server 127.0.0.1:$ISSUER_PORT;,server 127.0.0.1:$NODE1_PORT; server 127.0.0.1:$NODE2_PORT;," \
        -e "s,proxy_pass http://issuer;,& include keycloak.conf;," "$conf"
}

# token_endpoint [curl argument..]: the answer waits for `expect`.
token_endpoint() {
    request /realms/mcp-realm/protocol/openid-connect/token -d client_id=mcp-test-client "$@"
}

published_keys() {
    request /realms/mcp-realm/protocol/openid-connect/certs
    "$JQ" -r '[.keys[].kid] | sort | join(" ")' "$BODY"
}

# logins COUNT: how many of so many whole logins end at the tool.
logins() {
    local number good=0
    for number in $(seq "$1"); do
        login alice mcp_client alice >/dev/null 2>&1 && good=$((good + 1))
    done
    echo "$good"
}

check_keycloak() {
    local refresh keys began
    NODE1_PORT=$(free_port)
    NODE2_PORT=$(free_port)
    start_postgres
    prepare_nodes
    write_nginx_conf
    name_both_nodes
    start_nginx
    node 1 "$NODE1_PORT"
    node 2 "$NODE2_PORT"
    check "the two nodes find each other" patiently grep -q 'ISPN000094.*(2)' "$SCRATCH/node2.log"
    replica "$A"
    replica "$B"
    URL=$ORIGIN
    token_endpoint -d grant_type=password -d username=alice -d password=alice --data-urlencode 'scope=openid mcp:read mcp:tools'
    expect "two nodes: a user gets tokens" status 200 where '.refresh_token | length > 0'
    refresh=$("$JQ" -r .refresh_token "$BODY")
    TOKEN=$("$JQ" -r .access_token "$BODY")
    # alice's, whose name no client gets that did not ask for her profile.
    SUB=$(part "$TOKEN" 2 | "$JQ" -r .sub)
    check "two nodes: ten of ten logins end at the tool" is "$(logins 10)" 10
    keys=$(published_keys)
    printf '%s\n' "$TOKEN" "$TOKEN" "$TOKEN" "$TOKEN" "$TOKEN" "$TOKEN" "$TOKEN" "$TOKEN" >"$SCRATCH/tokens"
    load_begins
    began=$(date +%s)
    kill -KILL "$NODE1"
    wait "$NODE1" 2>/dev/null
    check "one node killed: the first login after it ends at the tool" eventually login alice mcp_client alice
    echo "# it took $(($(date +%s) - began)) s"
    check "one node killed: ten of ten logins end at the tool" is "$(logins 10)" 10
    token_endpoint -d grant_type=refresh_token -d "refresh_token=$refresh"
    expect "one node killed: the session of before is refreshed" status 200 where '.access_token | length > 0'
    bearer "$("$JQ" -r .access_token "$BODY")" rpc ping
    expect "one node killed: step 8 takes the new token" status 200
    check "one node killed: the keys are the same" is "$(published_keys)" "$keys"
    load_ends 'one node killed'
}
