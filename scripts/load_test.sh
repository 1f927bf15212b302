#!/usr/bin/env bash
# Sends requests to a server, and prints what came back and how fast.
#
#   scripts/load_test.sh [COUNT [CONCURRENCY [URL [PHOTO]]]]
#   scripts/load_test.sh --rate N --seconds S [URL [PHOTO]]
#
# POSTs PHOTO to URL; with PHOTO given as -, GETs the URL as it is.
#
# The first form sends COUNT requests, CONCURRENCY at a time: each client waits for its answer
# before it asks again, so that the server sets the pace. The exit status is 0 if every answer was
# a 200, and 1 otherwise.
#
# The second form starts N requests a second for S seconds, whatever the answers take, as many
# strangers would: it shows what admission does. It needs python3. Times count from the moment that
# a request was due. The exit status is
#   0  every answer was a 200, or a 429 with Retry-After
#   1  some were not, or did not come within 60 s
#   3  this machine could not keep the pace: more than 1 % started over 50 ms late
# and with either form 2 for arguments that make no sense.
set -euo pipefail
export LC_ALL=C # curl's decimal point is sort's too, whatever the caller's language

case ${1-} in -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit ;; esac
fail() { echo "load_test.sh: $*" >&2; exit 2; }

rate='' seconds=''
while [[ ${1-} == --* ]]; do
  [[ ${2-} =~ ^[0-9]{1,5}(\.[0-9]{1,3})?$ && $2 =~ [1-9] ]] || fail "$1 takes a number, not '${2-}'"
  case $1 in
    --rate) rate=$2 ;;
    --seconds) seconds=$2 ;;
    *) fail "there is no $1; see --help" ;;
  esac
  shift 2
done
if [[ $rate$seconds ]]; then
  [[ $rate && $seconds ]] || fail "--rate and --seconds go together"
  set -- 1 1 "$@"
fi
quoted() { sed 's/[\\"]/\\&/g' <<<"$1"; }

count=${1:-100} concurrency=${2:-2} url=${3:-http://127.0.0.1:4444/predict}
photo=${4:-$(dirname "$0")/../docs/astronaut.jpg}
for number in "$count" "$concurrency"; do
  [[ $number =~ ^[1-9][0-9]{0,6}$ ]] || fail "COUNT and CONCURRENCY are whole numbers, not '$number'"
done
form=
if [[ $photo != - ]]; then
  [[ -r $photo ]] || fail "cannot read the photo $photo"
  # Quoted for -F, where a comma or a semicolon would end the name, and once more for the file.
  form="image=@\"$(quoted "$photo")\""
  form="form = \"$(quoted "$form")\""
fi
if [[ $rate ]]; then
  exec python3 "$(dirname "$0")/open_loop.py" "$rate" "$seconds" "$url" "$photo"
fi
answers=$(mktemp -d)
trap 'rm -rf "$answers"' EXIT

# As many clients as CONCURRENCY, each with a connection that it keeps and one request at a time: a
# process a request would load the machine more than the server does.
requests() {
  for ((i = 0; i < $1; i++)); do
    printf 'url = "%s"\n%s\noutput = "/dev/null"\nsilent\n' "$url" "$form"
    printf 'write-out = "%%{http_code} %%{time_total}\\n"\nnext\n'
  done
}
start=$EPOCHREALTIME
for ((client = 0; client < concurrency && client < count; client++)); do
  requests $(((count + concurrency - 1 - client) / concurrency)) |
    curl --config - >"$answers/$client" 2>/dev/null &
done
wait
end=$EPOCHREALTIME

sort -k2 -g "$answers"/* | awk -v seconds="$(awk "BEGIN { print ${end/,/.} - ${start/,/.} }")" '
  { statuses[$1]++; time[NR] = $2 * 1000 }
  function percentile(p,  i) { i = int((NR * p + 99) / 100); return time[i < 1 ? 1 : i] }
  END {
    if (!NR) { print "no answer at all"; exit 1 }
    printf "%d requests in %.1f s: %.1f requests/s\n", NR, seconds, NR / seconds
    printf "p50 %.0f ms, p95 %.0f ms, p99 %.0f ms\n", percentile(50), percentile(95), percentile(99)
    for (status in statuses)
      printf "%s: %d\n", status == "000" ? "no answer" : "status " status, statuses[status] | "sort"
    close("sort")
    exit statuses["200"] != NR
  }'
