#!/bin/sh
# Starts one of the two PostgreSQL servers of deploy/compose.ha.yml. PEER is the other one; the arguments are the command
# that starts a server. One that is new becomes the standby of the other, and one that was primary before the other was
# promoted does not start: two that take writes would be two truths.
set -eu
umask 077
PGPASSWORD=$(cat /run/secrets/postgres-password)
export PGPASSWORD PGCONNECT_TIMEOUT=2

peer_takes_writes() {
    [ "$(psql -h "$PEER" -U notify -d notify -Atqc "select not pg_is_in_recovery()" 2>/dev/null)" = t ]
}

copy_peer() {
    chmod 700 "$PGDATA"
    pg_basebackup -D "$PGDATA" -d "host=$PEER user=notify application_name=standby" -R -X stream -c fast
    # The copy waits for no standby once it is primary: at first it has none.
    echo "synchronous_standby_names = ''" >>"$PGDATA/postgresql.auto.conf"
}

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    [ "${BEGINS:-}" ] || until peer_takes_writes; do sleep 1; done
    if peer_takes_writes; then copy_peer; fi
elif [ ! -e "$PGDATA/standby.signal" ] && peer_takes_writes; then
    echo "$PEER takes writes, and this server was primary before. Without its volume it becomes the standby." >&2
    exit 1
fi
exec "$@"
