# What must hold before anything is changed. Each check adds what is wrong, and what to do about
# it, to PROBLEMS, or a Debian package that is missing to PACKAGES.
# shellcheck shell=bash

PROBLEMS=()
PACKAGES=()
NEEDED_MB=1000
INNER_PORT=4445 # on loopback, see deploy/nginx.conf

problem() { PROBLEMS+=("$*"); }

check_caller() {
  [ "$DRY_RUN" = yes ] || [ "$EUID" = 0 ] || problem "this needs root: run it with sudo"
}

check_checkout() {
  local item
  for item in "${ITEMS[@]}"; do
    [ -e "$SOURCE/$item" ] ||
      problem "$SOURCE/$item is missing: run deploy/install.sh from a complete checkout"
  done
}

check_architecture() {
  case $(uname -m) in
    x86_64 | aarch64) ;;
    *) problem "$(uname -m) is not supported: the Python packages exist for x86_64 and aarch64" ;;
  esac
}

check_packages() {
  [ "$ROLLBACK" = no ] || return 0 # installs none
  command -v systemctl >/dev/null || PACKAGES+=(systemd)
  command -v python3 >/dev/null || PACKAGES+=(python3)
  python3 -c 'import ensurepip, venv' 2>/dev/null || PACKAGES+=(python3-venv)
  command -v nginx >/dev/null || PACKAGES+=(nginx)
  # Only for speed, so nothing that an administrator without a network must find first.
  if [ -z "$WHEELS" ] && command -v apt-get >/dev/null && ! has_compiler; then
    PACKAGES+=(gcc libc6-dev)
  fi
  [ ${#PACKAGES[@]} = 0 ] || command -v apt-get >/dev/null ||
    problem "no apt-get here to install what is missing: ${PACKAGES[*]}"
}

has_compiler() {
  printf '#include <stdlib.h>\n' | cc -x c -fsyntax-only - 2>/dev/null
}

check_python() {
  command -v python3 >/dev/null || return 0 # the package will bring one
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    problem "$(python3 --version) is too old: AttrAI needs 3.11, as in Debian 12 or Ubuntu 24.04"
}

check_systemd() {
  [ "$START" = no ] || systemd_runs ||
    problem "systemd is not running here: for an image or a chroot say --no-start"
}

check_disk() {
  local folder=$PREFIX free
  [ "$ROLLBACK" = no ] || return 0 # needs none, and may have to be where all of it is used up
  until [ -d "$folder" ]; do folder=$(dirname "$folder"); done
  free=$(df --output=avail --block-size=1M "$folder" | tail -n 1)
  [ "$free" -ge "$NEEDED_MB" ] ||
    problem "$folder has ${free// /} MB free, $NEEDED_MB are needed: make room"
}

# The inodes of the sockets that listen on a port.
listeners() {
  awk -v port="$(printf ':%04X$' "$1")" '$4 == "0A" && $2 ~ port { print $10 }' \
    /proc/net/tcp /proc/net/tcp6 2>/dev/null || true
}

check_ports() {
  local port inode owner advice
  [ "$START" = yes ] || return 0
  for port in "$PORT" "$INNER_PORT"; do
    advice="stop it"
    [ "$port" = "$INNER_PORT" ] || advice+=", or choose another port with --port"
    for inode in $(listeners "$port"); do
      owner=$(find /proc/[0-9]*/fd -lname "socket:\[$inode\]" -print -quit 2>/dev/null || true)
      owner=$(cat "${owner%/fd/*}/comm" 2>/dev/null || true)
      if [ "$owner" = nginx ]; then continue; fi
      # nginx closes its own when it reloads, as it does when a run was taken back just now.
      if [ -z "$owner" ] && [[ " $(listeners "$port" | tr '\n' ' ')" != *" $inode "* ]]; then
        continue
      fi
      if [ -z "$owner" ] && [ "$EUID" != 0 ]; then # in a dry run
        say "port $port is taken; only root can see whether by nginx"
        break
      fi
      problem "port $port is taken by ${owner:-another program}: $advice"
      break
    done
  done
}

# Of two sites without a name on port 80, visitors see but one. Debian's own gives way, one that
# somebody edited does not.
takes_all_of_80() { [ "$PORT" = 80 ] && [ "$SERVER_NAME" = _ ]; }

check_default_site() {
  takes_all_of_80 && there "$DEFAULT_ON" || return 0
  default_site_is_debians ||
    problem "$DEFAULT_ON is not as Debian made it: disable it, or say --server-name or --port"
}

check_all() {
  check_caller
  check_checkout
  check_architecture
  check_packages
  check_python
  check_systemd
  check_disk
  check_ports
  check_default_site
  [ ${#PROBLEMS[@]} = 0 ] && return
  warn "nothing was changed, for:"
  printf '  - %s\n' "${PROBLEMS[@]}" >&2
  exit 1
}
