#!/bin/sh
# Measures `cdrlog serve` against an axum handler that only reads the body and answers 200, by turns.
# Needs wrk, curl, and both built: cargo build --release -p cdrlog-cli --bin cdrlog --example serve_floor
#
#   cli/scripts/bench-serve.sh [rounds] [seconds] [options of cdrlog serve …]
set -eu
cd "$(dirname "$0")/../.."
rounds=${1:-3} seconds=${2:-5}
[ $# -lt 2 ] || shift 2
target=${CARGO_TARGET_DIR:-target}/release
home=$(mktemp -d "${TMPDIR:-/tmp}/cdrlog-bench.XXXXXX")
server='' floor=''
trap 'kill $server $floor 2>/dev/null || true; wait; rm -rf "$home"' EXIT

# 350 bytes, as OpenVidu sends it.
cat > "$home/post.lua" <<'LUA'
local event = '{"sessionId":"ses_Jd8tUyvhXO","uniqueSessionId":"ses_Jd8tUyvhXO_1538481328","timestamp":1538481330577,' ..
  '"participantId":"con_GPceYjVnMS","connection":"OUTBOUND","videoSource":"CAMERA",' ..
  '"videoFramerate":30,"videoDimensions":"{\\"width\\":640,\\"height\\":480}","event":"webrtcConnectionCreated"'
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local function body(number)
  local head = event .. ',"number":"' .. string.format("%09d", number) .. '","padding":"'
  return head .. string.rep("x", 350 - #head - 2) .. '"}'
end
assert(#body(1) == 350, "the event has " .. #body(1) .. " bytes")
-- More different events than `--dedup-window` remembers, and others in each round: all are written.
local requests, count, number = {}, 300000, 0
local first = count * tonumber(os.getenv("ROUND"))
function init(arguments)
  for index = 1, count do requests[index] = wrk.format(nil, nil, nil, body(first + index)) end
end
function request()
  number = number % count + 1
  return requests[number]
end
LUA

requests() {
    ROUND=$round wrk -t1 -c32 -d"${seconds}s" --latency -s "$home/post.lua" "http://127.0.0.1:$1/" > "$home/wrk.out"
    if grep -q 'Non-2xx\|Socket errors' "$home/wrk.out"; then cat "$home/wrk.out" >&2; exit 1; fi
    awk -v name="$2" '/Requests\/sec/ {r = $2} /^ +50%/ {a = $2} /^ +99%/ {z = $2}
        END {printf "%s %.0f/s, p50 %s, p99 %s\n", name, r, a, z}' "$home/wrk.out"
}

"$target/cdrlog" serve --listen 127.0.0.1:18787 --dir "$home/cdr" --log warn "$@" & server=$!
"$target/examples/serve_floor" 127.0.0.1:18788 & floor=$!
sleep 1
for round in $(seq "$rounds"); do
    requests 18788 "axum  " | tee -a "$home/floor"
    requests 18787 "cdrlog" | tee -a "$home/served"
done
if curl -s http://127.0.0.1:18787/metrics | grep '^cdrlog_events_repeated_total [1-9]'; then
    echo "some events were not written: the figures say nothing" >&2
    exit 1
fi
awk '{sub("/s,", "", $2)} FNR == NR {floor += $2; next} {served += $2}
    END {printf "%.1f %% of axum\n", 100 * served / floor}' "$home/floor" "$home/served"
