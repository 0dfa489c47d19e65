#!/bin/sh
# Builds .venv for running (`run`) or for developing (`dev`), unless it is already what is asked for.
# Usage: environment.sh run|dev [PYTHON]. Prints to standard error only; exits 3 if Python is missing.
#
# The stamp is the digest of pyproject.toml, constraints.txt and this folder's place, so an environment made for
# other versions, or moved, is made again from nothing. One for developing also serves for running.
set -eu
exec 1>&2
cd "$(dirname "$0")/.."

kind=$1
digest=$( { pwd; cat pyproject.toml constraints.txt; } | sha256sum | cut -d ' ' -f 1)
is_built() { [ "$(cat ".venv/stamp-$1" 2>/dev/null)" = "$digest" ] && .venv/bin/python -c '' 2>/dev/null; }

if is_built dev || { [ "$kind" = run ] && is_built run; }; then
    exit 0
fi

if ! is_built run; then
    python=$(tools/find_python.sh "${2:-python3}")
    echo "building .venv with $("$python" -V); this takes a moment, once"
    rm -rf .venv
    "$python" -m venv .venv
fi

extras=node,gateway,postgres,tables
if [ "$kind" = dev ]; then extras=$extras,research,dev; fi
pip() { .venv/bin/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt "$@"; }
# Wheels only: no compiler is needed. The project itself is built with the pinned setuptools.
pip --only-binary :all: setuptools
pip --only-binary :all: --no-build-isolation --editable ".[$extras]"
echo "$digest" > ".venv/stamp-$kind"
