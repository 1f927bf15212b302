# What install.sh and uninstall.sh share: where things are, and how they speak.
# shellcheck shell=bash disable=SC2034

PREFIX=$(readlink --canonicalize /opt/attrai) # it, or /opt, may be a link to a larger disk
CURRENT=$PREFIX/current
RECORD=$PREFIX/record          # what was last placed outside, to tell an administrator's edits
CONFIG=/etc/attrai/attrai.ini
UNIT=/etc/systemd/system/attrai.service
WANTED=/etc/systemd/system/multi-user.target.wants/attrai.service
SITE=/etc/nginx/sites-available/attrai
SITE_ON=/etc/nginx/sites-enabled/attrai
DEFAULT_ON=/etc/nginx/sites-enabled/default
DEFAULT=/etc/nginx/sites-available/default
SOCKET=/run/attrai/uwsgi.sock
ACCOUNT=attrai
GROUP=www-data # of the service, as its unit says: nginx's

# The system's own programs, whatever the caller's shell prefers; files that everybody may read;
# and Python as it is by itself.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
umask 022
unset CDPATH "${!PYTHON@}"

say() { printf '%s\n' "$*"; }

warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
  warn "$*"
  exit 1
}

# step WHAT COMMAND...: says WHAT and does it, or in a dry run only says it.
step() {
  local what=$1
  shift
  if [ "$DRY_RUN" = yes ]; then
    say "would be $what"
  else
    say "$what"
    "$@"
  fi
}

# quietly COMMAND...: shows what the command says only when it fails.
quietly() {
  local output status=0
  output=$("$@" 2>&1) || status=$?
  [ "$status" = 0 ] || printf '%s\n' "$output" | tail -n 20 | sed 's/^/  | /' >&2
  return "$status"
}

# One installer at a time: the lock is on a folder that exists, so that no file is left behind.
lock() {
  exec 9</opt
  flock --nonblock 9 || die "another install.sh or uninstall.sh is running; wait for it"
}

systemd_runs() { [ -d /run/systemd/system ]; }

# The release that is linked, or nothing.
current_release() { readlink --canonicalize-existing "$CURRENT" || true; }

# account_is_ours: as install.sh creates it. One of this name that was there before is somebody's.
IDENTITY=AttrAI:/nonexistent:/usr/sbin/nologin
account_is_ours() { [ "$(getent passwd "$ACCOUNT" | cut -d : -f 5-)" = "$IDENTITY" ]; }

there() { [ -e "$1" ] || [ -L "$1" ]; }

# recorded NAME: an option of the last run, or nothing.
recorded() { sed -n "s/^$1=//p" "$RECORD/options" 2>/dev/null || true; }

# put FILE TARGET: TARGET gets FILE's content, in one rename; an equal one is left alone.
put() {
  ! cmp --quiet "$1" "$2" || return 0
  install -D --mode=644 "$1" "$2.tmp"
  mv --force --no-target-directory "$2.tmp" "$2"
}

# link TARGET NAME: NAME points to TARGET, in one rename; where it does already it is left alone.
link() {
  [ "$(readlink "$2")" != "$1" ] || return 0
  ln --symbolic --force --no-dereference "$1" "$2.tmp"
  mv --force --no-target-directory "$2.tmp" "$2"
}

# Untouched as it came with Debian's package, by the package's own record.
default_site_is_debians() {
  local sum
  [ "$(readlink --canonicalize "$DEFAULT_ON")" = "$DEFAULT" ] || return
  # shellcheck disable=SC2016
  sum=$(dpkg-query --show --showformat='${Conffiles}\n' nginx-common 2>/dev/null |
    awk -v file="$DEFAULT" '$1 == file { print $2 }')
  [ "$(md5sum <"$DEFAULT")" = "$sum  -" ]
}
