#!/usr/bin/env bash
# Installs a package of cdrlog on a clean Debian, with a systemd of its own in a container, by the commands of
# docs/install.md, word for word. Then it upgrades it to the same files with a later version while events are posted, removes and
# purges it.
#
#     cli/scripts/check-package.sh PACKAGE     as root
#
# $CDRLOG_DEBIAN_ROOT is a tar of the clean system; without it one is made, and kept in the target directory.
# Exit codes: 0 all was checked, 1 something is wrong, 3 it could not be checked.
set -euo pipefail
package=$(realpath "$1")
cd "$(dirname "$0")/../.."
target_dir=$(realpath -m "${CARGO_TARGET_DIR:-target}")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "error: $*" >&2
    exit 1
}

not_checked() {
    echo "not checked: $*" >&2
    exit 3
}

((EUID == 0)) && command -v systemd-nspawn >/dev/null ||
    not_checked "the package (apt-get install systemd-container mmdebstrap; run as root, where containers are allowed)"

# Sets `root_tar` to a tar of a Debian with systemd, curl and the authorities that curl trusts, and nothing else that is
# not essential.
make_root() {
    local suite
    suite=$(. /etc/os-release && [[ $ID != debian ]] || echo "$VERSION_CODENAME")
    root_tar=${CDRLOG_DEBIAN_ROOT:-$target_dir/debian-${suite:=bookworm}.tar}
    [[ ! -e $root_tar ]] || return 0
    command -v mmdebstrap >/dev/null || not_checked "the package (apt-get install mmdebstrap)"
    mkdir -p "$(dirname "$root_tar")"
    mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,curl,ca-certificates,tzdata \
        --dpkgopt=force-unsafe-io "$suite" "$scratch/root.tar" >"$scratch/mmdebstrap" 2>&1 || {
        tail -n 5 "$scratch/mmdebstrap" >&2
        not_checked "the package: a Debian $suite cannot be had"
    }
    mv "$scratch/root.tar" "$root_tar"
}

# The first block of commands of docs/install.md.
install_commands() {
    awk '/^```sh$/ {inside = 1; next} /^```$/ && inside {exit} inside' docs/install.md
}

make_root
root=$scratch/root
mkdir -p "$root" "$scratch/check"
tar --extract --file "$root_tar" --directory "$root" --exclude='./dev/*'
[[ ! -e $root/usr/bin/cdrlog && ! -e $root/root/.cargo ]] || fail "$root_tar is not clean"

install_commands >"$scratch/check/commands"
[[ $(wc -l <"$scratch/check/commands") == 3 ]] || fail "docs/install.md does not begin with three commands"
name=$(grep -o 'cdrlog_[^ ]*\.deb' "$scratch/check/commands")
[[ ${name/amd64/$(dpkg --print-architecture)} == "$(basename "$package")" ]] ||
    fail "docs/install.md installs $name, and the package is $(basename "$package")"
cp "$package" "$scratch/check/$name"
dpkg-deb --raw-extract "$package" "$scratch/later"
sed -i 's/^Version: .*/&+later/' "$scratch/later/DEBIAN/control"
dpkg-deb --root-owner-group -Znone --build "$scratch/later" "$scratch/check/later.deb" >/dev/null

cat >"$scratch/check/check" <<'CHECK'
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
cd /check
post() {
    curl -sS -o /dev/null -w '%{http_code}' http://127.0.0.1:8787/ -d "{\"event\":\"e\",\"n\":$1}"
}
lines() {
    cat /var/lib/cdrlog/CDR.*.log | wc -l
}
state() {
    systemctl show --property="$1" --value cdrlog
}
wait_until() {
    for _ in $(seq 100); do
        ! "$@" || return 0
        sleep 0.1
    done
    echo "waited in vain: $*"
    return 1
}

echo "+ three commands"
sed -n 1p commands >install
sed -n 2p commands >post
sed -n 3p commands >show
bash -eux install
bash -eux post
has_the_line() {
    bash -eu show >shown && grep -q '^{"' shown
}
wait_until has_the_line
cat shown
[[ $(cat shown) == '{"sessionCreated":{"timestamp":1538481330577,"sessionId":"ses_Jd8tUyvhXO"}}' ]]

[[ $(stat -c '%U:%G %a' /var/lib/cdrlog | tr '\n' ' ') == "cdrlog:cdrlog 750 " ]]
[[ $(stat -c '%U:%G %a' /etc/cdrlog /etc/cdrlog/cdrlog.toml | tr '\n' ' ') == "root:cdrlog 750 root:cdrlog 640 " ]]
[[ $(systemctl is-enabled cdrlog.service cdrlog.socket | sort -u) == enabled ]]
dpkg --verify cdrlog
dpkg --listfiles cdrlog >listed
for file in man/man1/cdrlog-serve.1.gz bash-completion/completions/cdrlog doc/cdrlog/copyright; do
    # A small Debian leaves out pages.
    grep -qx "/usr/share/$file" listed
done

# A process that posts without an end, over new connections, and counts what fails.
flood() {
    local number=$1 failed=0
    until [[ -e stop ]]; do
        number=$((number + 1))
        [[ $(post "$number" || true) == 200 ]] || failed=$((failed + 1))
    done
    echo "$((number - $1)) $failed" >"flood-$1"
    [[ $failed == 0 ]]
}
posted=1
end_flood() {
    touch stop
    wait "$flood"
    rm stop
    posted=$((posted + $(cut -d' ' -f1 "flood-$1")))
}
all_are_there() {
    [[ $(lines) == "$posted" ]]
}

echo "+ the upgrade"
echo 'rotate_bytes = 5000000' >expected
sed -i 's/^rotate_bytes = 0$/rotate_bytes = 5000000/' /etc/cdrlog/cdrlog.toml
pid=$(state MainPID)
flood 1000000 & flood=$!
apt-get install -y ./later.deb 2>&1 | tee upgrade
! grep -q 'did not take over' upgrade || { echo "it was restarted"; exit 1; }
[[ $(state MainPID) != "$pid" && $(state NRestarts) == 0 && $(state ActiveState) == active ]]
end_flood 1000000
wait_until all_are_there
grep -qxf expected /etc/cdrlog/cdrlog.toml
echo "the later version took over, and the $posted lines are there"

echo "+ an upgrade whose new process cannot take over"
rm /var/lib/cdrlog/.cdrlog/handover.sock
pid=$(state MainPID)
flood 2000000 & flood=$!
dpkg -i later.deb 2>&1 | tee upgrade
grep -q 'did not take over, and is started instead' upgrade
[[ $(state MainPID) != "$pid" && $(state ActiveState) == active ]]
end_flood 2000000
wait_until all_are_there
echo "it was restarted, and the $posted lines are there"

echo "+ an upgrade whose new process cannot use the options"
cp -p /etc/cdrlog/cdrlog.toml usable
echo 'nonsense = 1' >>/etc/cdrlog/cdrlog.toml
pid=$(state MainPID)
flood 3000000 & flood=$!
dpkg -i later.deb 2>&1 | tee upgrade
grep -q 'cannot start, and the earlier one goes on: .*unknown option "nonsense"' upgrade
[[ $(state MainPID) == "$pid" && $(state ActiveState) == active ]]
end_flood 3000000
wait_until all_are_there
cp -p usable /etc/cdrlog/cdrlog.toml
echo "the earlier version went on, and the $posted lines are there"

echo "+ remove and purge"
apt-get remove -y cdrlog
[[ ! -e /usr/bin/cdrlog && -e /etc/cdrlog/cdrlog.toml ]]
[[ $(systemctl is-active cdrlog.service cdrlog.socket | sort -u) == inactive ]]
all_are_there
apt-get install -y ./later.deb
[[ $(post 3) == 200 ]]
posted=$((posted + 1))
wait_until all_are_there
grep -qxf expected /etc/cdrlog/cdrlog.toml
apt-get purge -y cdrlog
[[ ! -e /etc/cdrlog && ! -e /usr/lib/systemd/system/cdrlog.service ]]
[[ -z $(find / -xdev -name '*cdrlog*' -not -path '/var/lib/cdrlog*' -not -path '/check/*' -not -path '/var/log/*' \
    -not -path '/var/cache/*' -not -path '/run/*' -print | tee left) ]] || { cat left; exit 1; }
all_are_there
echo "the package is gone, and the $posted lines are there"

echo "+ an address in use"
systemd-run --quiet --unit=occupied --socket-property=ListenStream=127.0.0.1:8787 --socket-property=Accept=yes cat
apt-get install -y ./later.deb 2>&1 | tee install-again
grep -q 'the service does not run: journalctl -u cdrlog' install-again
[[ $(dpkg-query --show --showformat='${db:Status-Status}' cdrlog) == installed ]]
# Longer than five starts take, after which systemd gives up by default.
sleep 8
systemctl stop occupied.socket
systemctl restart cdrlog.socket cdrlog.service
[[ $(post 4) == 200 && $(systemctl is-active cdrlog.service cdrlog.socket | sort -u) == active ]]
posted=$((posted + 1))
wait_until all_are_there
echo "it runs once the address is free"

# Nothing that it did was forbidden to it.
if journalctl --no-pager -u cdrlog 2>/dev/null | grep -iE 'not permitted|permission denied|read-only'; then
    exit 1
fi
echo passed >result
CHECK

cat >"$root/etc/systemd/system/check.service" <<'UNIT'
[Unit]
Description=The check of the package
[Service]
Type=oneshot
ExecStart=/bin/bash -c 'bash /check/check >/check/log 2>&1 || { systemctl status cdrlog; journalctl -u cdrlog -n 30; } >>/check/log 2>&1'
ExecStopPost=/bin/systemctl --no-block poweroff
TimeoutStartSec=240
UNIT

echo "+ systemd-nspawn --boot, with check.service"
timeout 300 systemd-nspawn --quiet --directory="$root" --register=no --keep-unit --private-network \
    --bind="$scratch/check:/check" --boot systemd.unit=check.service >"$scratch/console" 2>&1 || true
if [[ ! -e $scratch/check/log ]]; then
    tail -n 20 "$scratch/console" >&2
    not_checked "the package: no container could be booted"
fi
cat "$scratch/check/log"
[[ -e $scratch/check/result ]] || fail "the package does not work"
