#!/bin/bash
# Lets the workers take up new settings or models one after the other, while the rest serve.
#
# Run as root. Nothing happens unless a process under the new settings has rated a face first:
# workers that cannot load would take the whole server down. New code takes `systemctl reload`.
set -euo pipefail

case ${1-} in -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit ;; esac
[ -S /run/attrai/uwsgi.sock ] || { echo "chain_reload.sh: attrai is not running" >&2; exit 1; }
# The release that runs; `current` may have moved on.
cd -P "/proc/$(systemctl show --property=MainPID --value attrai)/cwd"
setpriv --reuid=attrai --regid=www-data --init-groups \
  env --ignore-environment PATH="$PATH" ATTRAI_CONFIG=/etc/attrai/attrai.ini \
  venv/bin/python3 -m service.check
touch /run/attrai/chain-reload
