#!/usr/bin/env bash
# Measures `cdrlog ship` to real servers on this machine: how fast a backlog goes, how much memory that takes, and
# how long lines are on their way while they are written. Needs the program built for it:
#
#   cargo build --release -p cdrlog-cli --no-default-features --features s3,postgres,nats --bin cdrlog
#   cli/scripts/bench-ship.sh [lines [seconds [destination …]]]
#
# Destinations are directory, s3 (SeaweedFS, `weed`), postgres and nats (`nats-server`); by default all of which there
# is a server. `lines` is the backlog, by default 1000000 of 286 bytes; `seconds` is how long lines are written at
# 20000/s, by default 15, and 0 for not at all. Needs python3, and zstd for the ages of nats.
set -euo pipefail
cd "$(dirname "$0")/../.."
lines=${1:-1000000} seconds=${2:-15}
shift $(($# < 2 ? $# : 2))
program=${CARGO_TARGET_DIR:-target}/release/cdrlog
home=$(mktemp -d "${TMPDIR:-/tmp}/cdrlog-bench.XXXXXX")
chmod 755 "$home"
servers=()

finish() {
    local server
    for server in "${servers[@]}"; do
        kill -INT "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    done
    rm -rf "$home"
}
trap finish EXIT

fail() {
    echo "error: $*" >&2
    exit 1
}
[[ -x $program ]] || fail "build the program first: see the top of this script"

# Waits until something listens to a port.
wait_for() {
    local tries
    for tries in $(seq 600); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.1
    done
    fail "nothing listens to port $1"
}

# Bodies of events whose lines have 286 bytes; with a rate, as many in each second.
events() {
    python3 -c '
import sys, time
count, rate = int(sys.argv[1]), int(sys.argv[2])
begin = time.time()
head = "{\"sessionId\":\"ses_%06d\",\"uniqueSessionId\":\"ses_%06d_1538481328\",\"timestamp\":%d,\"participantId\":\"con_%08d\",\"connection\":\"OUTBOUND\",\"videoSource\":\"CAMERA\",\"videoFramerate\":30,\"n\":1%08d,\"pad\":\"%s\",\"event\":\"webrtcConnectionCreated\"}\n"
pad = "x" * (286 - len(head % (0, 0, 10 ** 12, 0, 0, "")) + len(",\"event\":\"webrtcConnectionCreated\"") - len("{\"webrtcConnectionCreated\":}"))
for number in range(0, count, 200):
    now = int(time.time() * 1000)
    last = min(number + 200, count)
    sys.stdout.write("".join(head % (n // 50 % 10 ** 6, n // 50 % 10 ** 6, now, n % 10 ** 8, n, pad) for n in range(number, last)))
    if rate:
        sys.stdout.flush()
        time.sleep(max(0, begin + last / rate - time.time()))
' "$1" "$2"
}

# Appends bodies to the CDR of a directory.
append() {
    "$program" append --dir "$1" - >"$home/append.out" 2>&1 || fail "append failed: $(cat "$home/append.out")"
}

start_s3() {
    cat >"$home/s3.json" <<'JSON'
{"identities":[{"name":"cdr","credentials":[{"accessKey":"cdrkey","secretKey":"cdrsecret"}],"actions":["Admin","Read","List","Write"]}]}
JSON
    mkdir "$home/weed"
    weed -logdir="$home" server -ip=127.0.0.1 -s3 -filer -dir="$home/weed" -s3.config="$home/s3.json" -s3.port=18333 \
        -master.port=19333 -volume.port=18080 -filer.port=18888 -volume.max=50 -master.volumeSizeLimitMB=256 >"$home/weed.out" 2>&1 &
    servers+=($!)
    wait_for 18888
    wait_for 18333
    local tries
    for tries in $(seq 100); do
        curl -sf -X POST "http://127.0.0.1:18888/buckets/cdr/" >/dev/null && break
        sleep 0.2
    done
    export AWS_ACCESS_KEY_ID=cdrkey AWS_SECRET_ACCESS_KEY=cdrsecret
    to="s3://cdr/bench?endpoint=http://127.0.0.1:18333&region=us-east-1"
}

start_nats() {
    printf 'listen: "127.0.0.1:14222"\njetstream { store_dir: "%s", sync_interval: always }\n' "$home/nats" >"$home/nats.conf"
    nats-server -c "$home/nats.conf" -l "$home/nats.log" &
    servers+=($!)
    wait_for 14222
    to=nats://127.0.0.1:14222/CDR
}

start_postgres() {
    local bin as=()
    bin=$(dirname "$(ls /usr/lib/postgresql/*/bin/initdb | tail -n 1)")
    # It refuses to be run by root.
    ((EUID != 0)) || as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
    mkdir "$home/postgres"
    ((EUID != 0)) || chown postgres "$home/postgres"
    "${as[@]}" "$bin/initdb" --auth=trust --username=cdr --locale=C --encoding=UTF8 "$home/postgres/data" >/dev/null
    "${as[@]}" "$bin/postgres" -D "$home/postgres/data" -p 15432 -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
        -c track_commit_timestamp=on -c max_wal_size=4GB -c shared_buffers=256MB >"$home/postgres.log" 2>&1 &
    servers+=($!)
    wait_for 15432
    psql="$bin/psql -h 127.0.0.1 -p 15432 -U cdr -d cdr -AtX"
    until "$bin/createdb" -h 127.0.0.1 -p 15432 -U cdr cdr 2>/dev/null; do sleep 0.2; done
    to="postgres://cdr@127.0.0.1:15432/cdr?sslmode=disable"
}

# Runs `ship --once`, and says how long it took and the most memory that it had.
ship_once() {
    python3 -c '
import subprocess, sys, time
begin, peak = time.time(), 0
child = subprocess.Popen(sys.argv[1:])
while child.poll() is None:
    try:
        with open("/proc/%d/status" % child.pid) as status:
            peak = max([peak] + [int(line.split()[1]) for line in status if line.startswith("VmHWM")])
    except OSError:
        pass
    time.sleep(0.002)
if child.returncode:
    sys.exit("ship ended with %d" % child.returncode)
print("%.3f %d" % (time.time() - begin, peak // 1024))
' "$program" ship --once --dir "$1" --to "$to"
}

# The ages of lines when the database had committed them, in milliseconds: median, 99 %, most.
ages_postgres() {
    $psql -F ' ' -c "
        SELECT percentile_cont(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (ORDER BY extract(epoch FROM b.committed - e.at) * 1000)
        FROM cdr_event e JOIN (SELECT node, stream, seq, pg_xact_commit_timestamp(xmin) committed FROM cdr_block) b
        USING (node, stream, seq) WHERE e.stream = 'lines' AND node = '$1'" | tr -d '{}' | tr , ' '
}

# The same when JetStream had stored them.
ages_nats() {
    python3 -c '
import base64, datetime, json, re, socket, subprocess, sys
socket = socket.create_connection(("127.0.0.1", 14222)); stream = socket.makefile("rb")
stream.readline(); socket.sendall(b"CONNECT {\"verbose\":false}\r\nSUB _INBOX.t 1\r\n")
ages, number = [], 1
while True:
    request = json.dumps({"seq": number, "next_by_subj": "cdr.lines." + sys.argv[1]}).encode()
    socket.sendall(b"PUB $JS.API.STREAM.MSG.GET.CDR _INBOX.t %d\r\n%s\r\n" % (len(request), request))
    line = stream.readline()
    while not line.startswith(b"MSG"):
        if line.startswith(b"PING"): socket.sendall(b"PONG\r\n")
        line = stream.readline()
    answer = json.loads(stream.read(int(line.split()[-1]) + 2))
    if "message" not in answer: break
    message = answer["message"]; number = message["seq"] + 1
    stored = datetime.datetime.fromisoformat(message["time"][:26].rstrip("Z") + "+00:00").timestamp() * 1000
    lines = subprocess.run(["zstd", "-dcq"], input=base64.b64decode(message.get("data", "")), capture_output=True, check=True).stdout
    ages += [stored - int(at) for at in re.findall(rb"\"timestamp\":(\d+)", lines)]
ages.sort()
print(*(round(ages[int(part * (len(ages) - 1))]) for part in (0.5, 0.99, 1)))
' "$1"
}

measure() {
    local name=$1 time peak idle idle_time
    rm -rf "$home/small" "$home/ages"
    [[ $name == directory ]] || "$program" ship --init --to "$to" 2>/dev/null
    events 10 0 | append "$home/small"
    read -r idle_time idle < <(ship_once "$home/small")
    rm -rf "$home/backlog/.cdrlog/ship" "$home/backlog/.cdrlog/node"
    read -r time peak < <(ship_once "$home/backlog")
    python3 -c '
import sys
name, lines, time, idle_time, peak, idle = sys.argv[1], *map(float, sys.argv[2:])
print("%-9s %9.0f lines/s, %3.0f MiB at most, %3.0f MiB more than with ten lines" % (name, lines / (time - idle_time), peak, peak - idle))
' "$name" "$lines" "$time" "$idle_time" "$peak" "$idle"
    if ((seconds > 0)) && [[ $name == postgres || $name == nats ]]; then
        events 1 0 | append "$home/ages"
        "$program" ship --dir "$home/ages" --to "$to" --node ages & local shipper=$!
        events $((seconds * 20000)) 20000 | append "$home/ages"
        sleep 2
        kill "$shipper" && wait "$shipper" || true
        read -r -a ages < <("ages_$name" ages)
        printf '%-9s at 20000 lines/s, a line is there after %.0f ms (median), %.0f ms (99 %%), %.0f ms (most)\n' "$name" "${ages[@]}"
    fi
}

destinations=("$@")
if ((${#destinations[@]} == 0)); then
    destinations=(directory)
    ! command -v weed >/dev/null || destinations+=(s3)
    ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || destinations+=(postgres)
    ! command -v nats-server >/dev/null || destinations+=(nats)
fi
events "$lines" 0 | append "$home/backlog"
echo "$lines lines, $(du -sm "$home/backlog" | cut -f1) MiB, $(nproc) cores"
for destination in "${destinations[@]}"; do
    case $destination in
    directory) to="file://$home/archive" ;;
    *) "start_$destination" ;;
    esac
    measure "$destination"
done
