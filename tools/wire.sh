#!/bin/sh
# Checks the wire contract: style, changes that would break released nodes, and committed generated code.
# Needs `buf` from npm, which it installs into .tools; exits 3, naming it, where there is no npm.
# A clone too shallow to know of a release is compared with none; with STRICT=1 it is deepened, or this fails.
set -eu
cd "$(dirname "$0")/.."

tools/buf.sh >&2
buf=.tools/node_modules/.bin/buf
"$buf" lint

# What has been released is kept: compared with the last release. Before the first one nothing is promised.
last_release() { git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null || true; }
is_strict() { [ "${STRICT:-0}" != 0 ]; }
is_shallow() { [ "$(git rev-parse --is-shallow-repository)" = true ]; }

release=$(last_release)
if [ -z "$release" ] && is_shallow && is_strict; then
    git fetch --quiet --unshallow --tags </dev/null >&2 || true
    release=$(last_release)
fi
if [ -n "$release" ]; then
    before=$(mktemp -d .tools/before.XXXXXX)
    trap 'rm -rf "$before"' EXIT
    git archive "$release" proto buf.yaml | tar -x -C "$before"
    "$buf" breaking --against "$before"
elif is_shallow; then
    echo "proto/ was not compared with a release: this clone is shallow and has none (git fetch --unshallow --tags)" >&2
    if is_strict; then exit 1; fi
else
    echo "proto/ was not compared with a release: there is none yet" >&2
fi

.venv/bin/python tools/generate_wire.py --check
