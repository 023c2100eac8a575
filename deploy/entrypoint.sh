#!/bin/sh
# Runs a command with the settings that come as files, one per variable, the way orchestrators hand out secrets:
# /run/secrets/DATABASE_URL becomes DATABASE_URL, unless the environment has it.
set -eu
for file in "${SECRETS_DIR:-/run/secrets}"/*; do
    name=${file##*/}
    case $name in *[!A-Z_]*) continue ;; esac
    [ ! -f "$file" ] || [ -n "$(printenv "$name" || true)" ] || export "$name=$(cat "$file")"
done
exec "$@"
