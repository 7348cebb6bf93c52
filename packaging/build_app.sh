#!/bin/sh
# Build the one-folder app into dist/aigc-desktop and note how long it took and how big it is.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build
start=$(date +%s)
nice -n "${NICE:-0}" .venv/bin/pyinstaller --noconfirm --clean --log-level WARN build.spec
end=$(date +%s)
size=$(du -s --block-size=1000 --apparent-size dist/aigc-desktop | cut -f1)
printf '{"build_s": %d, "size_mb": %d}\n' "$((end - start))" "$((size / 1000))" >build/package.json
echo "dist/aigc-desktop: $((size / 1000)) MB, built in $((end - start)) s"
