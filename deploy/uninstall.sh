#!/bin/bash
# Removes what install.sh installed; see --help.
# shellcheck disable=SC2329 # step and trap call functions by their names
set -euo pipefail

SOURCE=$(CDPATH='' cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=deploy/lib/common.sh
. "$SOURCE/deploy/lib/common.sh"

DRY_RUN=no
PURGE=no
OVERRIDES=$UNIT.d # what `systemctl edit` writes

usage() {
  cat <<'E'
Usage: deploy/uninstall.sh [--purge] [--dry-run]

Stops AttrAI and removes /opt/attrai, its unit, its nginx site and the system user attrai. It
leaves the Debian packages and what is yours: /etc/attrai, overrides of the unit, and the nginx
site if you edited it (disabled).

  --purge     remove what is yours too
  --dry-run   say what would be done, change nothing
E
}

for option; do
  case $option in
    --purge) PURGE=yes ;;
    --dry-run) DRY_RUN=yes ;;
    -h | --help) usage && exit ;;
    *) die "unknown option $option; see --help" ;;
  esac
done

stop_service() {
  if systemd_runs && there "$UNIT"; then quietly systemctl stop attrai || true; fi
  rm -f "$UNIT" "$UNIT.new" "$WANTED"
  if systemd_runs; then
    quietly systemctl daemon-reload
    systemctl reset-failed attrai 2>/dev/null || true
  fi
}

remove_site() {
  if cmp --quiet "$SITE" "$RECORD/site"; then rm -f "$SITE"; fi
  rm -f "$SITE_ON" "$SITE.new"
  # Debian's default site comes back, if it was the installer that took it away.
  if [ "$(recorded default_off)" = yes ] && ! there "$DEFAULT_ON" && [ -e "$DEFAULT" ]; then
    ln --symbolic "$DEFAULT" "$DEFAULT_ON"
  fi
  if systemd_runs && systemctl --quiet is-active nginx; then
    quietly systemctl reload nginx || warn "nginx does not reload: see journalctl -u nginx"
  fi
  rm -f /var/log/nginx/attrai.log* /var/log/nginx/attrai-error.log*
}

remove_account() {
  userdel "$ACCOUNT"
  ! getent group "$ACCOUNT" >/dev/null || groupdel "$ACCOUNT"
}

main() {
  local file left=()
  [ "$DRY_RUN" = yes ] || [ "$EUID" = 0 ] || die "this needs root: run it with sudo"
  [ "$DRY_RUN" = yes ] || lock
  cd /
  if there "$WANTED" || there "$UNIT"; then step "stopping and removing the service" stop_service; fi
  if there "$SITE_ON" || there "$RECORD/site"; then step "removing the nginx site" remove_site; fi
  if there "$PREFIX"; then step "removing $PREFIX" rm -rf "$PREFIX"; fi
  if account_is_ours; then
    step "removing the system user $ACCOUNT" remove_account
  elif getent passwd "$ACCOUNT" >/dev/null; then
    say "the user $ACCOUNT was there before, and stays"
  fi
  for file in "${CONFIG%/*}" "$OVERRIDES" "$SITE"; do
    if ! there "$file"; then continue; fi
    if [ "$PURGE" = yes ]; then step "removing $file" rm -rf "$file"; else left+=("$file"); fi
  done
  if [ "$DRY_RUN" = yes ]; then
    say "nothing was changed"
  else
    say "left: ${left[*]:+${left[*]} (--purge removes them) and }the Debian packages"
  fi
}

main
exit
