#!/usr/bin/env bash
# Installs cli/packaging/cdrlog.service as its own comment says, in a container with a systemd of its
# own, and looks whether the service starts, takes events, reloads, survives a kill and ends in order.
# Usage, as root: cli/scripts/check-unit.sh [PROGRAM], by default target/release/cdrlog.
# Where no container can be had it checks what `systemd-analyze` can, and says what it did not check.
# Exit codes: 0 all was checked, 1 something is wrong, 3 a part could not be checked.
set -euo pipefail
cd "$(dirname "$0")/../.."
program=$(realpath "${1:-target/release/cdrlog}")
unit=cli/packaging/cdrlog.service
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
systemd-analyze verify --man=no "$scratch/cdrlog.service" || fail "systemd-analyze finds faults"
echo "the unit is well-formed"

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

# The commands that the comment of the unit gives, one after the other.
grep -E '^#   (useradd|install|systemctl) ' "$unit" | sed 's/^#   //' >"$scratch/install"
[[ $(wc -l <"$scratch/install") -ge 5 ]] || fail "the comment of the unit has lost its commands"
sed -i '1i set -eux' "$scratch/install"

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
bash /check/install
[[ $(systemctl is-active cdrlog) == active ]]
[[ $(post 1) == 200 ]]
[[ $(stat -c '%U:%G %a' /var/lib/cdrlog /run/cdrlog | tr '\n' ' ') == "cdrlog:cdrlog 750 cdrlog:cdrlog 700 " ]]
echo "it starts and takes events"

touch /run/cdrlog/kept
systemctl reload cdrlog
[[ $(ls /var/lib/cdrlog/CDR.*.log | wc -l) == 2 ]]
echo "it reloads"

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
[[ $(state Result) == success && $(lines) == 2 && ! -e /run/cdrlog ]]
echo "it ends in order, and the $(lines) lines are there"

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
mv "$scratch/check" "$scratch/install" "$scratch/check.d/"

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
