#!/usr/bin/env bash
# Packs a folder as DIRECTORY/NAME.tar.zst, whose bytes depend only on names, modes and contents: names are sorted, the
# owner is root, and every time is $SOURCE_DATE_EPOCH.
#
#     archive.sh FOLDER NAME DIRECTORY
set -euo pipefail
: "${SOURCE_DATE_EPOCH:?}"
mkdir -p "$3"
tar --create --directory "$1" --transform "s,^\.,$2,S" --sort=name --format=gnu --owner=root:0 --group=root:0 \
    --numeric-owner --mode=go=rX,u+rw,a-s --mtime="@$SOURCE_DATE_EPOCH" . |
    zstd --quiet --force -19 --single-thread -o "$3/$2.tar.zst"
