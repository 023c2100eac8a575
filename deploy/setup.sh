#!/bin/sh
# Makes .venv with the pinned packages, or brings it up to date; does nothing when it is.
# PYTHON names the interpreter; otherwise it is the first one on the PATH that is new enough.
set -eu
cd "$(dirname "$0")/.."
requirements=requirements-dev.txt
venv=$PWD/.venv
stamp=$venv/up-to-date

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}
new_enough() { command -v "$1" >/dev/null && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
version() { "$1" -c 'import sys; print(sys.version)'; }

# An environment that was copied or moved, or whose interpreter has gone, is of no use: its scripts name the old place.
usable() {
    new_enough "$venv/bin/python" && grep -qF "$venv" "$venv/pyvenv.cfg" || return 1
    [ -z "${PYTHON:-}" ] || [ "$(version "$venv/bin/python")" = "$(version "$PYTHON")" ]
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        ! new_enough "$candidate" || { echo "$candidate"; return; }
    done
    found=$("${PYTHON:-python3}" --version 2>/dev/null) || found="not there"
    fail "Python 3.11 or newer is needed; ${PYTHON:-python3} is $found." \
        "Where it is installed under another name: make setup PYTHON=/path/to/python3"
}

# Debian and Ubuntu ship Python without the module that puts pip into an environment.
need_ensurepip() {
    ! "$1" -c 'import ensurepip, venv' 2>/dev/null || return 0
    if [ "$(id -u)" = 0 ] && [ "$(command -v "$1")" = /usr/bin/python3 ] && command -v apt-get >/dev/null; then
        echo "Installing Debian's package python3-venv …"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
            python3-venv >/dev/null && return 0
    fi
    fail "$1 cannot make virtual environments: its modules venv and ensurepip are missing." \
        "On Debian and Ubuntu they come with: sudo apt-get install python3-venv"
}

[ -z "${PYTHON:-}" ] || find_python >/dev/null
wanted=$(cat "$requirements" deploy/setup.sh | cksum)
if usable; then
    [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || exit 0
else
    python=$(find_python)
    need_ensurepip "$python"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi
echo "Installing the pinned packages into .venv …"
rm -f "$stamp"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r "$requirements"
echo "$wanted" >"$stamp"
