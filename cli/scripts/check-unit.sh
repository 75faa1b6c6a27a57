#!/usr/bin/env bash
# Installs cli/packaging/cdrlog.service as its own comment says, in a container with a systemd of its
# own, and looks whether the service starts, takes events, hands over to a new process, survives a kill
# and ends in order; and, with cdrlog.socket, whether connections wait while it is stopped and started.
# Usage, as root: cli/scripts/check-unit.sh [PROGRAM], by default target/release/cdrlog.
# Where no container can be had it checks what `systemd-analyze` can, and says what it did not check.
# Exit codes: 0 all was checked, 1 something is wrong, 3 a part could not be checked.
set -euo pipefail
cd "$(dirname "$0")/../.."
program=$(realpath "${1:-target/release/cdrlog}")
unit=cli/packaging/cdrlog.service
socket=cli/packaging/cdrlog.socket
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "error: $*" >&2
    exit 1
}

not_checked() {
    echo "not checked: $* (apt-get install systemd-container; run as root, where containers are allowed)" >&2
    exit 3
}

[[ -x $program ]] || fail "there is no program $program: cargo build --release -p cdrlog-cli"
command -v systemd-analyze >/dev/null ||
    not_checked "anything: there is no systemd-analyze"

# The path of the program is that of this machine: the unit's own need not be there.
sed "s|^ExecStart=[^ ]*|ExecStart=$program|" "$unit" >"$scratch/cdrlog.service"
cp "$socket" "$scratch/cdrlog.socket"
systemd-analyze verify --man=no "$scratch"/cdrlog.{service,socket} || fail "systemd-analyze finds faults"
echo "the units are well-formed"

((EUID == 0)) && command -v systemd-nspawn >/dev/null ||
    not_checked "whether the service starts, takes events, reloads and ends"

# A root of its own, with the programs of this machine.
root=$scratch/root
mkdir -p "$root"/{etc/systemd/system,var/lib,run,tmp,proc,sys,dev,root,opt,usr,source/cli,source/target/release}
for name in bin sbin lib lib64; do
    [[ -L /$name ]] || not_checked "whether the service starts: /$name is not in /usr"
    cp -P "/$name" "$root/$name"
done
cp -L /etc/os-release "$root/etc/os-release"
for name in ld.so.cache nsswitch.conf login.defs pam.d alternatives localtime; do
    [[ ! -e /etc/$name ]] || cp -a "/etc/$name" "$root/etc/"
done
printf 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
printf 'root:*:1::::::\n' >"$root/etc/shadow"
echo cdrlog-check >"$root/etc/hostname"
: >"$root/etc/machine-id"

# The commands that the comments of the units give, one after the other.
for name in unit socket; do
    grep -E '^#   (useradd|install|systemctl) ' "${!name}" | sed 's/^#   //' >"$scratch/install-$name"
    [[ $(wc -l <"$scratch/install-$name") -ge 4 ]] || fail "the comment of ${!name} has lost its commands"
    sed -i '1i set -eux' "$scratch/install-$name"
done

cat >"$scratch/check" <<'CHECK'
set -euo pipefail
post() {
    curl -sS -o /dev/null -w '%{http_code}' http://127.0.0.1:8787/ -d "{\"event\":\"e\",\"n\":$1}"
}
lines() {
    cat /var/lib/cdrlog/CDR.*.log | wc -l
}
state() {
    systemctl show --property="$1" --value cdrlog
}
cd /source
bash /check/install-unit
[[ $(systemctl is-active cdrlog) == active ]]
[[ $(post 1) == 200 ]]
[[ $(stat -c '%U:%G %a' /var/lib/cdrlog /run/cdrlog | tr '\n' ' ') == "cdrlog:cdrlog 750 cdrlog:cdrlog 700 " ]]
echo "it starts and takes events"

# A process that posts without an end, over new connections, and counts what fails.
flood() {
    local number=$1 failed=0
    until [[ -e /check/stop ]]; do
        number=$((number + 1))
        [[ $(post "$number" || true) == 200 ]] || failed=$((failed + 1))
    done
    echo "$((number - $1)) $failed" >"/check/flood-$1"
    [[ $failed == 0 ]]
}
end_flood() {
    touch /check/stop
    wait "$flood"
    rm /check/stop
}

touch /run/cdrlog/kept
flood 1000000 & flood=$!
pid=$(state MainPID)
# Another file at the path of the program, as an upgrade makes it.
install -m 0755 /usr/local/bin/cdrlog /usr/local/bin/cdrlog.new
mv /usr/local/bin/cdrlog.new /usr/local/bin/cdrlog
systemctl reload cdrlog
for _ in $(seq 300); do
    [[ $(state MainPID) != "$pid" && ! -e /proc/$pid && $(systemctl is-active cdrlog) == active ]] && break
    sleep 0.1
done
[[ $(state MainPID) != "$pid" && $(state NRestarts) == 0 && -e /run/cdrlog/kept ]]
[[ $(ls /var/lib/cdrlog/CDR.*.log | wc -l) == 2 ]]
systemctl kill -s HUP cdrlog
for _ in $(seq 100); do
    [[ $(ls /var/lib/cdrlog/CDR.*.log | wc -l) == 3 ]] && break
    sleep 0.1
done
[[ $(ls /var/lib/cdrlog/CDR.*.log | wc -l) == 3 ]]
end_flood
echo "it hands over to a new process, and reloads"

pid=$(state MainPID)
kill -9 "$pid"
for _ in $(seq 300); do
    [[ $(state MainPID) != "$pid" && $(systemctl is-active cdrlog) == active ]] && break
    sleep 0.1
done
[[ -e /run/cdrlog/kept ]]
[[ $(post 2) == 200 ]]
echo "it is started anew after a kill, and /run/cdrlog stays"

systemctl stop cdrlog
posted=$((2 + $(cut -d' ' -f1 /check/flood-1000000)))
[[ $(state Result) == success && $(lines) == "$posted" && ! -e /run/cdrlog ]]
echo "it ends in order, and the $(lines) lines are there"

# It was started several times within seconds, which systemd limits.
systemctl reset-failed cdrlog
bash /check/install-socket
flood 2000000 & flood=$!
systemctl restart cdrlog
systemctl kill -s USR2 cdrlog
sleep 2
systemctl restart cdrlog
end_flood
systemctl stop cdrlog.socket cdrlog.service
posted=$((posted + $(cut -d' ' -f1 /check/flood-2000000)))
[[ $(lines) == "$posted" ]]
echo "with cdrlog.socket it is started anew without a connection that is refused: $(lines) lines are there"

# Nothing that it did was forbidden to it.
if journalctl --no-pager -u cdrlog 2>/dev/null | grep -iE 'not permitted|permission denied|read-only'; then
    exit 1
fi
systemd-analyze security --no-pager cdrlog | tail -n 1
echo passed >/check/result
CHECK

cat >"$root/etc/systemd/system/check.service" <<'UNIT'
[Unit]
Description=The check of cdrlog.service
[Service]
Type=oneshot
ExecStart=/bin/bash -c 'bash /check/check >/check/log 2>&1 || { systemctl status cdrlog; journalctl -u cdrlog -n 30; } >>/check/log 2>&1'
ExecStopPost=/bin/systemctl --no-block poweroff
TimeoutStartSec=120
UNIT
ln -s /dev/null "$root/etc/systemd/system/systemd-networkd.service"
mkdir -p "$scratch/check.d" "$scratch/local"
mv "$scratch/check" "$scratch"/install-{unit,socket} "$scratch/check.d/"

echo "+ systemd-nspawn --boot, with check.service"
timeout 180 systemd-nspawn --quiet --directory="$root" --register=no --keep-unit --private-network \
    --bind-ro=/usr --bind="$scratch/local:/usr/local" --bind-ro="$PWD/cli:/source/cli" --bind-ro="$program:/source/target/release/cdrlog" \
    --bind="$scratch/check.d:/check" --boot systemd.unit=check.service >"$scratch/console" 2>&1 || true
if [[ ! -e $scratch/check.d/log ]]; then
    tail -n 20 "$scratch/console" >&2
    not_checked "whether the service starts, takes events, reloads and ends: no container could be booted"
fi
cat "$scratch/check.d/log"
[[ -e $scratch/check.d/result ]] || fail "the service does not work as it is installed"
