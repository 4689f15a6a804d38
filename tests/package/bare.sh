#!/usr/bin/env bash
# On a bare Debian, for scripts/bare-debian: does scripts/check install what it needs, and switch off again the services
# which that enables?  Also after a run that was killed as it installed.  Usage: bare.sh PART...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

links() { find /etc/systemd/system -type l -path '*.wants/*' -printf '%f\n' | sort -u; }

# What a killed run leaves: its file, and a service that was enabled.
mkdir -p /etc/systemd/system/multi-user.target.wants
printf '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/freeonce-left.service
links | sed 's/^/# freeonce, before: /' | cat <(printf '#!/bin/sh\n# freeonce, process: %d\n' 4194305) - \
    <(echo exit 101) >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
before=$(links)
ln -s ../freeonce-left.service /etc/systemd/system/multi-user.target.wants/

scripts/check "$@"

[[ ! -e /usr/sbin/policy-rc.d ]] || { echo 'policy-rc.d is still there' && exit 1; }
new=$(comm -13 <(printf '%s\n' "$before") <(links))
for unit in $new; do
    [[ $(dpkg -S "/${unit/@*./@.}" 2>/dev/null) == systemd* ]] || { echo "$unit is still enabled" && exit 1; }
done
[[ -e /usr/sbin/nginx || -e /usr/sbin/kamailio ]] || { echo 'no server was installed: this proves nothing' && exit 1; }
