#!/bin/sh
# Takes one replica of step 8 out of nginx, or puts it back, without a request that fails. A restart is then:
#
#   deploy/replica.sh out 9000 && systemctl restart step8@9000 && deploy/replica.sh in 9000
#
# `out` returns when the last request that could go to this replica has been answered; `in` waits until the replica is
# there and has keys. Both fail with a sentence, and leave nginx as it was. Run it as root, beside nginx; Linux only.
# REPLICAS, NGINX_COMMAND and NGINX_PID (a file) say where things are, if they are elsewhere. (nginx itself reads NGINX.)
set -eu

REPLICAS=${REPLICAS:-/etc/nginx/replicas.conf}
NGINX_COMMAND=${NGINX_COMMAND:-nginx}
NGINX_PID=${NGINX_PID:-/run/nginx.pid}

die() {
    echo "replica.sh: $*" >&2
    exit 1
}

# Tries a command ten times a second, for at most so many seconds.
within() {
    left=$(($1 * 10))
    shift
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.1
    done
}

# The workers that nginx has now, old and new, by their number.
workers() {
    master=$(cat "$NGINX_PID")
    for stat in /proc/[0-9]*/stat; do
        read -r pid _ _ parent _ 2>/dev/null <"$stat" || continue
        [ "$parent" != "$master" ] || echo "$pid"
    done
}

gone() {
    for pid; do
        [ ! -d "/proc/$pid" ] || return 1
    done
}

# Writes the list anew and has it read. A list that nginx does not take is put back.
change() {
    cp "$REPLICAS" "$REPLICAS.before"
    sed "$1" "$REPLICAS.before" >"$REPLICAS"
    # shellcheck disable=SC2086 # a command, with its arguments
    $NGINX_COMMAND -t -q || {
        mv "$REPLICAS.before" "$REPLICAS"
        die "nginx does not take the new $REPLICAS; it is as it was"
    }
    rm -f "$REPLICAS.before"
    old=$(workers)
    # shellcheck disable=SC2086
    $NGINX_COMMAND -s reload
    # Longer than worker_shutdown_timeout.
    # shellcheck disable=SC2086 # numbers
    within 70 gone $old || die "old workers of nginx still run; look into its error log"
}

has_keys() {
    curl -q -s --noproxy '*' --max-time 2 "http://127.0.0.1:$port/health" | grep -q '"keys":true'
}

port=${2-}
case $port in
'' | *[!0-9]*) die "usage: replica.sh out|in PORT" ;;
esac
grep -q "^server [^ ]*:$port " "$REPLICAS" || die "$REPLICAS has no line for port $port"
case $1 in
out)
    others=$(grep '^server ' "$REPLICAS" | grep -v ":$port " | grep -vc ' down;' || true)
    [ "$others" -gt 0 ] || die "$port is the only replica that serves"
    change "/:$port /{/ down;/!s/;\$/ down;/;}"
    ;;
in)
    within 30 has_keys || die "the replica at port $port is not healthy, or has no keys yet; it stays out"
    change "/:$port /s/ down;\$/;/"
    ;;
*) die "usage: replica.sh out|in PORT" ;;
esac
