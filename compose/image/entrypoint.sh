#!/bin/bash
# Entry point of hypertide's database image.
#
# Obeys the contract of docker-library's `postgres` image (https://hub.docker.com/_/postgres):
#   POSTGRES_PASSWORD, POSTGRES_USER, POSTGRES_DB, POSTGRES_INITDB_ARGS, POSTGRES_INITDB_WALDIR, POSTGRES_HOST_AUTH_METHOD,
#   each also as NAME_FILE; PGDATA; /docker-entrypoint-initdb.d/*.{sh,sql,sql.gz,sql.xz,sql.zst}; arguments that begin with
#   `-` go to `postgres`; any command but `postgres` is run as it is; started as root, the server steps down to `postgres`.
#
# What it does differently, and why:
#   * Initialisation is all or nothing. A container killed in the middle of it starts over, where docker-library's would
#     serve half a cluster. A data directory that reads as finished is never deleted. See `initialise`.
#   * Whatever the environment: UTF-8, the builtin C.UTF-8 locale (sorts by code point, the same on every libc, so a
#     volume can move between Debian and Alpine without a corrupt index), data checksums, SCRAM for every TCP connection,
#     replication included. POSTGRES_INITDB_ARGS come later and win.
#   * No temporary server when there is nothing to run on it, and one sync at the end instead of many.
#   * A data directory that this image would serve wrongly is refused: another major version, or TimescaleDB not preloaded
#     (hypertables then read as empty).
#   * The server does not inherit the password, and files are not searched for a foreign owner at each start.
set -euo pipefail
shopt -s nullglob

readonly INIT_SCRIPTS=/docker-entrypoint-initdb.d

say() { printf 'docker-entrypoint: %s\n' "$*" >&2; }
refuse() {
    say "error: $*"
    exit 1
}

# from_file NAME [DEFAULT]: exports NAME, taken from the file NAME_FILE names when that is set.
from_file() {
    local name=$1 file_name="$1_FILE" value=${2:-}
    if [ -n "${!name:-}" ] && [ -n "${!file_name:-}" ]; then
        refuse "both $name and $file_name are set; set one of them"
    fi
    if [ -n "${!name:-}" ]; then
        value=${!name}
    elif [ -n "${!file_name:-}" ]; then
        if [ ! -r "${!file_name}" ]; then
            refuse "$file_name names ${!file_name}, which cannot be read"
        fi
        value=$(<"${!file_name}")
    fi
    export "$name"="$value"
    unset "$file_name"
}

read_environment() {
    from_file POSTGRES_PASSWORD
    from_file POSTGRES_USER postgres
    from_file POSTGRES_DB "$POSTGRES_USER"
    from_file POSTGRES_INITDB_ARGS
    from_file POSTGRES_INITDB_WALDIR
    from_file POSTGRES_HOST_AUTH_METHOD scram-sha-256
    if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
        refuse "no password for the superuser: set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE" \
            "(or POSTGRES_HOST_AUTH_METHOD=trust, which lets everybody in)"
    fi
    if [ "$POSTGRES_HOST_AUTH_METHOD" = trust ]; then
        say "warning: POSTGRES_HOST_AUTH_METHOD=trust lets everybody who can reach the port in as superuser"
    fi
}

# While it exists, the initialisation of an in-place data directory is unfinished.
marker() { printf '%s/.incomplete' "$PGDATA"; }

is_initialised() { [ -s "$PGDATA/PG_VERSION" ] && [ ! -e "$(marker)" ]; }

# A command that asks `postgres` for information needs no data directory.
wants_information() {
    local argument
    for argument; do
        case $argument in
            -'?' | --help | --describe-config | -V | --version | -C) return 0 ;;
        esac
    done
    return 1
}

# As root: directories exist and belong to postgres.
prepare_directories() {
    local directory
    mkdir -p "$PGDATA"
    for directory in "$PGDATA" ${POSTGRES_INITDB_WALDIR:+"$POSTGRES_INITDB_WALDIR"}; do
        mkdir -p "$directory"
        if [ "$(stat -c %U "$directory")" != postgres ]; then
            chown -R postgres:postgres "$directory"
        fi
    done
}

# Empties a directory without removing it: it may be a mount point.
empty() { find "$1" -mindepth 1 -delete; }

# discard DIRECTORY: throws an unfinished initialisation away, with its WAL when that lies elsewhere.
discard() {
    local wal
    say "an earlier initialisation of $PGDATA was interrupted; starting over"
    for wal in "$1/pg_wal" "$1/.incomplete/pg_wal"; do
        if [ -L "$wal" ] && [ -d "$wal/" ]; then
            empty "$(readlink "$wal")"
        fi
    done
    empty "$1"
}

# initdb looks its user up by id; `docker run --user 1234` has no such user.
lend_a_user_name() {
    local library
    getent passwd "$(id -u)" >/dev/null && return
    for library in /usr/lib/*/libnss_wrapper.so; do
        NSS_WRAPPER_PASSWD=$(mktemp)
        NSS_WRAPPER_GROUP=$(mktemp)
        export LD_PRELOAD=$library NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
        printf 'postgres:x:%s:%s:PostgreSQL:%s:/bin/false\n' "$(id -u)" "$(id -g)" "$PGDATA" >"$NSS_WRAPPER_PASSWD"
        printf 'postgres:x:%s:\n' "$(id -g)" >"$NSS_WRAPPER_GROUP"
    done
}

take_the_user_name_back() {
    if [ -n "${NSS_WRAPPER_PASSWD:-}" ]; then
        rm -f "$NSS_WRAPPER_PASSWD" "$NSS_WRAPPER_GROUP"
        unset LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
    fi
}

# run_initdb DIRECTORY: a cluster there, not synced yet. What initdb tells is for people who run it by hand.
run_initdb() {
    local zone
    local -a arguments=(
        --pgdata="$1" --username="$POSTGRES_USER"
        --encoding=UTF8 --locale-provider=builtin --locale=C.UTF-8 --data-checksums
        --auth-local=trust --no-sync --no-instructions
    )
    if [ -n "$POSTGRES_PASSWORD" ]; then
        arguments+=(--auth-host=scram-sha-256)
    else
        arguments+=(--auth-host=trust)
    fi
    if [ -n "$POSTGRES_INITDB_WALDIR" ]; then
        arguments+=(--waldir="$POSTGRES_INITDB_WALDIR")
    fi
    # initdb tries every zone it knows to name the system's one, for 0.15 s, unless it is told.
    zone=$(readlink /etc/localtime) || zone=
    case $zone in
        /usr/share/zoneinfo/*) local -x TZ=${TZ:-${zone#/usr/share/zoneinfo/}} ;;
    esac
    # Split as a shell would, for values with blanks.
    eval "arguments+=( $POSTGRES_INITDB_ARGS )"
    lend_a_user_name
    if [ -n "$POSTGRES_PASSWORD" ]; then
        initdb "${arguments[@]}" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") >/dev/null
    else
        initdb "${arguments[@]}" >/dev/null
    fi
    take_the_user_name_back
    {
        printf '\n# From the container'\''s environment: every host.\n'
        printf 'host all all all %s\n' "$POSTGRES_HOST_AUTH_METHOD"
        printf 'host replication all all scram-sha-256\n'
    } >>"$1/pg_hba.conf"
}

# Sends SQL to the temporary server; init scripts written for docker-library's image may call it too.
docker_process_sql() {
    local -a database=()
    if [ -n "${POSTGRES_DB:-}" ]; then
        database=(--dbname "$POSTGRES_DB")
    fi
    PGHOST='' PGHOSTADDR='' PGPASSWORD="${PGPASSWORD:-$POSTGRES_PASSWORD}" \
        psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --no-password --no-psqlrc "${database[@]}" "$@"
}

run_init_scripts() {
    local script
    for script in "$INIT_SCRIPTS"/*; do
        say "running $script"
        case $script in
            *.sh)
                if [ -x "$script" ]; then
                    "$script"
                else
                    # Written for docker-library's image, which is less strict.
                    set +u
                    shopt -u nullglob
                    # shellcheck source=/dev/null
                    . "$script"
                    shopt -s nullglob
                    set -u
                fi
                ;;
            *.sql) docker_process_sql -f "$script" ;;
            *.sql.gz) gunzip -c "$script" | docker_process_sql ;;
            *.sql.xz) xzcat "$script" | docker_process_sql ;;
            *.sql.zst) zstd -dc "$script" | docker_process_sql ;;
            *) say "ignoring $script: not .sh, .sql, .sql.gz, .sql.xz or .sql.zst" ;;
        esac
    done
}

# fill POSTGRES ARGUMENTS..: what needs a running server, on one that listens on its socket only.
fill() {
    local options
    # Nothing is worth a sync before the one at the end: an interrupted initialisation is thrown away.
    printf -v options '%q ' "${@:2}" -c listen_addresses= -c fsync=off -p "${PGPORT:-5432}"
    NOTIFY_SOCKET='' pg_ctl --wait --silent --options="$options" start
    if [ "$POSTGRES_DB" != postgres ]; then
        docker_process_sql --dbname postgres --quiet --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db"'
    fi
    run_init_scripts
    pg_ctl --wait --silent --mode=fast stop
}

# initialise POSTGRES ARGUMENTS..
#
# The cluster is made in `$PGDATA.incomplete`, on the same volume, and renamed when it is finished and synced. Where that
# cannot be (PGDATA is a mount point, or its parent is not ours) it is made in place, under a marker that goes last.
# Either way: what reads as finished is finished, and only what carries the name `incomplete` is ever thrown away.
initialise() {
    local wanted=$PGDATA parent staging in_place=
    local -a scripts=("$INIT_SCRIPTS"/*)
    parent=$(dirname "$PGDATA")
    mkdir -p "$PGDATA"
    if mountpoint -q "$PGDATA" || [ ! -w "$parent" ]; then
        in_place=yes
    fi
    if [ -e "$(marker)" ]; then
        discard "$PGDATA"
    fi
    if [ -n "$(find "$PGDATA" -mindepth 1 -print -quit)" ]; then
        refuse "$PGDATA is not empty, but it holds no database; empty it, or set PGDATA to a directory below it"
    fi

    if [ -n "$in_place" ]; then
        staging=$(marker)
        # Only the owner may; where it has to be, the server says so itself.
        chmod 0700 "$PGDATA" || :
    else
        staging=$PGDATA.incomplete
        if [ -e "$staging" ]; then
            discard "$staging"
        fi
    fi
    run_initdb "$staging"
    if [ -n "$in_place" ]; then
        # Scripts may name files of the data directory by their path, so they get to see it in its place.
        find "$staging" -mindepth 1 -maxdepth 1 -exec mv -t "$PGDATA" {} +
    else
        export PGDATA=$staging
    fi
    if [ "$POSTGRES_DB" != postgres ] || [ ${#scripts[@]} -gt 0 ]; then
        fill "$@"
    fi

    # All of it is on disk before it reads as finished, and that it is finished before the server accepts a write.
    initdb --pgdata="$PGDATA" --sync-only >/dev/null
    if [ -n "$in_place" ]; then
        rmdir "$(marker)"
        sync "$PGDATA"
    else
        mv -T "$staging" "$wanted"
        export PGDATA=$wanted
        sync "$parent"
    fi
    say "initialised $PGDATA"
}

# refuse_what_would_be_served_wrongly POSTGRES ARGUMENTS..
refuse_what_would_be_served_wrongly() {
    local found libraries
    read -r found <"$PGDATA/PG_VERSION"
    if [ "$found" != "$PG_MAJOR" ]; then
        refuse "$PGDATA was made by PostgreSQL $found and this image runs PostgreSQL $PG_MAJOR;" \
            "use an image of PostgreSQL $found, or restore a backup into an empty volume"
    fi
    case ${2:-} in
        --single | --boot | --check | --fork*) return ;;
    esac
    # Should the settings be unreadable, the server says so better.
    libraries=$("$@" -C shared_preload_libraries 2>/dev/null) || return 0
    case $libraries in
        *timescaledb*) ;;
        *)
            refuse "shared_preload_libraries is '$libraries' and must contain timescaledb, or hypertables in $PGDATA read" \
                "as empty; set it in $PGDATA/postgresql.conf or pass -c shared_preload_libraries=timescaledb"
            ;;
    esac
}

main() {
    PGDATA=${PGDATA%/}
    case ${1:-} in
        -*) set -- postgres "$@" ;;
    esac
    if [ "${1:-}" = postgres ] && ! wants_information "$@"; then
        if ! is_initialised; then
            read_environment
        fi
        if [ "$(id -u)" = 0 ]; then
            prepare_directories
            export HOME=/var/lib/postgresql
            exec setpriv --reuid=postgres --regid=postgres --init-groups "${BASH_SOURCE[0]}" "$@"
        fi
        if ! is_initialised; then
            # As process 1 the shell would ignore them; what is under way gets thrown away at the next start.
            trap 'say "stopped while initialising"; exit 143' INT TERM
            initialise "$@"
            trap - INT TERM
        fi
        refuse_what_would_be_served_wrongly "$@"
        unset POSTGRES_PASSWORD
    fi
    exec "$@"
}

main "$@"
