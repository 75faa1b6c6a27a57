#!/usr/bin/env bash
# Makes every artefact of a release, with the version of Cargo.toml, in one folder:
#
#     cli/scripts/release/release.sh DIRECTORY [MACHINE...]
#
# MACHINE is x86_64 or aarch64; without one, both. For each there are
#
#     cdrlog_VERSION_ARCHITECTURE.deb         for Debian and Ubuntu: the program, its service and its pages
#     cdrlog-VERSION-MACHINE-linux.tar.zst    the static program and its pages, for any Linux
#     cdrlog-VERSION-ARCHITECTURE.oci.tar     a container image
#     libcdrlog-VERSION-MACHINE-LIBC.tar.zst  the C library, for glibc (gnu) and musl
#
# and for all of them cdrlog-VERSION.cdx.json (what is in the program, CycloneDX), build.txt (what it was built from and
# with), SHA256SUMS, and SHA256SUMS.minisig if $CDRLOG_SIGNING_KEY names a secret key of minisign (`minisign -G -W`).
#
# The same commit gives the same bytes in any folder. Needs Python, zstd, dpkg-deb, and the standard libraries of Rust that
# it asks rustup for; everything else comes from PyPI and crates.io, in versions that are fixed here.
set -euo pipefail

if (($# == 0)); then
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
fi
mkdir -p "$1"
out=$(realpath "$1")
shift
machines=("$@")
((${#machines[@]} > 0)) || machines=(x86_64 aarch64)
cd "$(dirname "$0")/../../.."
here=cli/scripts/release
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
target_dir=$(realpath -m "${CARGO_TARGET_DIR:-target}")
# The time of all files: that of the commit.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export CDRLOG_GLIBC=${CDRLOG_GLIBC:-2.28}
cyclonedx_version=0.5.9
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "error: $*" >&2
    exit 1
}

[[ -z $(ls -A "$out") ]] || fail "$out is not empty: SHA256SUMS would name what else is there"
for name in python3 zstd dpkg-deb sha256sum; do
    command -v "$name" >/dev/null || fail "there is no $name here"
done

# The names that Debian and images have for a machine.
architecture() {
    case $1 in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) fail "there is no release for $1, only for x86_64 and aarch64" ;;
    esac
}

build_all() {
    local machine targets=()
    for machine in "${machines[@]}"; do
        architecture "$machine" >/dev/null
        targets+=("$machine-unknown-linux-gnu" "$machine-unknown-linux-musl")
    done
    capi/scripts/build-all.sh "$scratch/build" "${targets[@]}"
    {
        echo "cdrlog $version, commit $(git describe --always --abbrev=40 --dirty --exclude '*')"
        cat "$scratch/build/build.txt"
    } >"$out/build.txt"
}

# The licences of what is linked into the program: libraries of Rust, its standard library, and the C library.
gather_licences() {
    local std
    mkdir "$scratch/licences"
    python3 $here/licences.py cdrlog-cli "${machines[@]/%/-unknown-linux-musl}" >"$scratch/licences/libraries.txt"
    std=$(rustc --print sysroot)/share/doc/rust/COPYRIGHT-library.html
    [[ -e $std ]] || fail "this installation of Rust has no $std"
    cp "$std" "$scratch/licences/rust-standard-library.html"
    cp "$target_dir"/zig/lib/python3*/site-packages/ziglang/lib/libc/musl/COPYRIGHT "$scratch/licences/musl.txt"
}

pack_program() {
    local machine=$1 folder=$scratch/tar-$1
    mkdir -p "$folder/share/"{man/man1,bash-completion/completions,zsh/site-functions,fish/vendor_completions.d}
    install -D -m 0755 "$scratch/build/$machine-unknown-linux-musl/bin/cdrlog" "$folder/bin/cdrlog"
    cp "$scratch"/share/man/*.1.gz "$folder/share/man/man1/"
    cp "$scratch/share/completions/cdrlog.bash" "$folder/share/bash-completion/completions/cdrlog"
    cp "$scratch/share/completions/_cdrlog" "$folder/share/zsh/site-functions/"
    cp "$scratch/share/completions/cdrlog.fish" "$folder/share/fish/vendor_completions.d/"
    mkdir "$folder/share/doc"
    cp -r "$scratch/share/doc" "$folder/share/doc/cdrlog"
    cp cli/packaging/cdrlog.{service,socket,toml} "$folder/share/doc/cdrlog/examples/"
    $here/archive.sh "$folder" "cdrlog-$version-$machine-linux" "$out"
}

pack_library() {
    local machine=$1 libc=$2 folder=$scratch/build/$1-unknown-linux-$2
    mkdir -p "$folder/share/doc/libcdrlog"
    cp docs/embedding.md LICENSE-APACHE LICENSE-MIT "$folder/share/doc/libcdrlog/"
    cp -r "$scratch/licences" "$folder/share/doc/libcdrlog/licences"
    # The program is in an archive of its own.
    rm -r "${folder:?}/bin"
    $here/archive.sh "$folder" "libcdrlog-$version-$machine-$libc" "$out"
}

# An image without a system needs the authorities that its clients trust, and time zones, of a package each.
image_contents() {
    local packages=$target_dir/image-contents
    "$target_dir/zig/bin/pip" install --quiet --upgrade --no-deps --target "$packages" \
        --requirement $here/image-requirements.txt
    certificates=$packages/certifi/cacert.pem
    zones=$scratch/zones
    cp -r "$packages/tzdata/zoneinfo" "$zones"
    find "$zones" \( -name '*.py' -o -name __pycache__ \) -prune -exec rm -r {} +
}

pack_all() {
    local machine
    for machine in "${machines[@]}"; do
        $here/deb.sh "$scratch/build/$machine-unknown-linux-gnu/bin/cdrlog" "$scratch/share" "$(architecture "$machine")" \
            "$version" "$out"
        pack_program "$machine"
        python3 $here/image.py "$scratch/build/$machine-unknown-linux-musl/bin/cdrlog" "$(architecture "$machine")" \
            "$version" "$certificates" "$zones" "$scratch/share/doc" "$out/cdrlog-$version-$(architecture "$machine").oci.tar"
        pack_library "$machine" gnu
        pack_library "$machine" musl
    done
}

# Without what differs from run to run: a number, and the folder of this checkout.
bill_of_materials() {
    local tool=$target_dir/cyclonedx/bin/cargo-cyclonedx made=cli/cdrlog-cli.cdx.json
    if [[ ! -x $tool ]]; then
        cargo install --quiet --locked --debug --root "$target_dir/cyclonedx" "cargo-cyclonedx@$cyclonedx_version"
    fi
    "$tool" cyclonedx --manifest-path cli/Cargo.toml --all-features --target all --format json --spec-version 1.5 \
        --override-filename cdrlog-cli.cdx --quiet
    sed -e "s|$PWD|/cdrlog|g" -e '/^  "serialNumber"/d' "$made" >"$out/cdrlog-$version.cdx.json"
    find . -name cdrlog-cli.cdx.json -not -path "./target/*" -delete
}

sign() {
    (cd "$out" && find . -type f ! -name 'SHA256SUMS*' -printf '%P\n' | LC_ALL=C sort | xargs sha256sum >SHA256SUMS)
    if [[ -z ${CDRLOG_SIGNING_KEY:-} ]]; then
        echo "not signed: \$CDRLOG_SIGNING_KEY names no secret key of minisign"
        return
    fi
    command -v minisign >/dev/null || fail "there is no minisign here"
    minisign -S -s "$CDRLOG_SIGNING_KEY" -m "$out/SHA256SUMS" -t "cdrlog $version" </dev/null
}

build_all
gather_licences
$here/share.sh "$scratch/build/$(uname -m)-unknown-linux-musl/bin/cdrlog" "$scratch/licences" "$scratch/share"
image_contents
pack_all
bill_of_materials
sign
ls -l "$out"
