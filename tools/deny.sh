#!/usr/bin/env bash
# Runs cargo-deny over licences, bans and sources. Installs it into target/tools when
# this machine has none (about two and a half minutes on two cores, once).
# Advisories need a database from the internet: `cargo deny check advisories`.
set -euo pipefail
cd "$(dirname "$0")/.."
VERSION=0.20.2
tools=${CARGO_TARGET_DIR:-target}/tools
if command -v cargo-deny >/dev/null; then
  deny=cargo-deny
else
  deny=$tools/bin/cargo-deny
  if [ ! -x "$deny" ]; then
    echo "deny: installing cargo-deny $VERSION into $tools"
    CARGO_TARGET_DIR=$tools/build cargo install --quiet --locked --root "$tools" --version "$VERSION" cargo-deny
    rm -rf "$tools/build"
  fi
fi
exec "$deny" --log-level warn check licenses bans sources
