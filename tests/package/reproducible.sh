#!/usr/bin/env bash
# Is a package built elsewhere, under another umask, time zone and locale, the same to the bit?
# Usage: reproducible.sh TREE FOLDER (of build.sh)
set -euo pipefail
# shellcheck source=tests/package/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
tree=$1 folder=$2

need dpkg-buildpackage dh
again=$(mktemp -d)
trap 'rm -rf "$again"' EXIT
umask 0027
export TZ=Pacific/Kiritimati LC_ALL=C.UTF-8 DEB_BUILD_OPTIONS=parallel=1
build_package "$tree" "$again/elsewhere" >"$again/log" 2>&1 || {
    cat "$again/log"
    exit 1
}
for package in "$folder"/*.deb; do
    cmp "$package" "$again/elsewhere/${package##*/}"
done
