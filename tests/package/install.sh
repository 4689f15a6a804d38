#!/usr/bin/env bash
# Can the package be installed, used and removed in a fresh minimal Debian?
# Usage: install.sh FOLDER (of build.sh) PROGRAM
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/package/lib.sh
source "$here/lib.sh"
folder=$1 program=$2

need dpkg-architecture pkg-config cc
in_fresh_system "$folder" openssl "$here/installed.sh" "$program"
