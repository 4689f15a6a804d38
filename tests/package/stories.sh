#!/usr/bin/env bash
# Do the commands of README.md and docs/*.md print what these pages show, on a fresh Debian with the package?
# Usage: stories.sh FOLDER (of build.sh) TREE
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/package/lib.sh
source "$here/lib.sh"

need openssl
in_fresh_system "$1" gcc,libc6-dev,libssl-dev,kamailio,kamailio-tls-modules,netbase,procps,systemd,cmake,make,meson,pkg-config,python3-pytest \
    "$here/stories.py" "$2"
