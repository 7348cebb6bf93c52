#!/bin/sh
# Open the app; on a machine without a display, run the rehearsal and say where its results are.
set -eu
app=$(dirname "$0")/../.venv/bin/aigc-desktop
if [ "$(uname -s)" != Linux ] || [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    exec "$app"
fi
echo "No display here, so the rehearsal runs instead: the main job on the bundled samples, without a window."
"$app" rehearse
