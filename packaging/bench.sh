#!/bin/sh
# Run every benchmark in turn (all of them take hours); the figures land in benchmarks/results/.
# usage: bench.sh [NAME...]    for example: bench.sh start lateness
set -eu
cd "$(dirname "$0")/.."
if [ $# -eq 0 ]; then
    # shellcheck disable=SC2046  # names of modules hold no spaces
    set -- $(grep -l '__main__' benchmarks/*.py | xargs -n 1 basename | sed 's/\.py$//')
fi
for name; do
    echo "== benchmarks.$name"
    .venv/bin/python -m "benchmarks.$name"
done
