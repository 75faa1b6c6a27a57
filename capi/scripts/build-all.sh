#!/usr/bin/env bash
# Builds what others install: the program, with all of its features, and the static and the shared C library, for
# x86-64 and aarch64, each with glibc ($CDRLOG_GLIBC or newer, 2.28 by default) and with musl. Then it runs the tests in
# C with both libraries, and the program.
#
#     capi/scripts/build-all.sh DIRECTORY [TARGET...]
#
# makes DIRECTORY/TARGET/{bin,include,lib}. Zig is the C compiler and the linker for all targets; it and cargo-zigbuild
# come from PyPI, into a folder of their own. Programs for aarch64 run by an emulator (qemu-aarch64). What cannot be run
# here is named at the end.
#
# The same commit gives the same bytes in any folder, with the same rustc, cargo-zigbuild and zig: DIRECTORY/build.txt
# names those.
#
# $CDRLOG_PROFILE is the profile of cargo, release by default; $CDRLOG_PARTS is what to build, "program library" by
# default.
set -euo pipefail

if (($# == 0)); then
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
fi
mkdir -p "$1"
out=$(realpath "$1")
shift
cd "$(dirname "$0")/../.."
targets=("$@")
((${#targets[@]} > 0)) || targets=({x86_64,aarch64}-unknown-linux-{gnu,musl})
glibc=${CDRLOG_GLIBC:-2.28}
profile=${CDRLOG_PROFILE:-release}
profile_dir=$profile
[[ $profile != dev ]] || profile_dir=debug
read -ra parts <<<"${CDRLOG_PARTS:-program library}"
target_dir=$(realpath -m "${CARGO_TARGET_DIR:-target}")
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# 0.x: each minor version may break the one before.
soname=libcdrlog.so.${version%.*}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
not_run=()

fail() {
    echo "error: $*" >&2
    exit 1
}

builds() {
    [[ " ${parts[*]} " == *" $1 "* ]]
}

install_zig() {
    local tools=$target_dir/zig
    if [[ ! -x $tools/bin/cargo-zigbuild ]]; then
        python3 -m venv "$tools"
        "$tools/bin/pip" install --quiet --requirement capi/scripts/requirements.txt
    fi
    export PATH=$tools/bin:$PATH
    zig=("$tools/bin/python3" -m ziglang)
}

# Nothing that is built may name the folders of this machine: panics, `assert` of C, and `file!`.
hide_folders() {
    local cargo_home=${CARGO_HOME:-$HOME/.cargo} flags
    flags=("--remap-path-prefix=$PWD=/cdrlog" "--remap-path-prefix=$target_dir=/target"
        "--remap-path-prefix=$cargo_home=/cargo")
    CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && echo "${flags[*]}")
    export CARGO_ENCODED_RUSTFLAGS
    export CFLAGS="-ffile-prefix-map=$cargo_home=/cargo -ffile-prefix-map=$target_dir=/target"
    # What makes the next build fast is no part of a release.
    export CARGO_INCREMENTAL=0
}

# The target as cargo-zigbuild names it: with the version of glibc.
with_glibc() {
    [[ $1 == *-gnu ]] && echo "$1.$glibc" || echo "$1"
}

# The target as zig names it.
zig_target() {
    local target
    target=$(with_glibc "$1")
    echo "${target/-unknown/}"
}

has_std() {
    [[ -d $(rustc --print sysroot)/lib/rustlib/$1/lib ]] || rustup target add "$1" >"$scratch/rustup" 2>&1 || {
        cat "$scratch/rustup" >&2
        fail "Rust has no standard library for $1 here: rustup target add $1"
    }
}

build_program() {
    local target=$1 bin=$out/$1/bin
    # Symbols are half of it, so the linker leaves them out: Zig has no `strip`. Backtraces of panics keep their addresses.
    cargo-zigbuild rustc --locked --profile "$profile" --target "$(with_glibc "$target")" -p cdrlog-cli --bin cdrlog \
        --all-features -- -C link-arg=-s
    mkdir -p "$bin"
    cp "$target_dir/$target/$profile_dir/cdrlog" "$bin/cdrlog"
    chmod 0755 "$bin/cdrlog"
}

build_library() {
    local target=$1 lib=$out/$1/lib
    # Only the static library: `link_shared` makes the other.
    cargo-zigbuild rustc --locked --profile "$profile" --target "$(with_glibc "$target")" -p cdrlog-capi --lib \
        --crate-type staticlib
    mkdir -p "$lib/pkgconfig" "$out/$target/include"
    cp "$target_dir/$target/$profile_dir/libcdrlog.a" "$lib/"
    cp capi/include/cdrlog.h "$out/$target/include/"
    link_shared "$target" "$lib"
    pkg_config >"$lib/pkgconfig/cdrlog.pc"
}

# rustc makes shared libraries without versions of symbols, and none for musl. So the shared library is linked from the
# static one, as build.rs has it linked, with the list of symbols that a test compares with the header.
link_shared() {
    local target=$1 lib=$2 undefined
    {
        echo "$soname { global:"
        sed 's/$/;/' capi/symbols.txt
        echo "local: *; };"
    } >"$scratch/versions"
    mapfile -t undefined < <(sed 's/^/-Wl,-u,/' capi/symbols.txt)
    "${zig[@]}" cc -target "$(zig_target "$target")" -shared -s -Wl,--gc-sections -Wl,-soname,"$soname" -Wl,-z,nodelete \
        -Wl,--version-script="$scratch/versions" "${undefined[@]}" "$lib/libcdrlog.a" -lunwind \
        -o "$lib/libcdrlog.so.$version"
    ln -sf "libcdrlog.so.$version" "$lib/$soname"
    ln -sf "$soname" "$lib/libcdrlog.so"
    nm -D --defined-only "$lib/libcdrlog.so" | sed -n 's/.* T \(cdrlog_[a-z_]*\)@@.*/\1/p' | LC_ALL=C sort \
        >"$scratch/exported"
    LC_ALL=C sort capi/symbols.txt | cmp - "$scratch/exported" ||
        fail "the shared library for $target does not export the symbols of capi/symbols.txt"
}

pkg_config() {
    cat <<PC
prefix=\${pcfiledir}/../..
libdir=\${prefix}/lib
includedir=\${prefix}/include

Name: cdrlog
Description: Append-only Call Detail Record log for media servers
Version: $version
Libs: -L\${libdir} -lcdrlog
Cflags: -I\${includedir}
PC
}

# Sets `runner` to what runs programs for the target here; fails if nothing does.
find_runner() {
    case $1 in
    "$(uname -m)"-*) runner=(env) ;;
    aarch64-*-musl) runner=(qemu-aarch64) ;;
    aarch64-*-gnu) runner=(qemu-aarch64 -L /usr/aarch64-linux-gnu) ;;
    *) return 1 ;;
    esac
    command -v "${runner[0]}" >/dev/null && [[ ${runner[1]:-} != -L || -d ${runner[2]} ]]
}

check_program() {
    local target=$1 runner lines=$scratch/cdr
    if ! find_runner "$target"; then
        not_run+=("$target: the program")
        return
    fi
    "${runner[@]}" "$out/$target/bin/cdrlog" append --inbox-directory none --dir "$lines" tests/data/webhooks.jsonl
    cat "$lines"/CDR.*.log | cmp - tests/data/cdr.jsonl || fail "$target: the program wrote other lines"
    rm -rf "$lines"
    "${runner[@]}" "$out/$target/bin/cdrlog" --version
}

# Runs the tests in C with one form of the library, without those whose child is forked in an emulator, which cannot
# clear its pages as the kernel does.
check_library() {
    local target=$1 form=$2 lib=$out/$1/lib program=$scratch/api-$1-$2 runner name names link
    case $form in
    shared) link=(-L "$lib" -lcdrlog "-Wl,-rpath,$lib") ;;
    static) link=("$lib/libcdrlog.a" -lunwind) ;;
    esac
    # Musl's loader is not on a machine with glibc.
    [[ $target-$form != *-musl-static ]] || link+=(-static)
    "${zig[@]}" cc -target "$(zig_target "$target")" -std=c11 -pthread -I "$out/$target/include" \
        -DCDRLOG_TEST_VERSION="\"$version\"" capi/tests/c/*.c "${link[@]}" -o "$program"
    if ! find_runner "$target" || ! has_loader "$program"; then
        not_run+=("$target: the tests of the $form library")
        return
    fi
    mapfile -t names < <("${runner[@]}" "$program")
    ((${#names[@]} > 20)) || fail "$target: the program has only ${#names[@]} tests"
    mkdir -p "$scratch/inboxes"
    for name in "${names[@]}"; do
        [[ ${runner[0]} != qemu* || $name != *fork* ]] || continue
        mkdir "$scratch/cdr"
        CDRLOG_INBOX_DIRECTORY=/dev/shm "${runner[@]}" "$program" "$name" "$scratch/cdr" ||
            fail "$target: the test $name fails with the $form library"
        rm -rf "$scratch/cdr"
    done
    echo "$target: ${#names[@]} tests passed with the $form library"
}

# Whether the program's loader is there, and new enough: Rust's library calls functions that musl has since 1.2.5.
has_loader() {
    local loader root= version
    [[ ${runner[1]:-} != -L ]] || root=${runner[2]}
    loader=$(readelf --program-headers "$1" | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
    [[ -z $loader || -e $root$loader ]] || return 1
    [[ $loader == */ld-musl-* ]] || return 0
    version=$("${runner[@]}" "$loader" 2>&1 | sed -n 's/^Version //p') || true
    printf '%s\n' 1.2.5 "$version" | sort --version-sort --check=quiet
}

install_zig
hide_folders
for target in "${targets[@]}"; do
    has_std "$target"
    if builds program; then
        build_program "$target"
        check_program "$target"
    fi
    if builds library; then
        build_library "$target"
        check_library "$target" static
        check_library "$target" shared
    fi
done
{
    rustc --version
    cargo-zigbuild --version
    echo "zig $("${zig[@]}" version)"
    echo "glibc $glibc"
} >"$out/build.txt"
if ((${#not_run[@]} > 0)); then
    printf 'not run here: %s\n' "${not_run[@]}"
fi
