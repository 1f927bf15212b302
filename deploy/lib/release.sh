# Releases: one folder each, side by side, root's, named by what is in it.
# shellcheck shell=bash

ITEMS=(app.py pipeline service models deploy scripts docs/astronaut.jpg attrai.ini
  requirements.lock pyproject.toml README.md LICENSE)
KEPT=3
KERNEL=pipeline/native/kernel.so # built for each release where there is a compiler
STAMP=.served # a release without it never served: not finished, or refused

# fingerprint FOLDER: twelve digits of all its files' names and contents.
fingerprint() {
  (cd "$1" && find "${ITEMS[@]}" -name __pycache__ -prune -o -path "$KERNEL" -o -type f -print0 |
    LC_ALL=C sort --zero-terminated | xargs --null sha256sum | sha256sum | cut -c 1-12)
}

# The folder for what is in SOURCE: 0.1.0-py3.11-3f2a9c1b04de. With the interpreter in the name
# an upgrade of Debian gets a new venv; a release that was changed afterwards gets a second folder.
name_release() {
  local version python print base n=1
  version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$SOURCE/pyproject.toml")
  python=py3 # in a dry run, before Debian's package is there
  ! command -v python3 >/dev/null ||
    python=$(python3 -c 'import sys; print("py%d.%d" % sys.version_info[:2])')
  print=$(fingerprint "$SOURCE")
  base=$PREFIX/releases/$version-$python-$print
  RELEASE=$base
  while [ -e "$RELEASE/$STAMP" ] &&
    { [ "$(fingerprint "$RELEASE")" != "$print" ] || lacks_kernel "$RELEASE"; }; do
    n=$((n + 1))
    RELEASE=$base-$n
  done
}

lacks_kernel() {
  [ ! -e "$1/$KERNEL" ] && has_compiler
}

copy_code() {
  install -d "$RELEASE"
  tar --directory="$SOURCE" --exclude=__pycache__ --exclude="$KERNEL" --create "${ITEMS[@]}" |
    tar --directory="$RELEASE" --extract --no-same-owner --no-same-permissions
  chown --recursive root:root "$RELEASE"
  chmod --recursive u=rwX,go=rX "$RELEASE"
}

# In a function that is asked for its status `set -e` does not hold, hence the `&&`.
build_venv() {
  local pip=(venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input
    --no-cache-dir --require-hashes --requirement requirements.lock)
  [ -z "$WHEELS" ] || pip+=(--no-index --find-links "$WHEELS")
  cd "$RELEASE" && python3 -m venv venv && "${pip[@]}"
}

# The service may not write in its release, so it is done now.
compile_code() {
  cd "$RELEASE" && venv/bin/python -m compileall -q app.py pipeline service
}

# Without it faces are found on ONNX Runtime.
build_kernel() {
  cd "$RELEASE" && venv/bin/python -m pipeline.native.build
}

build_release() {
  BUILDING=$RELEASE
  rm -rf "$RELEASE"
  copy_code
  quietly build_venv || die "the Python packages cannot be installed"
  quietly build_kernel || warn "no C compiler that works: faces will be found several times slower"
  quietly compile_code || die "${RELEASE##*/} does not compile"
}

# ask_release RELEASE CONFIG: the new code, under these settings, rates a face as the service would.
ask_release() {
  as_service "$1" "$2" timeout 120 venv/bin/python -m service.check
}

# as_service RELEASE CONFIG COMMAND...: in the release's folder, as the service's user.
as_service() {
  local release=$1 config=$2
  shift 2
  (cd "$release" && setpriv --reuid="$ACCOUNT" --regid="$GROUP" --init-groups \
    env --ignore-environment PATH="$PATH" ATTRAI_CONFIG="$config" "$@")
}

# By the time they were installed or gave way to one that was, the newest first.
releases() {
  { find "$PREFIX/releases" -mindepth 2 -maxdepth 2 -name "$STAMP" -printf '%T@ %h\n' || true; } \
    2>/dev/null | sort --reverse --numeric-sort | cut -d ' ' -f 2-
}

# The one that served before the current one.
previous_release() {
  releases | sed "0,\\|^$(current_release)\$|d" | head -n 1
}

# Keeps the current release and the newest of the others; what was never finished goes as well.
prune_releases() {
  local release kept=1
  for release in $(releases); do
    [ "$release" = "$(current_release)" ] && continue
    kept=$((kept + 1))
    [ "$kept" -le "$KEPT" ] || { say "removing the old release ${release##*/}" && rm -rf "$release"; }
  done
  for release in "$PREFIX"/releases/*; do
    [ -e "$release/$STAMP" ] || rm -rf "$release"
  done
}

# Where nothing was installed, no folder stays either.
tidy_up() {
  rmdir "$RECORD" "$PREFIX/releases" "$PREFIX" "${CONFIG%/*}" 2>/dev/null
  return 0
}
