#!/usr/bin/env bash
# Runs a container image of cdrlog with runc, as its configuration says: not as root, and without a root that can be
# written to. It has to take an event, to be healthy by its own health check, and to end in order.
#
#     cli/scripts/check-image.sh IMAGE.oci.tar     as root
#
# Exit codes: 0 all was checked, 1 something is wrong, 3 it could not be checked.
set -euo pipefail
image=$(realpath "$1")
scratch=$(mktemp -d)
name=cdrlog-check-$$
port=$((20000 + $$ % 10000))

finish() {
    runc delete --force "$name" >/dev/null 2>&1 || true
    rm -rf "$scratch"
}
trap finish EXIT

fail() {
    echo "error: $*" >&2
    [[ ! -e $scratch/log ]] || tail -n 20 "$scratch/log" >&2
    exit 1
}

((EUID == 0)) && command -v runc >/dev/null && command -v jq >/dev/null || {
    echo "not checked: the image (apt-get install runc jq curl; run as root)" >&2
    exit 3
}

# From the index to the layer, each blob with the hash that names it.
mkdir "$scratch/layout" "$scratch/rootfs" "$scratch/cdr"
tar --extract --file "$image" --directory "$scratch/layout"
blob() {
    local path=$scratch/layout/blobs/sha256/${1#sha256:}
    echo "${1#sha256:}  $path" | sha256sum --check --status || fail "the blob $1 is missing or damaged"
    echo "$path"
}
manifest=$(blob "$(jq -r '.manifests[0].digest' "$scratch/layout/index.json")")
config=$(blob "$(jq -r .config.digest "$manifest")")
layer=$(blob "$(jq -r '.layers[0].digest' "$manifest")")
[[ $(gzip -dc "$layer" | sha256sum | cut -d' ' -f1) == "$(jq -r '.rootfs.diff_ids[0]' "$config" | cut -d: -f2)" ]] ||
    fail "the layer is not the one of the configuration"
[[ $(jq -r '.[0].Config' "$scratch/layout/manifest.json") == "${config#"$scratch/layout/"}" ]] ||
    fail "manifest.json names another configuration"
tar --extract --gzip --file "$layer" --directory "$scratch/rootfs" --same-permissions --numeric-owner
chown 10001:10001 "$scratch/cdr"

# What Docker makes of the configuration, with a volume for /cdr, a tmpfs for /inbox, and the network of this machine.
(cd "$scratch" && runc spec)
jq --slurpfile image "$config" --arg cdr "$scratch/cdr" --arg port "$port" '
    $image[0].config as $config
    | ($config.User | split(":") | map(tonumber)) as [$uid, $gid]
    | .root = {path: "rootfs", readonly: true}
    | .process.terminal = false
    | .process.user = {uid: $uid, gid: $gid}
    | .process.args = $config.Entrypoint + $config.Cmd
    | .process.cwd = $config.WorkingDir
    | .process.env = ($config.Env | map(select(startswith("CDRLOG_LISTEN=") | not)))
        + ["CDRLOG_LISTEN=127.0.0.1:" + $port, "CDRLOG_INBOX_DIRECTORY=/inbox", "TZ=Europe/Madrid"]
    | .process.capabilities = {}
    | .process.noNewPrivileges = true
    | .process.rlimits = []
    | .mounts += [
        {destination: "/cdr", type: "bind", source: $cdr, options: ["bind", "rw"]},
        {destination: "/inbox", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "uid=10001", "mode=0700"]}]
    | .linux.namespaces |= map(select(.type != "network"))' "$scratch/config.json" >"$scratch/config.new"
mv "$scratch/config.new" "$scratch/config.json"

runc run --bundle "$scratch" "$name" >"$scratch/log" 2>&1 &
running=$!
mapfile -t health < <(jq -r '.config.Healthcheck.Test[1:][]' "$config")
is_healthy() {
    runc exec "$name" "${health[@]}" >"$scratch/health" 2>&1
}
for _ in $(seq 100); do
    ! is_healthy || break
    kill -0 "$running" 2>/dev/null || fail "the container has ended"
    sleep 0.1
done
is_healthy || fail "the container is not healthy: $(cat "$scratch/health")"
[[ $(curl -sS -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/" -d '{"event":"e","n":1}') == 200 ]] ||
    fail "the event is not taken"
runc exec "$name" /usr/bin/cdrlog --version
[[ -n $(runc exec "$name" /usr/bin/cdrlog recover --dir /cdr 2>&1 | grep 'in use') ]] || fail "nobody writes to /cdr"
runc kill "$name" TERM
wait "$running" || fail "the container did not end in order"
[[ $(cat "$scratch"/cdr/CDR.*.log) == '{"e":{"n":1}}' ]] || fail "the line is not there"
[[ $(stat -c %u "$scratch"/cdr/CDR.*.log) == 10001 ]] || fail "the record belongs to another user"
! grep -q 'WARN\|ERROR' "$scratch/log" || fail "the server complained"
echo "the image runs without root, is healthy, and its line is there"
