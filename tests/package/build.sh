#!/usr/bin/env bash
# Does the Debian package build from the tree alone?  Usage: build.sh TREE FOLDER; the packages stay
# there for the other tests.
set -euo pipefail
# shellcheck source=tests/package/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
tree=$1 folder=$2

need dpkg-buildpackage dh
project=$(sed -n 's/^project(freeonce VERSION \([0-9.]*\).*/\1/p' "$tree/CMakeLists.txt")
package=$(dpkg-parsechangelog -l "$tree/debian/changelog" -S Version)
[[ $project == "$package" ]] || {
    echo "CMakeLists.txt says version $project, debian/changelog $package"
    exit 1
}
rm -rf "$folder"
build_package "$tree" "$folder"
for package in freeonce libfreeonce0 libfreeonce-dev freeonce-dbgsym libfreeonce0-dbgsym; do
    ls "$folder/${package}"_*.deb
done
