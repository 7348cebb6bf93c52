#!/bin/sh
# Bring the catalogues up to date with the texts in the code and compile them. New texts are left untranslated for
# a person; the test of the catalogues names them.
set -eu
cd "$(dirname "$0")/.."
messages=build/messages.pot
mkdir -p build
.venv/bin/pybabel --quiet extract --no-location --sort-output --keyword N_ --keyword ngettext:1,2 \
    --project AIGC-Desktop --output "$messages" aigc_desktop
for language in zh_CN en; do
    catalogue=resources/locale/$language/LC_MESSAGES/aigc_desktop.po
    action=update
    [ -f "$catalogue" ] || action=init
    mkdir -p "$(dirname "$catalogue")"
    .venv/bin/pybabel --quiet "$action" --input-file "$messages" --output-file "$catalogue" --locale "$language"
done
.venv/bin/pybabel compile --domain aigc_desktop --directory resources/locale
