#!/bin/sh
# See that the libraries Qt takes from the system are there: install them when root, else name them in one line.
# usage: system_libraries.sh VENV
set -eu
[ "$(uname -s)" = Linux ] || exit 0
command -v ldd >/dev/null || exit 0
qt=$("$1/bin/python" -c 'import importlib.util as u; print(u.find_spec("PySide6").submodule_search_locations[0])')

missing() {
    for file in "$qt"/QtWidgets.abi3.so "$qt"/QtSvg.abi3.so "$qt"/QtNetwork.abi3.so \
        "$qt"/Qt/plugins/platforms/libqxcb.so "$qt"/Qt/plugins/platforms/libqoffscreen.so; do
        ldd "$file" | sed -n 's/^[[:space:]]*\([^ ]*\) => not found.*/\1/p'
    done | sort -u | tr '\n' ' '
}

absent=$(missing)
[ -n "$absent" ] || exit 0

if command -v apt-get >/dev/null; then
    glib=libglib2.0-0
    if apt-cache show libglib2.0-0t64 >/dev/null 2>&1; then glib=libglib2.0-0t64; fi
    command="apt-get install -y -q --no-install-recommends libgl1 libegl1 libxkbcommon0 libxkbcommon-x11-0 \
libdbus-1-3 libfontconfig1 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 \
libxcb-render-util0 libxcb-shape0 libxcb-sync1 libxcb-xfixes0 libxcb-xkb1 libx11-xcb1 $glib libgssapi-krb5-2"
elif command -v dnf >/dev/null; then
    command="dnf install -y mesa-libGL mesa-libEGL libxkbcommon libxkbcommon-x11 dbus-libs fontconfig \
xcb-util-cursor xcb-util-wm xcb-util-image xcb-util-keysyms xcb-util-renderutil libX11-xcb glib2 krb5-libs"
elif command -v pacman >/dev/null; then
    command="pacman -S --needed --noconfirm libglvnd libxkbcommon libxkbcommon-x11 dbus fontconfig \
xcb-util-cursor xcb-util-wm xcb-util-image xcb-util-keysyms xcb-util-renderutil libx11 glib2 krb5"
elif command -v zypper >/dev/null; then
    command="zypper --non-interactive install Mesa-libGL1 Mesa-libEGL1 libxkbcommon0 libxkbcommon-x11-0 \
libdbus-1-3 fontconfig libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 \
libxcb-render-util0 libxcb-shape0 libxcb-xkb1 libX11-xcb1 libgio-2_0-0 krb5"
else
    echo "Qt lacks these libraries of the system: $absent- install them with your package manager." >&2
    exit 1
fi

if [ "$(id -u)" -ne 0 ]; then
    echo "Qt lacks these libraries of the system: $absent- install them with: sudo $command" >&2
    exit 1
fi
echo "Installing the libraries of the system that Qt needs: $absent"
case $command in apt-get*) apt-get update -q ;; esac
# shellcheck disable=SC2086  # the words of the command are meant
DEBIAN_FRONTEND=noninteractive $command
absent=$(missing)
[ -z "$absent" ] || { echo "Qt still lacks: $absent" >&2; exit 1; }
