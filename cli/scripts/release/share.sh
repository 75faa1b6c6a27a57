#!/usr/bin/env bash
# Makes what comes with the program, whatever it is packed into.
#
#     share.sh PROGRAM LICENCES DIRECTORY
#
# makes DIRECTORY/{man,completions,doc}. PROGRAM is one that runs here; LICENCES is the folder of those of the
# libraries in it.
set -euo pipefail
program=$(realpath "$1") licences=$(realpath "$2")
mkdir -p "$3"
out=$(realpath "$3")
cd "$(dirname "$0")/../../.."

mkdir -p "$out"/{man,completions,doc/docs,doc/examples}
"$program" man --dir "$out/man"
# Without names and times in the compressed files.
gzip --best --no-name "$out"/man/*.1
"$program" completions bash >"$out/completions/cdrlog.bash"
"$program" completions zsh >"$out/completions/_cdrlog"
"$program" completions fish >"$out/completions/cdrlog.fish"

cp README.md CHANGELOG.md SECURITY.md LICENSE-APACHE LICENSE-MIT "$out/doc/"
cp docs/*.md "$out/doc/docs/"
cp -r "$licences" "$out/doc/licences"
cp -r cli/packaging/{grafana,prometheus} "$out/doc/examples/"
