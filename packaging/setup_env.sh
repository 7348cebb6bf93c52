#!/bin/sh
# Make the virtual environment and install the project into it, at the pinned versions.
# usage: setup_env.sh VENV EXTRAS    (EXTRAS: "", dev, package, or several with commas)
set -eu
venv=$1
extras=$2
cd "$(dirname "$0")/.."

find_python() {
    for name in ${PYTHON:-} python3.11 python3 python3.12 python3.13 python3.14 python; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "Python 3.11 or newer is needed. Install it, or name it: make PYTHON=/path/to/python3" >&2
    exit 1
}

if [ ! -x "$venv/bin/python" ]; then
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
            apt-get update -qq
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "python$version-venv"
        else
            echo "This Python has no venv module. Install it with: sudo apt-get install python$version-venv" >&2
            exit 1
        fi
    fi
    echo "Making the environment in $venv with $("$python" --version)"
    "$python" -m venv "$venv"
fi

mkdir -p "$venv/.stamps"
pins=$venv/.stamps/pins.txt
if "$venv/bin/python" -c 'import torch' 2>/dev/null; then
    # Keep the torch that is there: it may be a build for this machine's graphics card.
    grep -v '^torch==' requirements.lock >"$pins"
else
    cp requirements.lock "$pins"
    echo "Installing Python packages; torch is several hundred megabytes, so the first time takes minutes."
fi
# "compat" adds the folder to the path; the default import hook costs every start 45 ms. setuptools announces that
# it will go one day; then the default does.
PYTHONWARNINGS=ignore "$venv/bin/python" -m pip install --quiet --config-settings editable_mode=compat --disable-pip-version-check \
    --constraint "$pins" --editable ".${extras:+[$extras]}"
