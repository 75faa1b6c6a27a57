#!/bin/sh
# Whether the memory of `cdrlog serve` stays flat: many connections, a steady rate, for some minutes.
# Needs both built: cargo build --release -p cdrlog-cli --bin cdrlog --example serve_load
#
#   cli/scripts/soak-serve.sh [seconds] [connections] [events a second] [options of cdrlog serve …]
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-300} connections=${2:-1000} rate=${3:-10000}
[ $# -lt 3 ] || shift 3
target=${CARGO_TARGET_DIR:-target}/release
home=$(mktemp -d "${TMPDIR:-/tmp}/cdrlog-soak.XXXXXX")
server='' load=''
trap 'kill $server $load 2>/dev/null || true; wait; rm -rf "$home"' EXIT

"$target/cdrlog" serve --listen 127.0.0.1:18789 --dir "$home/cdr" --log warn "$@" & server=$!
sleep 1
"$target/examples/serve_load" 127.0.0.1:18789 "$rate" "$connections" "$seconds" > "$home/load" & load=$!
# The load makes its connections first.
sleep 2
for second in $(seq 10 10 "$seconds"); do
    sleep 10
    awk -v second="$second" '/^VmRSS/ {print second, $2 / 1024}' "/proc/$server/status" >> "$home/resident"
done
wait "$load"
load=''
cat "$home/load"
awk -v all="$seconds" '{print $1 " s: " $2 " MiB"}
    $1 <= 60 {first += $2; firsts++}
    $1 > all - 60 {last += $2; lasts++}
    END {printf "resident: %.1f MiB on average in the first minute, %.1f in the last\n", first / firsts, last / lasts}' \
    "$home/resident"
