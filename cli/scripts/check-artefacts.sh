#!/usr/bin/env bash
# Checks a release as a stranger would: verifies it with the commands of docs/install.md, and tries the package, the image
# and the static program for this machine.
#
#     cli/scripts/check-artefacts.sh DIRECTORY CDRLOG.PUB
#
# DIRECTORY is what release.sh made, CDRLOG.PUB the public key that belongs to its signature.
#
# Exit codes: 0 all was checked, 1 something is wrong, 3 all is right that could be checked.
set -euo pipefail
release=$(realpath "$1") public_key=$(realpath "$2")
cd "$(dirname "$0")/../.."
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
machine=$(uname -m)
architecture=$(dpkg --print-architecture)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
not_checked=()

fail() {
    echo "error: $*" >&2
    exit 1
}

check() {
    local what=$1 code=0
    shift
    "$@" || code=$?
    case $code in
    0) ;;
    3) not_checked+=("$what") ;;
    *) fail "$what" ;;
    esac
}

# The commands after "Check what you have downloaded", among the artefacts.
verify() {
    awk '/^## Check what you have/ {section = 1} section && /^```$/ {exit} inside; section && /^```sh$/ {inside = 1}' \
        docs/install.md >"$scratch/verify"
    [[ -s $scratch/verify ]] || fail "docs/install.md has no commands that verify"
    mkdir "$scratch/downloaded"
    ln -s "$release"/* "$public_key" "$scratch/downloaded/"
    [[ -e $scratch/downloaded/cdrlog.pub ]] || fail "$public_key is not named cdrlog.pub, as docs/install.md has it"
    (cd "$scratch/downloaded" && bash -eux "$scratch/verify")
    (cd "$release" && for name in *; do
        [[ $name == SHA256SUMS* ]] || grep -q " $name\$" SHA256SUMS || fail "SHA256SUMS does not name $name"
    done)
}

static_program() {
    local name=cdrlog-$version-$machine-linux program
    tar --extract --zstd --file "$release/$name.tar.zst" --directory "$scratch"
    program=$scratch/$name/bin/cdrlog
    [[ $("$program" --version) == "cdrlog $version" ]] || fail "the static program has another version"
    [[ $(readelf --program-headers "$program") != *INTERP* ]] || fail "the program is not static"
    ! strings "$program" | grep -F -e /tmp/ -e "$HOME/" || fail "the program names folders of the machine that made it"
}

verify
static_program
check "the package" cli/scripts/check-package.sh "$release/cdrlog_${version}_$architecture.deb"
check "the image" cli/scripts/check-image.sh "$release/cdrlog-$version-$architecture.oci.tar"
if ((${#not_checked[@]} > 0)); then
    printf 'not checked: %s\n' "${not_checked[@]}"
    exit 3
fi
