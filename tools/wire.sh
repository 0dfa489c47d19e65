#!/bin/sh
# Checks the wire contract: style, changes that would break deployed nodes, and committed generated code.
# Needs `buf` from npm, which it installs into .tools; exits 3, naming it, where there is no npm.
set -eu
cd "$(dirname "$0")/.."

tools/buf.sh >&2
buf=.tools/node_modules/.bin/buf
"$buf" lint

# Compared with the last commit if proto/ was edited since, else with the one before it. The first commit has none.
base=HEAD
if git diff --quiet HEAD -- proto; then base='HEAD~1'; fi
if git rev-parse --quiet --verify "$base:proto" >/dev/null; then
    before=$(mktemp -d .tools/before.XXXXXX)
    trap 'rm -rf "$before"' EXIT
    git archive "$base" proto buf.yaml | tar -x -C "$before"
    "$buf" breaking --against "$before"
else
    echo "no earlier proto/ to compare with" >&2
fi

.venv/bin/python tools/generate_wire.py --check
