# shellcheck shell=bash
# The real Prometheus reads the figures of examples/rmcp-server, as deploy/prometheus.yml and deploy/alerts.yml tell it.
# Sourced by test_deploy.sh, never run. All of it on loopback, in folders of its own.
# shellcheck disable=SC2317 # functions that `check` and `eventually` call are called all right
# shellcheck disable=SC2034,SC2154 # what it shares with test_deploy.sh

# Prometheus with its promtool: where Debian has put it, or its package, fetched and unpacked. Installed, it would run as a
# service from then on.
provide_prometheus() {
    local folder=$TARGET/prometheus sudo=
    PATH=$PATH:$folder/usr/bin
    here prometheus && here promtool && return
    [ -n "${CI-}" ] && here apt-get || return 1
    [ "$(id -u)" -eq 0 ] || sudo='sudo -n'
    echo "# fetching prometheus"
    mkdir -p "$folder"
    {
        $sudo apt-get update -qq
        (cd "$folder" && apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb .)
    } >"$SCRATCH/apt.log" 2>&1 || tail -n 3 "$SCRATCH/apt.log"
    rm -f "$folder"/prometheus_*.deb
    hash -r
    here prometheus && here promtool
}

# The files of deploy/ with the port of this run, and without their patience.
start_prometheus() {
    local folder=$SCRATCH/prometheus log=$SCRATCH/prometheus.log
    mkdir "$folder"
    cp "$ROOT/deploy/alerts.yml" "$folder/"
    sed -e "s,\"127.0.0.1:9100\"\, \"127.0.0.1:9102\",\"${METRICS#http://}\"," -e 's,_interval: 15s,_interval: 1s,' \
        "$ROOT/deploy/prometheus.yml" >"$folder/prometheus.yml"
    PROMETHEUS=http://127.0.0.1:$(free_port)
    prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/data" \
        --web.listen-address="${PROMETHEUS#http://}" --log.level=warn >"$log" 2>&1 &
    CHILDREN="$CHILDREN $!"
    eventually ready || die "Prometheus did not start: $(tail -n 3 "$log")"
}

ready() {
    curl -q -s -f --noproxy '*' --max-time 5 -o /dev/null "$PROMETHEUS/-/ready"
}

# api PATH FILTER [curl argument..]: what jq makes of an answer of Prometheus.
api() {
    local path=$1 filter=$2
    shift 2
    curl -q -s --noproxy '*' --max-time 5 "$PROMETHEUS/api/v1/$path" "$@" | "$JQ" -r "$filter"
}

# value QUERY: the value of the one series that it names; nothing where there is none, or more than one.
value() {
    api query '.data.result | select(length == 1) | .[0].value[1]' --get --data-urlencode "query=$1"
}

# says QUERY VALUE
says() {
    is "$(value "$1")" "$2"
}

# comes CLAIM QUERY VALUE: Prometheus looks once a second.
comes() {
    eventually says "$2" "$3" >/dev/null
    check "prometheus: $1" says "$2" "$3"
}

# state ALERT: inactive, pending or firing.
state() {
    api rules ".data.groups[].rules[] | select(.name == \"$1\").state"
}

# alerts CLAIM ALERT: it waits before it wakes somebody, which is not waited for here.
alerts() {
    eventually is_raised "$2"
    check "prometheus: $1" is_raised "$2"
}

is_raised() {
    case $(state "$1") in pending | firing) ;; *) return 1 ;; esac
}

# What the page says, as Prometheus's own text format has it: there, a counter's family is named like its samples. promtool
# reads no other.
as_plain_text() {
    curl -q -s --noproxy '*' --max-time 5 "$METRICS/metrics" |
        sed -E -e '/^# (UNIT|EOF)/d' -e 's/^# (HELP|TYPE) (mcp_requests|mcp_refusals) /# \1 \2_total /'
}

check_lint() {
    as_plain_text >"$SCRATCH/plain"
    grep -q '^# TYPE mcp_requests_total counter' "$SCRATCH/plain" && says_nothing promtool check metrics <"$SCRATCH/plain"
}

check_prometheus() {
    local number
    check "promtool takes deploy/prometheus.yml and deploy/alerts.yml" promtool check config "$ROOT/deploy/prometheus.yml"
    make_keys "$KEYS"
    cp "$KEYS/public.pem" "$SCRATCH/key.pem"
    ISSUER=http://127.0.0.1:1
    MCP_METRICS_BIND=0 start rmcp-server --public-key "$SCRATCH/key.pem" --issuer "$ISSUER"
    METRICS=$(sed -n 's,.*metrics are at \(http://127\.0\.0\.1:[0-9]*\)/metrics$,\1,p' "$LOG")
    [ -n "$METRICS" ] || die "rmcp-server does not say where its metrics are: $(cat "$LOG")"
    RESOURCE=http://localhost:${URL##*:}/mcp
    TOKEN=$(token --username alice --scopes 'mcp:read mcp:tools') || exit 1
    start_prometheus
    comes 'the target is up' 'up{job="mcp"}' 1
    comes 'a reason that nobody was refused for is there, as 0' 'mcp_refusals_total{reason="invalid_token"}' 0
    for number in 1 2 3 4 5 6 7; do
        rpc tools/call '{"name":"whoami"}'
    done
    bearer '' rpc tools/list
    for number in 1 2 3; do
        bearer "$(token --username alice --break expired)" rpc tools/list
    done
    comes 'seven calls, by method and status' 'mcp_requests_total{method="tools/call",status="200"}' 7
    comes 'three expired tokens, by reason' 'mcp_refusals_total{reason="invalid_token"}' 3
    comes 'one call without a token, by reason' 'mcp_refusals_total{reason="no_credentials"}' 1
    comes 'what was refused before it was read has no method' 'mcp_requests_total{method="none",status="401"}' 4
    comes 'every time is in the histogram' 'sum(mcp_request_duration_seconds_count)' 11
    comes 'which yields a quantile' 'histogram_quantile(0.9, sum by (le) (mcp_request_duration_seconds_bucket)) > bool 0' 1
    comes 'the keys have an age of less than a minute' 'mcp_keys_age_seconds < bool 60' 1
    check "prometheus: it knows a counter from a gauge" is \
        "$(api metadata '.data | "\(.mcp_requests[0].type) \(.mcp_keys_age_seconds[0].type)"')" 'counter gauge'
    check "promtool check metrics has nothing to say" check_lint
    rm "$SCRATCH/key.pem"
    comes 'a key that is taken away has no age' 'absent(mcp_keys_age_seconds)' 1
    alerts 'and is an alert' McpKeysAreGone
    # A rate is seen by two looks at a counter that rises between them.
    eventually refused_once_more
    alerts 'that nobody is let in is an alert' McpNobodyIsLetIn
    stop "$PID"
    comes 'the server gone: the target is down' 'up{job="mcp"}' 0
    alerts 'and that is an alert' McpReplicaDown
}

refused_once_more() {
    rpc ping
    is_raised McpNobodyIsLetIn
}
