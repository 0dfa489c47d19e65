#!/bin/sh
# Installs the Debian packages that everything together needs, with STRICT=1 also what `make check` does.
# The only script that leaves this folder.
set -eu

packages='python3-venv libsodium23 chromium'
# `make check` fetches buf with npm, which brings hundreds of Debian packages: only for STRICT=1, and where absent.
case "${STRICT:-0}" in 0) ;; *) command -v npm >/dev/null || packages="$packages nodejs npm" ;; esac
# Any PostgreSQL server will do: the tests start one of their own.
command -v postgres >/dev/null || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || packages="$packages postgresql"
missing=''
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
if [ -z "$missing" ]; then
    echo "installed already: $packages" >&2
    exit 0
fi

root=''
if [ "$(id -u)" -ne 0 ]; then root=sudo; fi
export DEBIAN_FRONTEND=noninteractive
$root apt-get update -q </dev/null >&2
# shellcheck disable=SC2086  # several words on purpose
$root apt-get install -q -y --no-install-recommends $missing </dev/null >&2
