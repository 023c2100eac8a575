#!/bin/sh
# Makes the secrets of the demo, once: `overlays/demo/secrets.sh`, with kubectl and the cluster that it leads to. They are random,
# as those of the compose file, and from the same script.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
namespace=notification-demo
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
for service in postgres rabbitmq migrate api dispatcher reporter; do
    mkdir -p "$made/given/$service"
done
mkdir "$made/store"
sh "$here/../../../secrets.sh" "$made/store" "$made/given"
printf 'smtp://mailpit:1025\n' >"$made/given/reporter/SMTP_URL"
kubectl apply -f "$here/namespace.yaml"
there=
missing=
for service in postgres rabbitmq migrate api dispatcher reporter; do
    if kubectl -n $namespace get secret "notification-$service" >/dev/null 2>&1; then there="$there $service"; else missing="$missing $service"; fi
done
if [ "$there" ] && [ "$missing" ]; then
    echo "There are secrets for$there, but none for$missing: passwords would not fit. Delete those that are there, and run this again." >&2
    exit 1
fi
for service in $missing; do
    kubectl -n $namespace create secret generic "notification-$service" --from-file="$made/given/$service"
done
echo "The first key of the API: kubectl -n $namespace get secret notification-api -o 'go-template={{index .data \"api-key\" | base64decode}}'"
