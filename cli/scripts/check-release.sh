#!/usr/bin/env bash
# Makes a release of the last commit twice, in two folders, and compares every byte. Then check-artefacts.sh tries it.
#
#     cli/scripts/check-release.sh [MACHINE...]
#
# Takes two slow cores two hours for both machines. $CDRLOG_PROFILE is the profile of cargo, release by default.
#
# Exit codes: 0 all was checked, 1 something is wrong, 3 all is right that could be checked.
set -euo pipefail
cd "$(dirname "$0")/../.."
repository=$PWD
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "error: $*" >&2
    exit 1
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
diff --recursive --brief "$scratch/first-release" "$scratch/another/folder-release" || fail "the two builds differ"
echo "both builds have the same bytes"
cli/scripts/check-artefacts.sh "$scratch/first-release" "$scratch/cdrlog.pub"
