#!/usr/bin/env bash
# Does lintian report nothing?  Usage: lintian.sh FOLDER (of build.sh).  Every tag fails, the pedantic ones too;
# overrides, with their reasons, are in debian/.
set -euo pipefail
# shellcheck source=tests/package/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
folder=$1

need lintian
exec lintian --allow-root -EIv -L '+pedantic' --fail-on error,warning,info,pedantic,experimental "$folder"/*.changes
