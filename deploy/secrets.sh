#!/bin/sh
# Makes the passwords of the bundled PostgreSQL and RabbitMQ, and the first key of the API, at the first start, in the
# directory $1. They are random and stay there; later runs change none of them.
set -eu
cd "$1"

password() {
    [ -s "$1" ] || {
        head -c 24 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n' >"$1.new"
        mv "$1.new" "$1"
    }
    cat "$1"
}

postgres=$(password postgres-password)
rabbitmq=$(password rabbitmq-password)
printf 'postgresql://notify:%s@postgres:5432/notify' "$postgres" >DATABASE_URL
printf 'amqp://notify:%s@rabbitmq:5672/%%2F' "$rabbitmq" >BROKER_URL
printf 'default_user = notify\ndefault_pass = %s\n' "$rabbitmq" >rabbitmq.conf

# Not in capitals: it becomes no variable of any process. `keys adopt` makes it usable.
[ -s api-key ] || {
    umask 077
    id=$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')
    printf 'nsk_%s_%s\n' "$id" "$(head -c 33 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n')" >api-key.new
    mv api-key.new api-key
}
