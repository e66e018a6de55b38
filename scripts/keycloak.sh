#!/usr/bin/env bash
# A real Keycloak with the realm of examples/keycloak, in the foreground until Ctrl-C or SIGTERM.
#
#   scripts/keycloak.sh [--port 8080] [--resource http://localhost:9000/mcp] [--features LIST]
#
#   --port      where it listens, on this machine only; the issuer is http://localhost:PORT/realms/mcp-realm
#   --resource  the URL of the MCP server that tokens are for, to the letter
#   --features  features of Keycloak, such as resource-indicators,cimd
#
# When it is ready it says so in one line, with the word `listening` and the issuer. The administrator is admin, with the
# password admin; users and clients are in examples/keycloak/README.md.
#
# Keycloak is taken from KEYCLOAK_HOME, or else fetched by Maven, once, into the target folder. What is there is only
# read: it runs from a copy with its own settings and data, in a scratch folder that is gone when it ends. So every start
# begins anew, with new keys. Needs bash, curl and Java 17 or newer; 700 MB of memory, and half a minute to start.
set -u

# shellcheck source-path=SCRIPTDIR source=toolchain.sh
. "$(dirname "${BASH_SOURCE[0]}")/toolchain.sh"

VERSION=26.7.4
REALM_FILE=$ROOT/examples/keycloak/mcp-realm-realm.json
CIMD_FILE=$ROOT/examples/keycloak/cimd-policy.json
# What the realm file says, until --resource says otherwise.
DEFAULT_RESOURCE=http://localhost:9000/mcp

PORT=8080
RESOURCE=$DEFAULT_RESOURCE
FEATURES=
SCRATCH=
KEYCLOAK=

usage() {
    sed -n '2,16s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

die() {
    echo "$*" >&2
    exit 1
}

# wrong MESSAGE: the command line makes no sense.
wrong() {
    echo "$1" >&2
    usage >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        usage
        exit 0
        ;;
    --port | --resource | --features)
        [ $# -ge 2 ] || wrong "$1 needs a value"
        case $1 in
        --port) PORT=$2 ;;
        --resource) RESOURCE=$2 ;;
        --features) FEATURES=$2 ;;
        esac
        shift 2
        ;;
    *) wrong "unknown argument $1" ;;
    esac
done

# check_arguments: these words go into a file of JSON and into URLs.
check_arguments() {
    local port='^[1-9][0-9]{0,4}$' url='^https?://[][A-Za-z0-9._~:/%-]*[^/]$' features='^[a-z0-9:,-]*$'
    if ! [[ $PORT =~ $port ]] || [ "$PORT" -gt 65535 ]; then
        wrong "--port is a number from 1 to 65535, not '$PORT'"
    fi
    [[ $RESOURCE =~ $url ]] || wrong "--resource is http(s)://host[:port][/path] without a slash at the end, not '$RESOURCE'"
    [[ $FEATURES =~ $features ]] || wrong "--features is a list such as resource-indicators,cimd, not '$FEATURES'"
}

# Runs on every exit, and keeps the status. It ends its own child, by its id, and waits until it is gone.
on_exit() {
    local status=$?
    trap - EXIT
    trap '' INT TERM
    [ -z "$KEYCLOAK" ] || end_keycloak
    [ -z "$SCRATCH" ] || rm -rf "$SCRATCH"
    exit "$status"
}

end_keycloak() {
    local left=160
    kill -TERM "$KEYCLOAK" 2>/dev/null
    while [ "$left" -gt 0 ] && kill -0 "$KEYCLOAK" 2>/dev/null; do
        left=$((left - 1))
        sleep 0.05
    done
    kill -KILL "$KEYCLOAK" 2>/dev/null
    wait "$KEYCLOAK" 2>/dev/null
}

# ---- the distribution -------------------------------------------------------------------------------------------

# Sets DISTRIBUTION to a Keycloak that is unpacked.
find_keycloak() {
    DISTRIBUTION=$TARGET/keycloak/keycloak-$VERSION
    if [ -n "${KEYCLOAK_HOME-}" ]; then
        DISTRIBUTION=$KEYCLOAK_HOME
        [ -f "$DISTRIBUTION/bin/kc.sh" ] || die "KEYCLOAK_HOME is $KEYCLOAK_HOME, where there is no bin/kc.sh."
        check_version
    elif ! [ -f "$DISTRIBUTION/bin/kc.sh" ]; then
        here mvn || nowhere
        fetch_keycloak
    fi
}

check_version() {
    local version
    version=$(version_in "$(cat "$DISTRIBUTION/version.txt" 2>/dev/null)")
    ! is_older "$version" "${VERSION%.*}" ||
        die "this needs Keycloak $VERSION or newer, KEYCLOAK_HOME has ${version:-one without a version}."
}

nowhere() {
    cat >&2 <<END
There is no Keycloak here. Any of these helps:
  install Maven, which fetches it:    $(install_line maven)
  unpack it yourself, from https://www.keycloak.org/downloads:
                                      KEYCLOAK_HOME=/path/to/keycloak-$VERSION scripts/keycloak.sh
  run it as a container instead, from the root of this project (the host's network, because only this machine may
  register clients):
    docker run --rm --network host -e KC_BOOTSTRAP_ADMIN_USERNAME=admin -e KC_BOOTSTRAP_ADMIN_PASSWORD=admin \\
      -v "\$PWD/examples/keycloak/mcp-realm-realm.json:/opt/keycloak/data/import/mcp-realm-realm.json:ro" \\
      quay.io/keycloak/keycloak:$VERSION start-dev --import-realm --http-host 127.0.0.1 --hostname http://localhost:8080
END
    exit 1
}

# Unpacked beside, and put into place when it is whole.
fetch_keycloak() {
    local new=$TARGET/keycloak/new.$$
    echo "# fetching Keycloak $VERSION by Maven, once, into $TARGET/keycloak (180 MB)"
    mkdir -p "$new"
    # It leaves things behind in the folder that it runs in.
    (cd "$new" && exec mvn --batch-mode --quiet -Dstyle.color=never \
        org.apache.maven.plugins:maven-dependency-plugin:3.8.1:unpack \
        "-Dartifact=org.keycloak:keycloak-quarkus-dist:$VERSION:zip" "-DoutputDirectory=$new" </dev/null)
    # Somebody may have been faster.
    [ -e "$DISTRIBUTION" ] || mv "$new/keycloak-$VERSION" "$DISTRIBUTION"
    rm -rf "$new"
    [ -f "$DISTRIBUTION/bin/kc.sh" ] || die "Maven could not fetch Keycloak $VERSION."
}

need_java() {
    local java=java package=openjdk version
    ! here apt-get || package=default-jre-headless
    [ -z "${JAVA_HOME-}" ] || java=$JAVA_HOME/bin/java
    here "$java" || die "Keycloak needs Java 17 or newer, and there is none; install it: $(install_line "$package")"
    version=$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
    [ "${version:-0}" -ge 17 ] || die "Keycloak needs Java 17 or newer, you have ${version:-one without a version}."
}

# ---- a copy of it, with data of its own -------------------------------------------------------------------------

# Neither settings nor providers nor data of the original come along: they may lead to somebody's database.
copy_keycloak() {
    local home=$1
    mkdir -p "$home/conf" "$home/providers" "$home/data/import" "$home/tmp"
    cp -R "$DISTRIBUTION/bin" "$DISTRIBUTION/lib" "$home/" || die "no copy of $DISTRIBUTION"
    chmod -R u+w "$home"
    write_realm >"$home/data/import/mcp-realm-realm.json" || die "no realm could be written"
}

# The realm as it is in the examples, for this resource. Keycloak reads no policy on features that are off, so the one
# on metadata documents is added where it can be.
write_realm() {
    local realm policy
    realm=$(cat "$REALM_FILE") || return
    case ,$FEATURES in
    *,cimd*)
        policy=$(cat "$CIMD_FILE") || return
        realm=$("$JQ" -s '.[0].clientProfiles.profiles += .[1].profiles | .[0].clientPolicies.policies += .[1].policies
            | .[0]' <<<"$realm $policy") || return
        ;;
    esac
    printf '%s\n' "${realm//"$DEFAULT_RESOURCE"/$RESOURCE}"
}

# ---- running it -------------------------------------------------------------------------------------------------

answers() {
    [ "$(curl -q -s --noproxy '*' --max-time 5 -o /dev/null -w '%{http_code}' "$1")" = 200 ]
}

is_taken() {
    (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null
}

run_keycloak() {
    local home=$1 name
    # Settings in the environment would count as well.
    for name in ${!KC_@}; do
        unset "$name"
    done
    export KC_BOOTSTRAP_ADMIN_USERNAME=admin KC_BOOTSTRAP_ADMIN_PASSWORD=admin
    cd "$home" || exit 1
    exec "$home/bin/kc.sh" "-Djava.io.tmpdir=$home/tmp" start-dev --import-realm --http-host 127.0.0.1 --http-port "$PORT" \
        --hostname "http://localhost:$PORT" --log-level warn ${FEATURES:+"--features=$FEATURES"} </dev/null
}

# At most three minutes: the first start compiles.
wait_until_ready() {
    local left=360
    until answers "$1"; do
        left=$((left - 1))
        kill -0 "$KEYCLOAK" 2>/dev/null || die "Keycloak ended before it was ready; what it said is above."
        [ "$left" -gt 0 ] || die "Keycloak is not ready after three minutes."
        sleep 0.5
    done
}

check_arguments
need curl
need_java
case ,$FEATURES in *,cimd*) find_jq ;; esac
find_keycloak
! is_taken || die "port $PORT is taken; choose another one with --port."
trap on_exit EXIT
# A server that is told to stop, and stops, has done its work.
trap 'exit 0' INT TERM
SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/keycloak.XXXXXX") || exit 1
copy_keycloak "$SCRATCH/home"
run_keycloak "$SCRATCH/home" &
KEYCLOAK=$!
ISSUER=http://localhost:$PORT/realms/mcp-realm
wait_until_ready "$ISSUER/.well-known/openid-configuration"
echo "keycloak is listening on http://127.0.0.1:$PORT, the issuer is $ISSUER"
wait "$KEYCLOAK"
KEYCLOAK=
die "Keycloak has ended."
