#!/usr/bin/env bash
# Do the stories that the README tells happen just so, on a fresh Debian with the package?
# Usage: stories.sh FOLDER (of build.sh) README
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/package/lib.sh
source "$here/lib.sh"

need openssl
in_fresh_system "$1" gcc,libc6-dev,libssl-dev,kamailio,kamailio-tls-modules,netbase,procps,systemd \
    "$here/stories.py" "$2"
