#!/usr/bin/env bash
# Packs the program for Debian and Ubuntu, with dpkg-deb alone: it is on every Debian, and its output is reproducible.
#
#     deb.sh PROGRAM SHARE ARCHITECTURE VERSION DIRECTORY
#
# makes DIRECTORY/cdrlog_VERSION_ARCHITECTURE.deb. SHARE is what share.sh made, ARCHITECTURE is amd64 or arm64 (`native`
# is that of this machine). $CDRLOG_GLIBC is the oldest glibc that the program runs with; without it, that of this
# machine. $SOURCE_DATE_EPOCH is the time of all files, and $CDRLOG_DEB_COMPRESSION how they are
# compressed, xz by default.
set -euo pipefail
program=$(realpath "$1") share=$(realpath "$2") architecture=$3 version=$4
mkdir -p "$5"
out=$(realpath "$5")
cd "$(dirname "$0")/../../.."
[[ $architecture != native ]] || architecture=$(dpkg --print-architecture)
glibc=${CDRLOG_GLIBC:-$(getconf GNU_LIBC_VERSION | cut -d' ' -f2)}
: "${SOURCE_DATE_EPOCH:?}"
packaging=cli/packaging
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
root=$scratch/root
umask 022

put() {
    install -D -m "$1" "$2" "$root/$3"
}

put 0755 "$program" usr/bin/cdrlog
# The comments at the top are for an installation by hand.
for unit in service socket; do
    sed -e '1,/^$/d' -e 's|/usr/local/bin/|/usr/bin/|' "$packaging/cdrlog.$unit" >"$scratch/cdrlog.$unit"
    put 0644 "$scratch/cdrlog.$unit" "usr/lib/systemd/system/cdrlog.$unit"
done
grep -q '^ExecStart=/usr/bin/cdrlog ' "$scratch/cdrlog.service"
put 0644 "$packaging/debian/cdrlog.sysusers" usr/lib/sysusers.d/cdrlog.conf
put 0644 "$packaging/debian/cdrlog.tmpfiles" usr/lib/tmpfiles.d/cdrlog.conf
put 0640 "$packaging/cdrlog.toml" etc/cdrlog/cdrlog.toml

for page in "$share"/man/*.1.gz; do
    put 0644 "$page" "usr/share/man/man1/$(basename "$page")"
done
put 0644 "$share/completions/cdrlog.bash" usr/share/bash-completion/completions/cdrlog
put 0644 "$share/completions/_cdrlog" usr/share/zsh/vendor-completions/_cdrlog
put 0644 "$share/completions/cdrlog.fish" usr/share/fish/vendor_completions.d/cdrlog.fish

doc=usr/share/doc/cdrlog
put 0644 "$share/doc/README.md" "$doc/README.md"
cp -r "$share/doc/docs" "$root/$doc/"
gzip --best --no-name --stdout "$share/doc/CHANGELOG.md" >"$scratch/CHANGELOG.md.gz"
put 0644 "$scratch/CHANGELOG.md.gz" "$doc/CHANGELOG.md.gz"
# What Debian calls a changelog has a form of its own.
maintainer="The cdrlog maintainers <maintainers@cdrlog.invalid>"
{
    printf 'cdrlog (%s) unstable; urgency=medium\n\n' "$version"
    printf '  * Release %s: CHANGELOG.md.gz beside this file has what is in it.\n\n' "$version"
    printf ' -- %s  %s\n' "$maintainer" "$(LC_ALL=C date --utc --date="@$SOURCE_DATE_EPOCH" '+%a, %d %b %Y %H:%M:%S +0000')"
} | gzip --best --no-name --stdout >"$scratch/changelog.gz"
put 0644 "$scratch/changelog.gz" "$doc/changelog.gz"
put 0644 "$packaging/debian/lintian-overrides" usr/share/lintian/overrides/cdrlog
# The licence of this project, as Debian wants it: a blank line of the text is a dot.
{
    cat "$packaging/debian/copyright"
    sed -e 's/^$/./' -e 's/^/ /' "$share/doc/LICENSE-MIT"
} >"$scratch/copyright"
put 0644 "$scratch/copyright" "$doc/copyright"
cp -r "$share/doc/examples" "$share/doc/licences" "$root/$doc/"
chmod -R u=rwX,go=rX "$root/$doc"

mkdir "$root/DEBIAN"
depends="libc6 (>= $glibc)"
# Zig puts it into the program, other linkers do not.
needed=$(LC_ALL=C objdump --private-headers "$program" | sed -n 's/^ *NEEDED *//p')
[[ $needed != *libgcc_s.so.1* ]] || depends+=", libgcc-s1"
cat >"$root/DEBIAN/control" <<CONTROL
Package: cdrlog
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $(du --apparent-size --block-size=1K --summarize "$root" | cut -f1)
Depends: $depends, init-system-helpers (>= 1.54), systemd
Recommends: ca-certificates, tzdata
Section: net
Priority: optional
Homepage: $(sed -n 's/^repository = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
Description: Call Detail Records of OpenVidu and LiveKit, without loss
 cdrlog turns the webhook events of an OpenVidu or LiveKit server into Call
 Detail Record lines. It loses no event when its process is killed, and writes
 each exactly once. This package has the HTTP endpoint as a service, and the
 tools that read, count, bill from, verify and ship the records.
CONTROL
echo /etc/cdrlog/cdrlog.toml >"$root/DEBIAN/conffiles"
install -m 0755 "$packaging"/debian/{postinst,prerm,postrm} "$root/DEBIAN/"
(cd "$root" && find usr -type f -print0 | LC_ALL=C sort --zero-terminated | xargs --null md5sum) >"$root/DEBIAN/md5sums"

# Directories have the mode that umask gives them; dpkg-deb sorts the names, and no time is later than the epoch. One
# thread, because the blocks of several depend on how many there are.
find "$root" -print0 | xargs --null touch --no-dereference --date="@$SOURCE_DATE_EPOCH"
DPKG_DEB_THREADS_MAX=1 dpkg-deb --root-owner-group -Z"${CDRLOG_DEB_COMPRESSION:-xz}" --build "$root" "$out/cdrlog_${version}_$architecture.deb"
