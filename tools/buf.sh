#!/bin/sh
# Installs `buf`, pinned, into .tools inside this folder, unless it is there. Exits 3 where there is no npm.
set -eu
cd "$(dirname "$0")/.."

version=1.75.0
buf=.tools/node_modules/.bin/buf
if [ "$("$buf" --version 2>/dev/null)" = "$version" ]; then exit 0; fi
if ! command -v npm >/dev/null; then
    echo "missing: npm, to install buf $version into .tools" >&2
    echo "to get it on Debian or Ubuntu:  apt-get install nodejs npm" >&2
    exit 3
fi
echo "installing buf $version into .tools"
npm install --silent --no-save --no-package-lock --prefix .tools "@bufbuild/buf@$version" </dev/null
"$buf" --version
