#!/usr/bin/env bash
# Sends COUNT requests, CONCURRENCY at a time, and prints what came back and how fast.
#
#   scripts/load_test.sh [COUNT [CONCURRENCY [URL [PHOTO]]]]
#
# POSTs PHOTO to URL; with PHOTO given as -, GETs the URL as it is.
set -euo pipefail

case ${1-} in -h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit ;; esac
count=${1:-100} concurrency=${2:-2} url=${3:-http://127.0.0.1:4444/predict}
photo=${4:-$(dirname "$0")/../docs/astronaut.jpg}

fail() { echo "load_test.sh: $*" >&2; exit 2; }
for number in "$count" "$concurrency"; do
  [[ $number =~ ^[1-9][0-9]{0,6}$ ]] || fail "COUNT and CONCURRENCY are whole numbers, not '$number'"
done
form=
if [[ $photo != - ]]; then
  [[ -r $photo ]] || fail "cannot read the photo $photo"
  form="form = \"image=@$photo\""
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
