#!/usr/bin/env bash
# Makes a release of the last commit twice, in two folders, and compares every byte. Then it verifies what a stranger
# verifies, with the commands of docs/install.md, and tries the package and the image.
#
#     cli/scripts/check-release.sh [MACHINE...]
#
# Takes about an hour for both machines. $CDRLOG_PROFILE is the profile of cargo, release by default.
set -euo pipefail
cd "$(dirname "$0")/../.."
repository=$PWD
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
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

minisign -G -W -p "$scratch/cdrlog.pub" -s "$scratch/cdrlog.key" >/dev/null
export CDRLOG_SIGNING_KEY=$scratch/cdrlog.key
unset CARGO_TARGET_DIR
for folder in first another/folder; do
    git clone --quiet "$repository" "$scratch/$folder"
    "$scratch/$folder/cli/scripts/release/release.sh" "$scratch/$folder-release" "$@"
    # Only one build fits on a small disk.
    rm -rf "${scratch:?}/$folder"
done
first=$scratch/first-release
diff --recursive --brief "$first" "$scratch/another/folder-release" || fail "the two builds differ"
echo "both builds have the same bytes"

# The commands after "Check what you have downloaded", among the artefacts.
awk '/^## Check what you have/ {section = 1} section && /^```$/ {exit} inside; section && /^```sh$/ {inside = 1}' \
    docs/install.md >"$scratch/verify"
[[ -s $scratch/verify ]] || fail "docs/install.md has no commands that verify"
cp "$scratch/cdrlog.pub" "$first/"
(cd "$first" && bash -eux "$scratch/verify")
rm "$first/cdrlog.pub"
(cd "$first" && for name in *; do [[ $name == SHA256SUMS* ]] || grep -q " $name\$" SHA256SUMS || exit 1; done) ||
    fail "SHA256SUMS does not name every artefact"

architecture=$(dpkg --print-architecture)
check "the package" cli/scripts/check-package.sh "$first/cdrlog_${version}_$architecture.deb"
check "the image" cli/scripts/check-image.sh "$first/cdrlog-$version-$architecture.oci.tar"
mkdir "$scratch/unpacked"
tar --extract --zstd --file "$first/cdrlog-$version-$(uname -m)-linux.tar.zst" --directory "$scratch/unpacked"
program=$scratch/unpacked/cdrlog-$version-$(uname -m)-linux/bin/cdrlog
[[ $("$program" --version) == "cdrlog $version" ]] || fail "the static program has another version"
[[ $(readelf --program-headers "$program") != *INTERP* ]] || fail "the program is not static"
! strings "$program" | grep -F -e "$scratch" -e "$HOME/" || fail "the program names folders of this machine"
if ((${#not_checked[@]} > 0)); then
    printf 'not checked: %s\n' "${not_checked[@]}"
    exit 3
fi
