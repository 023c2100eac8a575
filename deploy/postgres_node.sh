#!/bin/sh
# Starts one of the two PostgreSQL servers of deploy/compose.ha.yml. PEER is the other one, and /peer its data where it is
# on the same machine; the arguments are the command that starts a server. One that is new becomes the standby of the
# other, and one that was primary before the other was promoted does not start: two that take writes would be two truths.
set -eu
umask 077
PGPASSWORD=$(cat /run/secrets/postgres-password)
export PGPASSWORD PGCONNECT_TIMEOUT=5

# t or f, once it answers; nothing where it does not in half a minute.
does_peer_take_writes() {
    for _ in $(seq 15); do
        psql -h "$PEER" -U notify -d notify -Atqc "select not pg_is_in_recovery()" 2>/dev/null && return
        sleep 2
    done
}

copy_peer() {
    chmod 700 "$PGDATA"
    pg_basebackup -D "$PGDATA" -d "host=$PEER user=notify application_name=standby" -R -X stream -c fast
    # The copy waits for no standby once it is primary: at first it has none.
    echo "synchronous_standby_names = ''" >>"$PGDATA/postgresql.auto.conf"
}

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    # BEGINS: it is the first of all, unless the other one has data already.
    if [ -z "${BEGINS:-}" ] || [ -s /peer/PG_VERSION ]; then
        until [ "$(does_peer_take_writes)" = t ]; do sleep 1; done
        copy_peer
    fi
elif [ ! -e "$PGDATA/standby.signal" ] && [ "$(does_peer_take_writes)" = t ]; then
    echo "$PEER takes writes, and this server was primary before. Without its volume it becomes the standby." >&2
    exit 1
fi
exec "$@"
