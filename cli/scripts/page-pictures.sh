#!/bin/sh
# Makes the pictures of docs/ui.md: a made-up day, shown by the page in headless Chromium.
# Needs Chromium and pngquant (apt-get install chromium pngquant).
set -eu
cd "$(dirname "$0")/../.."
cargo test -p cdrlog-cli --test serve the_pictures_of_the_documents -- --ignored
pngquant --force --ext .png 64 docs/ui/*.png
