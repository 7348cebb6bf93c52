#!/bin/bash
# Try the .deb as a user gets it: install it into a clean Debian root, start it there by its desktop entry with the
# network cut off, look at its window, run its self-check, close it, upgrade it, purge it.
# usage: check_package.sh [PACKAGE.deb]     as root; the root's packages come from the mirror in /etc/apt
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' aigc_desktop/__init__.py)
package=$(realpath "${1:-dist/aigc-desktop_${version}_$(dpkg --print-architecture).deb}")
suite=${SUITE:-bookworm}
work=$(mktemp -d /var/tmp/aigc-package.XXXXXX)
root=$work/root
display=:$((90 + RANDOM % 9))
out=build/check
started=() checks=0

say() { printf '[%3ds] %s\n' "$SECONDS" "$*"; }
passed() { checks=$((checks + 1)); say "ok: $*"; }
fail() { # SENTENCE, with the end of the newest log before it
    local log
    # shellcheck disable=SC2012  # our own plain names
    log=$(ls -t "$work"/*.log 2>/dev/null | head -n 1 || true)
    [ -z "$log" ] || tail -n 20 "$log" >&2
    say "FAILED: $*" >&2
    exit 1
}

clean_up() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    for place in dev/shm tmp/.X11-unix proc; do umount -l "$root/$place" 2>/dev/null || true; done
    rm -rf --one-file-system "$work"
}

need() {
    [ "$(id -u)" -eq 0 ] || fail "run as root: a chroot and a network namespace are made"
    [ -f "$package" ] || fail "$package is not there; run make package first"
    local tool
    for tool in debootstrap Xvfb openbox xdotool wmctrl xprop import identify unshare; do
        command -v "$tool" >/dev/null || fail "$tool is missing; apt-get install debootstrap xvfb openbox xdotool \
wmctrl x11-utils imagemagick util-linux"
    done
}

make_root() {
    local mirror cache=build/debian-root-$suite.tar
    mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb *\(\[[^]]*\]\)\? *\([^ ]*\) .*/\2/p' \
        /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1 || true)
    mkdir -p build "$root"
    if [ ! -f "$cache" ]; then
        debootstrap --variant=minbase "$suite" "$root" "${mirror:-http://deb.debian.org/debian}" \
            >"$work/debootstrap.log" 2>&1 || fail "debootstrap from $mirror"
        tar -C "$root" -cf "$cache.part" . && mv "$cache.part" "$cache"
    else
        tar -C "$root" -xf "$cache"
    fi
    cp -r /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod +x "$root/usr/sbin/policy-rc.d"
    mount -t proc proc "$root/proc"
    mkdir -p "$root/dev/shm" "$root/tmp/.X11-unix"
    mount -t tmpfs tmpfs "$root/dev/shm"
    chroot "$root" useradd --create-home --uid 1234 designer
}

in_root() { chroot "$root" /usr/bin/env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"; }

# As the user, without any network device but a loopback that is down.
as_user() {
    unshare --net -- chroot --userspec=1234:1234 "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/home/designer \
        USER=designer LANG=C.UTF-8 DISPLAY="$display" "$@"
}

install_package() {
    in_root apt-get update -q >"$work/apt.log" 2>&1 || fail "apt-get update"
    cp "$1" "$root/tmp/package.deb"
    in_root apt-get install -y -q --no-install-recommends /tmp/package.deb >>"$work/apt.log" 2>&1 || fail "apt-get install"
    rm "$root/tmp/package.deb"
}

start_display() {
    mkdir -p /tmp/.X11-unix
    # -noreset: a server whose only client leaves begins anew, and refuses whoever connects just then
    Xvfb "$display" -screen 0 1440x900x24 -nolisten tcp -noreset >"$work/xvfb.log" 2>&1 &
    started+=($!)
    # the socket's file is there before the server answers, or is left over from an earlier one
    for _ in $(seq 300); do DISPLAY=$display xprop -root >/dev/null 2>&1 && break; sleep 0.1; done
    DISPLAY=$display openbox >"$work/openbox.log" 2>&1 &
    started+=($!)
    for _ in $(seq 100); do DISPLAY=$display wmctrl -m >/dev/null 2>&1 && break; sleep 0.1; done
    DISPLAY=$display wmctrl -m >/dev/null 2>&1 || fail "no window manager runs on $display"
    mount --bind /tmp/.X11-unix "$root/tmp/.X11-unix"
    export DISPLAY=$display
}

open_window() { # sets app, window and opened_ms
    local command begin
    command=$(sed -n 's/^Exec=//p' "$root/usr/share/applications/aigc-desktop.desktop" | sed 's/ *%[a-zA-Z]//g')
    begin=$(date +%s%N)
    # shellcheck disable=SC2086  # the words of the entry's command are meant
    as_user $command >"$work/app.log" 2>&1 &
    app=$!
    started+=("$app")
    window=
    for _ in $(seq 600); do
        window=$(xdotool search --onlyvisible --name '^AIGC Desktop|AIGC Desktop$' 2>/dev/null | head -n 1 || true)
        [ -z "$window" ] || break
        kill -0 "$app" 2>/dev/null || fail "the app ended before its window appeared"
        sleep 0.05
    done
    [ -n "$window" ] || fail "no window with the title AIGC Desktop within 30 s"
    opened_ms=$((($(date +%s%N) - begin) / 1000000))
}

close_window() { # by the button of its frame: WM_DELETE_WINDOW
    wmctrl -i -c "$window"
    local code=0
    for _ in $(seq 300); do kill -0 "$app" 2>/dev/null || break; sleep 0.1; done
    ! kill -0 "$app" 2>/dev/null || fail "the app did not close within 30 s"
    wait "$app" || code=$?
    [ "$code" -eq 0 ] || fail "the app returned $code when it was closed"
}

# A real folder, with a broken file in it, through the installed program; the training is killed once on its way.
whole_story() {
    local home=$root/home/designer killed run
    studio() { as_user aigc-desktop "$@" >>"$work/story.log" 2>&1; }
    listed_as() { studio runs --json || fail "runs"; grep -q "\"status\": \"$1\"" "$work/story.log" || fail "the run is not $1"; }
    pixels() { find "$home/$1" -name '*.png' | sort | xargs -d '\n' identify -format '%#\n'; }
    cp -r resources/samples/emoji/faces "$home/笑脸 faces"
    head -c 300 "$(find "$home/笑脸 faces" -name '*.png' -print -quit)" >"$home/笑脸 faces/cut off.png"
    chroot "$root" chown -R designer:designer /home/designer
    studio data import "/home/designer/笑脸 faces" --title faces --size 32 || fail "data import"
    grep -q '1 cut off' "$work/story.log" || fail "the broken file was not reported"

    studio train image_vae --dataset faces --steps 100000 --checkpoint-every 20 --threads 1 &
    killed=$!
    for _ in $(seq 600); do
        run=$(find "$home" -path '*_image_vae/checkpoints/0000[2-9]0' -print -quit)
        [ -z "$run" ] || break
        sleep 0.1
    done
    [ -n "$run" ] || fail "no checkpoint after a minute of training"
    run=$(basename "${run%%/checkpoints/*}")
    pkill -KILL -u 1234 -f aigc-desktop || fail "there was no training to kill"
    ! wait "$killed" || fail "the killed training returned 0"
    listed_as interrupted
    # Ctrl+C ends the resumed training in good order
    as_user timeout --signal=INT 20 aigc-desktop train --resume "$run" >>"$work/story.log" 2>&1 || true
    listed_as stopped

    studio generate "$run" --count 4 --seed 7 --out /home/designer/once || fail "generate"
    studio generate "$run" --count 4 --seed 7 --out /home/designer/again || fail "generate again"
    [ "$(pixels once | sort -u | wc -l)" -eq 4 ] || fail "not four different pictures: $(ls "$home/once")"
    [ "$(pixels once)" = "$(pixels again)" ] || fail "the same seeds gave other pictures"
}

trap clean_up EXIT
trap 'say "FAILED in line $LINENO: $BASH_COMMAND" >&2' ERR
need
mkdir -p "$out"
make_root
say "a clean $suite root is ready"
traces() { (cd "$root" && find . -xdev -path '*aigc*' -not -path './home/*' | sort); }
[ -z "$(traces)" ] || fail "the root already holds $(traces)"

install_package "$package"
[ -z "$(in_root sh -c 'command -v python3' || true)" ] || fail "the root has a Python of its own, so this proves little"
passed "installed into a root without Python"

[ "$(as_user aigc-desktop --version | grep -c "$version")" -eq 1 ] || fail "--version does not say $version"
passed "--version"

start_display
open_window
first_ms=$opened_ms
xprop -id "$window" WM_CLASS | grep -q '"aigc-desktop"' || fail "WM_CLASS is not aigc-desktop, so the menu entry has no icon"
sleep 5
import -window "$window" "$out/window.png"
colours=$(identify -format %k "$out/window.png")
[ "$colours" -ge 100 ] || fail "the window shows $colours colours only: it is not drawn"
passed "first start: window after $first_ms ms with the right title and class, $colours colours, without network"
close_window
passed "closed by its frame, exit code 0"
open_window
second_ms=$opened_ms
sleep 2
close_window
passed "second start: window after $second_ms ms"

as_user aigc-desktop --self-check >"$out/self-check.log" 2>"$out/self-check.err" ||
    { cat "$out/self-check.log" "$out/self-check.err" >&2; fail "self-check"; }
passed "self-check: $(tail -n 1 "$out/self-check.log")"

whole_story
passed "the whole story with a real folder: imported, trained, killed, resumed, generated, exported"

find "$root/home/designer" -type f | sort >"$work/user-before.txt"
[ -s "$work/user-before.txt" ] || fail "the app kept no file of the user, so upgrade and purge prove nothing"
dpkg-deb --raw-extract "$package" "$work/newer"
sed -i 's/^Version: .*/Version: 999.0/' "$work/newer/DEBIAN/control"
dpkg-deb --root-owner-group -Znone --build "$work/newer" "$work/newer.deb" >/dev/null
rm -r "$work/newer"
install_package "$work/newer.deb"
rm "$work/newer.deb"
find "$root/home/designer" -type f | sort | cmp - "$work/user-before.txt" || fail "the upgrade touched files of the user"
open_window
close_window
passed "upgraded: the user's files are as they were, and the window opens"

in_root apt-get purge -y -q aigc-desktop >>"$work/apt.log" 2>&1 || fail "apt-get purge"
[ -z "$(traces)" ] || fail "purge left $(traces)"
find "$root/home/designer" -type f | sort >"$work/user-after.txt"
comm -23 "$work/user-before.txt" "$work/user-after.txt" | { ! grep .; } || fail "purge took files of the user"
passed "purged: nothing is left but the user's files"

printf '{"first_window_ms": %d, "second_window_ms": %d}\n' "$first_ms" "$second_ms" >"$out/start.json"
echo "$checks package checks passed, 0 failed"
