#!/usr/bin/env bash
# What quill and BqLog keep of the events that were sent when the process is killed: the rows for the table of `cargo
# bench --bench killed`. The two are not in the package registries of Rust, so their sources are named:
#
#     benches/others/killed.sh QUILL BQLOG
#
# QUILL and BQLOG are clones of their repositories. Needs a C++ compiler.
set -euo pipefail
if (($# != 2)); then
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
fi
quill=$(cd "$1" && pwd) bqlog=$(cd "$2" && pwd)
cd "$(dirname "$0")"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
rounds=11

g++ -O2 -std=c++17 -I "$quill/include" quill.cpp -o "$scratch/quill" -pthread
mapfile -t sources < <(find "$bqlog/src" -name '*.cpp')
g++ -O2 -std=c++17 -I "$bqlog/include" -I "$bqlog/src" bqlog.cpp "${sources[@]}" -o "$scratch/bqlog" -pthread -ldl

# Prints the median and the largest number of missing lines.
missing() {
    local program=$1 events=$2 every=$3 lost=() round found
    for ((round = 0; round < rounds; round++)); do
        rm -rf "$scratch/log"
        mkdir "$scratch/log"
        (cd "$scratch/log" && "$scratch/$program" "$scratch/log" "$events" "$every") >/dev/null 2>&1 || true
        # What the program does when it starts again.
        (cd "$scratch/log" && "$scratch/$program" "$scratch/log" 0 0) >/dev/null 2>&1
        found=$(find "$scratch/log" -name '*log*' -type f -exec cat {} + | grep -ac participantLeft || true)
        lost+=($((events - found)))
    done
    mapfile -t lost < <(printf '%s\n' "${lost[@]}" | sort -n)
    echo "${lost[rounds / 2]}, ${lost[rounds - 1]}"
}

for program in quill bqlog; do
    echo "| $program | $(missing "$program" 2000 10) | $(missing "$program" 10000 0) |"
done
