#!/bin/sh
# Prints the first usable Python: 3.11 or newer, able to build a virtual environment.
# Usage: find_python.sh [PREFERRED]. Exits 3, saying what is missing and how to get it, if there is none.
set -eu

preferred=${1:-python3}
wanted='import sys; sys.exit(sys.version_info < (3, 11))'
without_venv=''

for python in "$preferred" python3 python3.11 python3.12 python3.13 python3.14; do
    "$python" -c "$wanted" >/dev/null 2>&1 || continue
    if "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        echo "$python"
        exit 0
    fi
    without_venv=${without_venv:-$python}
done

{
    if [ -n "$without_venv" ]; then
        version=$("$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        echo "missing: the venv module of Python $version (\`$without_venv\` cannot import venv and ensurepip)"
        echo "to get it on Debian or Ubuntu:  apt-get install python$version-venv   (or: make system)"
    else
        echo "missing: Python 3.11 or newer; \`$preferred\` is $("$preferred" -V 2>/dev/null || echo 'not there')"
        echo "to get it on Debian 12, Ubuntu 24.04 or newer:  apt-get install python3 python3-venv   (or: make system)"
        echo "if it has another name:  make PYTHON=/path/to/python3.11 ..."
    fi
} >&2
exit 3
