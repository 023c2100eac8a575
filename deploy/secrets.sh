#!/bin/sh
# Makes the passwords of the bundled PostgreSQL and RabbitMQ at the first start, in the directory $1. They are random
# and stay there; later runs change none of them.
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
