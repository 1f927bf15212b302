#!/bin/bash
# Installs AttrAI behind nginx under systemd, or upgrades it; see --help.
# shellcheck disable=SC2329 # step and trap call functions by their names
set -euo pipefail

SOURCE=$(CDPATH='' cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=deploy/lib/common.sh
. "$SOURCE/deploy/lib/common.sh"
# shellcheck source=deploy/lib/checks.sh
. "$SOURCE/deploy/lib/checks.sh"
# shellcheck source=deploy/lib/release.sh
. "$SOURCE/deploy/lib/release.sh"
# shellcheck source=deploy/lib/activate.sh
. "$SOURCE/deploy/lib/activate.sh"

DRY_RUN=no
START=yes
ROLLBACK=no
WHEELS=
PORT=
SERVER_NAME=
BUILDING= # a release that does not serve yet
POLICY=   # a file that keeps Debian's packages from starting anything, if it is ours
POLICY_FILE=/usr/sbin/policy-rc.d
POLICY_MARK="# of AttrAI's install.sh, for as long as it runs"

usage() {
  cat <<'E'
Usage: deploy/install.sh [OPTION]...

Installs AttrAI from this checkout: Debian packages that are missing, /opt/attrai, the system user
attrai, /etc/attrai/attrai.ini, an nginx site and a systemd unit. Run again, it upgrades: the old
release serves until the new one has rated a face, and whatever fails is taken back. What you
edited in /etc is kept.

  --port PORT          where nginx listens (80)
  --server-name NAME   the host name that nginx answers to (any)
  --wheels DIR         take the Python packages from DIR, without a network
  --no-start           install and enable, start nothing: for an image build or a chroot
  --rollback           go back to the release that served before the current one
  --dry-run            check and say what would be done, change nothing
  --help               this text

Port and name are kept from the last run. deploy/uninstall.sh removes what this installs.
E
}

read_options() {
  while [ $# -gt 0 ]; do
    case $1 in
      --port | --server-name | --wheels)
        [ -n "${2-}" ] || die "$1 needs a value; see --help"
        case $1 in
          --port) PORT=$2 ;;
          --server-name) SERVER_NAME=$2 ;;
          --wheels) WHEELS=$(cd "$2" 2>/dev/null && pwd) || die "--wheels $2 is no folder" ;;
        esac
        shift
        ;;
      --no-start) START=no ;;
      --rollback) ROLLBACK=yes ;;
      --dry-run) DRY_RUN=yes ;;
      -h | --help) usage && exit ;;
      *) die "unknown option $1; see --help" ;;
    esac
    shift
  done
}

# What was not said is as in the last run, or by default.
complete_options() {
  : "${PORT:=$(recorded port)}" "${SERVER_NAME:=$(recorded server_name)}"
  : "${PORT:=80}" "${SERVER_NAME:=_}"
  [[ $PORT =~ ^[1-9][0-9]{0,4}$ && $PORT -le 65535 ]] || die "--port $PORT is no port"
  [[ $SERVER_NAME =~ ^(_|[A-Za-z0-9*.-]+)$ ]] || die "--server-name $SERVER_NAME is no host name"
}

# However this ends: no half release, no half switch.
finish() {
  local status=$?
  trap '' INT TERM HUP
  trap - EXIT
  set +e
  [ -z "$POLICY" ] || rm -f "$POLICY"
  [ "$DRY_RUN" = yes ] || [ ! -d "$UNDO" ] || take_back
  [ -z "$BUILDING" ] || rm -rf "$BUILDING"
  [ "$DRY_RUN" = yes ] || tidy_up
  [ "$status" = 0 ] || warn "failed"
  exit "$status"
}

install_packages() {
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes -o DPkg::Lock::Timeout=120)
  # nginx would start with Debian's default site, on a port that may be another's.
  if ! there "$POLICY_FILE"; then
    POLICY=$POLICY_FILE
    printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" >"$POLICY"
    chmod 755 "$POLICY"
  fi
  quietly "${apt[@]}" update 9>&- || die "apt-get update failed"
  quietly "${apt[@]}" install --no-install-recommends "${PACKAGES[@]}" 9>&- ||
    die "apt-get install failed"
  [ -z "$POLICY" ] || rm "$POLICY"
  POLICY=
}

create_account() {
  getent group "$ACCOUNT" >/dev/null || groupadd --system "$ACCOUNT"
  useradd --system --gid "$ACCOUNT" --home-dir /nonexistent --no-create-home \
    --shell /usr/sbin/nologin --comment AttrAI "$ACCOUNT"
}

main() {
  read_options "$@"
  cd / # Python would look for its modules where the caller is
  if [ "$DRY_RUN" = no ] && [ "$EUID" = 0 ]; then
    lock
    # Of a run that was killed:
    ! grep --quiet "^$POLICY_MARK\$" "$POLICY_FILE" 2>/dev/null || rm "$POLICY_FILE"
    if [ -d "$UNDO" ]; then
      ! systemd_runs || TOLD_SERVICE=$START
      take_back || warn "not all of it could be taken back"
    fi
  fi
  complete_options
  check_all
  trap finish EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  if [ "$ROLLBACK" = yes ]; then
    RELEASE=$(previous_release)
    [ -n "$RELEASE" ] || die "there is no release older than the current one"
  else
    [ ${#PACKAGES[@]} = 0 ] || step "installing the Debian packages ${PACKAGES[*]}" install_packages
    getent passwd "$ACCOUNT" >/dev/null || step "creating the system user $ACCOUNT" create_account
    name_release
    [ -e "$RELEASE/$STAMP" ] || step "building ${RELEASE##*/}" build_release
  fi
  activate "$RELEASE"
  BUILDING=
  [ "$DRY_RUN" = yes ] || [ "$ROLLBACK" = yes ] || prune_releases
  if [ "$DRY_RUN" = yes ]; then
    say "nothing was changed"
  elif [ "$START" = no ]; then
    say "${RELEASE##*/} is installed, and enabled at boot on port $PORT"
  else
    site_is_edited || say "${RELEASE##*/} serves on port $PORT"
    ! site_is_edited || say "${RELEASE##*/} serves as $SITE says, which was edited"
  fi
}

main "$@"
exit
