# From one release to another: files outside the release, the switch, the services; or all of it back.
# shellcheck shell=bash

UNDO=$PREFIX/undo # what TOUCHED was; while it is there, a switch has not been finished
TOUCHED=("$CURRENT" "$UNIT" "$UNIT.new" "$WANTED" "$SITE" "$SITE.new" "$SITE_ON" "$DEFAULT_ON"
  "$CONFIG" "$CONFIG.new" "$RECORD/attrai.ini" "$RECORD/site" "$RECORD/unit" "$RECORD/options")
TOLD_SERVICE=no

remember() {
  local file
  rm -rf "$UNDO.tmp"
  install -d --mode=700 "$UNDO.tmp"
  for file in "${TOUCHED[@]}"; do
    if there "$file"; then
      mkdir --parents "$UNDO.tmp${file%/*}"
      cp --archive "$file" "$UNDO.tmp$file"
    fi
  done
  mv --no-target-directory "$UNDO.tmp" "$UNDO"
}

forget() {
  mv --no-target-directory "$UNDO" "$UNDO.tmp"
  rm -rf "$UNDO.tmp"
}

restore_files() {
  local file
  for file in "${TOUCHED[@]}"; do
    if there "$UNDO$file"; then
      cp --archive "$UNDO$file" "$file.tmp"
      mv --force --no-target-directory "$file.tmp" "$file"
    else
      rm -f "$file"
    fi
  done
  forget
}

# take_back: as it was before `remember`, whatever has happened since.
take_back() {
  local before changed=no
  cmp --quiet "$UNIT" "$UNDO$UNIT" || changed=yes
  restore_files
  before=$(current_release)
  if [ "$TOLD_SERVICE" = yes ]; then
    quietly systemctl daemon-reload
    if [ -z "$before" ]; then
      systemctl stop attrai 2>/dev/null # after a power cut systemd does not know it any more
    else
      tell_service "$changed" && serves "$before" ||
        warn "the old release does not answer either: see journalctl -u attrai"
    fi
    nginx -t -q && quietly systemctl reload-or-restart nginx
  fi
  before=${before##*/}
  warn "taken back: ${before:-nothing} is installed, as before"
}

# Which settings a release will meet: the administrator's, or its own where nobody edited them.
config_for() {
  if [ -e "$CONFIG" ] && ! cmp --quiet "$CONFIG" "$RECORD/attrai.ini"; then
    echo "$CONFIG"
  else
    echo "$1/attrai.ini"
  fi
}

# place NEW TARGET RECORD, as dpkg treats a configuration file: what nobody edited follows the
# release; what somebody edited stays, and what is new is laid beside it.
place() {
  local new=$1 target=$2 record=$3
  if [ ! -e "$target" ] || cmp --quiet "$target" "$record" || cmp --quiet "$target" "$new"; then
    put "$new" "$target"
    rm -f "$target.new"
  elif ! cmp --quiet "$new" "$record"; then
    put "$new" "$target.new"
    say "keeping $target, which was edited; the new one is beside it, $target.new"
    [ "$target" != "$CONFIG" ] || name_new_settings "$new" "$record" "$target"
  fi
  put "$new" "$record"
}

settings() { awk '/^\[/ { section = $1 } /^[a-z_]+ *=/ { print section, $1 }' "$1" | sort; }

# What the last release's file, or else the administrator's, does not have.
name_new_settings() {
  local new=$1 old=$2 added
  [ -e "$old" ] || old=$3
  added=$(comm -23 <(settings "$new") <(settings "$old") | paste --serial --delimiters=, |
    sed 's/,/, /g')
  [ -z "$added" ] || say "  new settings, at their defaults: $added"
}

# The site with this machine's port and name, and as many requests in flight as its cores answer in
# time: 16 for each, half of them for one client. What waits must fit uWSGI's queue, `listen`.
render_site() {
  local cores bound ipv6=()
  cores=$(getconf _NPROCESSORS_ONLN) # as uWSGI counts them; nproc would heed OMP_NUM_THREADS
  bound=$((16 * cores))
  [ "$bound" -le $((80 + cores)) ] || bound=$((80 + cores))
  [ -e /proc/net/if_inet6 ] || ipv6=(-e '/listen \[::\]/d')
  sed -e "s/^\( *listen \)80;/\1$PORT;/" -e "s/^\( *listen \[::\]:\)80;/\1$PORT;/" "${ipv6[@]}" \
    -e "0,/server_name _;/s//server_name $SERVER_NAME;/" \
    -e "s/\(uwsgi.sock max_conns=\)32;/\1$bound;/" \
    -e "s/\(limit_conn attrai_in_flight \)16;/\1$((bound / 2));/" "$1/deploy/nginx.conf"
}

# It would hide ours; or it came with the nginx that we have just installed, on a port unasked for.
default_site_must_go() {
  there "$DEFAULT_ON" && { takes_all_of_80 || [[ " ${PACKAGES[*]} " == *" nginx "* ]]; }
}

# Of two sites of the same name and port, nginx keeps the one that it reads first, with a warning.
hides_another_site() {
  [[ $(nginx -t 2>&1) == *"conflicting server name \"$SERVER_NAME\" on 0.0.0.0:$PORT,"* ]]
}

place_files() {
  local release=$1 rendered default_off
  default_off=$(recorded default_off)
  rendered=$(mktemp)
  place "$release/attrai.ini" "$CONFIG" "$RECORD/attrai.ini"
  render_site "$release" >"$rendered"
  place "$rendered" "$SITE" "$RECORD/site"
  place "$release/deploy/attrai.service" "$UNIT" "$RECORD/unit"
  printf 'port=%s\nserver_name=%s\n' "$PORT" "$SERVER_NAME" >"$rendered"
  if default_site_must_go; then
    say "disabling Debian's default site"
    rm "$DEFAULT_ON"
    default_off=yes
  fi
  [ -z "$default_off" ] || echo "default_off=$default_off" >>"$rendered"
  put "$rendered" "$RECORD/options"
  rm "$rendered"
  link "$SITE" "$SITE_ON"
  quietly nginx -t || die "nginx refuses its configuration"
  if ! there "$UNDO$SITE_ON" && hides_another_site; then
    die "another site answers to this name on port $PORT too: say --server-name or --port"
  fi
  link "$release" "$CURRENT"
  [ -L "$WANTED" ] || quietly systemctl enable attrai
  systemctl --quiet is-enabled nginx || quietly systemctl enable nginx
}

# tell_service UNIT_CHANGED: a reload loses no request; a changed unit asks for a restart.
tell_service() {
  TOLD_SERVICE=yes
  systemctl reset-failed attrai 2>/dev/null || true # or it may not start again so soon
  if ! systemctl --quiet is-active attrai; then
    quietly systemctl start attrai
  elif [ "$1" = yes ]; then
    say "  its unit changed: restarting, requests fail for about a second"
    quietly systemctl restart attrai
  else
    quietly systemctl reload attrai
  fi
}

# runs RELEASE: the service's master is of this release.
runs() {
  [ "/proc/$(systemctl show --property=MainPID --value attrai)/cwd" -ef "$1" ]
}

# serves RELEASE: its own master has taken over, and answers with a real prediction.
serves() {
  for _ in {1..150}; do
    ! runs "$1" || break
    ! systemctl --quiet is-failed attrai || break
    sleep 0.2
  done
  runs "$1" &&
    quietly as_service "$1" "$CONFIG" \
      venv/bin/python -m service.check --socket "$SOCKET" --timeout 60
}

site_is_edited() { there "$SITE" && ! cmp --quiet "$SITE" "$RECORD/site"; }

site_changed() {
  ! cmp --quiet "$SITE" "$UNDO$SITE" || ! there "$UNDO$SITE_ON" ||
    { there "$UNDO$DEFAULT_ON" && ! there "$DEFAULT_ON"; }
}

# nginx_passes_on TRIES: what a visitor gets; an edited site may ask for more than plain HTTP on
# this port.
nginx_passes_on() {
  ! site_is_edited || return 0
  quietly "$CURRENT/venv/bin/python" - "$PORT" "$SERVER_NAME" "$1" <<'P'
import sys, time, urllib.request
port, name, tries = sys.argv[1:]
host = {"Host": "localhost" if name == "_" else name.replace("*", "any")}
question = urllib.request.Request(f"http://127.0.0.1:{port}/readyz", headers=host)
for again in range(int(tries)):
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(question, timeout=10)
        sys.exit()
    except OSError as error:
        reason = error
        time.sleep(0.25)
sys.exit(f"GET /readyz on port {port}: {reason}")
P
}

# activate RELEASE: nothing is switched before the new code has rated a face under the settings
# it will meet; whatever fails after that is taken back when this script ends.
activate() {
  local release=$1 name=${1##*/} before
  before=$(current_release)
  step "asking $name to rate a face" quietly ask_release "$release" "$(config_for "$release")" ||
    die "$name cannot serve, so nothing was switched"
  [ "$DRY_RUN" = yes ] || remember
  step "placing settings, nginx site and unit; linking $name" place_files "$release"
  if [ "$START" = yes ]; then
    step "starting $name" take_over "$release"
  fi
  if [ "$DRY_RUN" = no ]; then
    if [ "$release" != "$before" ] && [ "$ROLLBACK" = no ]; then
      # What served until now comes next, and not what somebody has rolled back from.
      [ -z "$before" ] || touch --date="1 second ago" "$before/$STAMP"
      touch "$release/$STAMP"
    fi
    forget
  fi
}

# What runs is asked, and not only what has just been placed: a run with --no-start may have placed
# it, or somebody else have taken it away.
take_over() {
  local release=$1 unit=no
  if ! cmp --quiet "$UNIT" "$UNDO$UNIT" ||
    [ "$(systemctl show --property=NeedDaemonReload --value attrai)" = yes ]; then
    unit=yes
    quietly systemctl daemon-reload
  fi
  if [ "$unit" = yes ] || ! runs "$release" || ! systemctl --quiet is-active attrai; then
    tell_service "$unit" || die "the service does not start or reload: see journalctl -u attrai"
  fi
  serves "$release" || die "the service does not answer: see journalctl -u attrai"
  if site_changed || ! systemctl --quiet is-active nginx || ! nginx_passes_on 1 2>/dev/null; then
    quietly systemctl reload-or-restart nginx || die "nginx does not start: see journalctl -u nginx"
  fi
  nginx_passes_on 40 || die "nginx does not pass requests on"
}
