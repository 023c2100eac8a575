#!/bin/sh
# Makes the passwords of the bundled PostgreSQL, RabbitMQ and Grafana, of each service in the first, the first key of the
# API, and that of suppressed phones' digests, at the first start, in the directory $1. They are random and stay there; later runs change none of them. Every run
# then gives each service what it needs of them and no more, in the directory $2/SERVICE, as files of mode 0400 that are
# its user's.
set -eu
umask 077
store=$1
given=$2
product=10001:10001 # as in the Dockerfile
image=999:999       # postgres, and rabbitmq, in their images
grafana=472:0       # in its image

# As root with no right but to give files away: what is another's already becomes root's first.
own() { [ "$(id -u)" != 0 ] || chown "$@"; }

# A random file of that name, unless it is there.
make() {
    [ -s "$store/$1" ] || {
        cat >"$store/$1.new"
        mv "$store/$1.new" "$store/$1"
    }
}
random() { head -c "$1" /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n'; }

# give SERVICE USER FILE TEXT
give() {
    own 0:0 "$given/$1"
    chmod 755 "$given/$1"
    printf '%s\n' "$4" >"$given/$1/.new"
    chmod 400 "$given/$1/.new"
    own "$2" "$given/$1/.new"
    mv -f "$given/$1/.new" "$given/$1/$3"
}

own -R 0:0 "$store"
chmod 700 "$store"
random 24 | make postgres-password
random 24 | make rabbitmq-password
random 24 | make erlang-cookie
random 24 | make grafana-password
for service in api dispatcher reporter; do
    random 24 | make "$service-password"
done
random 33 | make suppression-key
id=$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')
printf 'nsk_%s_%s\n' "$id" "$(random 33)" | make api-key
# What once was made here for all services alike.
rm -f "$store/DATABASE_URL" "$store/BROKER_URL" "$store/rabbitmq.conf"

postgres=$(cat "$store/postgres-password")
rabbitmq=$(cat "$store/rabbitmq-password")
key=$(cat "$store/api-key")

give postgres $image postgres-password "$postgres"
give rabbitmq $image rabbitmq.conf "default_user = notify
default_pass = $rabbitmq"
give rabbitmq $image erlang-cookie "$(cat "$store/erlang-cookie")"

# Where there is none, as on Kubernetes, nobody is given its password.
[ ! -d "$given/grafana" ] || give grafana $grafana grafana-password "$(cat "$store/grafana-password")"

# Those in capitals become variables of the process; the key does not, `keys adopt` makes it usable.
# `migrate` is the superuser, and sees to it that the others may log in: `logins` has their names and passwords.
give migrate $product DATABASE_URL "postgresql://notify:$postgres@${POSTGRES_HOSTS:-postgres:5432}/notify"
logins=
for service in api dispatcher reporter; do
    password=$(cat "$store/$service-password")
    give $service $product DATABASE_URL "postgresql://$service:$password@${POSTGRES_HOSTS:-postgres:5432}/notify"
    logins="$logins$service $password
"
done
give migrate $product logins "$logins"
for service in api dispatcher; do
    give $service $product BROKER_URL "amqp://notify:$rabbitmq@${RABBITMQ_HOSTS:-rabbitmq:5672}/%2F"
done
for service in migrate api; do
    give $service $product api-key "$key"
done
give api $product SUPPRESSION_KEYS "1:$(cat "$store/suppression-key")"
