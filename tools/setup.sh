#!/usr/bin/env bash
# Installs the system packages netloom needs, on Debian and its relatives.
#
#   tools/setup.sh [--print] demo|test|bench
#
#   demo    what `make demo` needs: FRR and a C linker
#   test    that, and what the tests compare netloom with
#   bench   that, and what the benchmarks compare netloom with
#
# No package may start a daemon on this machine: netloom runs FRR inside the nodes
# of a lab, never in the host's own network. While packages are being installed a
# policy-rc.d forbids every start, and services that arrived enabled are disabled
# again. A policy-rc.d that was there before comes back, also after a failure.
set -euo pipefail

DEMO=(frr gcc libc6-dev make git)
TEST=(
  # What tests compare with, or drive traffic with.
  iproute2 iperf3 iputils-ping tcpdump traceroute nftables ethtool jq netcat-openbsd curl
  procps psmisc util-linux openssh-client openssh-server
  # The inventory is read, and used, by the real thing (4 MB to fetch, 25 MB on disk).
  ansible-core
  # Open vSwitch: the tests start their own ovsdb-server and ovs-vswitchd, in a directory of their own.
  openvswitch-switch openvswitch-common
  # Who is at the other end of a wire, seen by somebody else: run inside labs.
  lldpd
  # A second kernel, for what this one may lack (netem): `cargo dev vm`.
  qemu-system-x86 busybox-static kmod xz-utils
  # A bare machine, to prove this very script: `cargo dev setup-proof`.
  debootstrap
)
BENCH=(mininet)

POLICY=/usr/sbin/policy-rc.d
SAVED=/usr/sbin/policy-rc.d.before-netloom
MARK='# written by netloom tools/setup.sh; removed when it ends'

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }

print=false
[ "${1:-}" = --print ] && { print=true; shift; }
case "${1:-test}" in
  demo)  wanted=("${DEMO[@]}") ;;
  test)  wanted=("${DEMO[@]}" "${TEST[@]}") ;;
  bench) wanted=("${DEMO[@]}" "${TEST[@]}" "${BENCH[@]}") ;;
  *)     die "unknown set '$1': one of demo, test, bench" ;;
esac
# The proof of this script asks for a package that does not exist, to see it clean up.
# shellcheck disable=SC2206
wanted+=(${NETLOOM_SETUP_EXTRA:-})
if $print; then printf '%s\n' "${wanted[@]}"; exit 0; fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  cat >&2 <<TEXT
setup: error: this machine has no apt-get, so nothing was installed.
  Debian and Ubuntu are the systems this script knows. Elsewhere, install the
  equivalents of these packages by hand and keep their services stopped
  (netloom starts FRR's daemons itself, inside the lab):
    ${wanted[*]}
  then run make again with SETUP=skip.
TEXT
  exit 1
fi

# An interrupted run may have left its policy behind. Put things right before deciding anything.
restore_policy() {
  if [ -e "$SAVED" ] || [ -L "$SAVED" ]; then
    mv -f "$SAVED" "$POLICY"
  elif [ -f "$POLICY" ] && grep -qxF "$MARK" "$POLICY"; then
    rm -f "$POLICY"
  fi
}

missing=()
for p in "${wanted[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$p")
done
stale=false
{ [ -e "$SAVED" ] || { [ -f "$POLICY" ] && grep -qxF "$MARK" "$POLICY"; }; } && stale=true
if [ "${#missing[@]}" -eq 0 ] && ! $stale; then
  say "all ${#wanted[@]} packages are installed"
  exit 0
fi

if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || die "installing ${missing[*]} takes root: run 'make setup' as root, or install sudo"
  say "installing takes root: asking sudo"
  exec sudo NETLOOM_SETUP_EXTRA="${NETLOOM_SETUP_EXTRA:-}" "$BASH" "$0" "$@"
fi

mkdir -p /run/lock
exec 9>/run/lock/netloom-setup.lock
flock -w 600 9 || die "another netloom setup has held /run/lock/netloom-setup.lock for ten minutes"
$stale && { say "an interrupted run left its policy-rc.d: restoring"; restore_policy; }
[ "${#missing[@]}" -eq 0 ] && exit 0

trap 'restore_policy; rm -f "${log:-}"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
if [ -e "$POLICY" ] || [ -L "$POLICY" ]; then
  mv -f "$POLICY" "$SAVED"
fi
printf '%s\n' '#!/bin/sh' "$MARK" 'exit 101' >"$POLICY.netloom-new"
chmod 755 "$POLICY.netloom-new"
mv -f "$POLICY.netloom-new" "$POLICY"

say "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -y -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 --no-install-recommends)
log=$(mktemp)
# On a terminal everything is shown; elsewhere only what went wrong.
quietly() {
  if [ -t 1 ]; then "$@"; else "$@" >"$log" 2>&1; fi
}
if ! quietly "${apt[@]}" install "${missing[@]}"; then
  say "not with the package lists this machine has: updating them and trying once more"
  quietly apt-get -q -o DPkg::Lock::Timeout=300 update || say "the update failed: $(tail -n 1 "$log")"
  if ! quietly "${apt[@]}" install "${missing[@]}"; then
    tail -n 20 "$log" >&2
    die "apt-get could not install: ${missing[*]}"
  fi
fi

# policy-rc.d forbids starting now, not at the next boot. What we asked for and arrived enabled is
# disabled; services of packages that were here before, or that came as dependencies, are not touched.
for p in "${missing[@]}"; do
  for f in $(dpkg-query -L "$p" 2>/dev/null | grep -E '^(/usr)?/lib/systemd/system/[^/@]+\.(service|socket)$|^/etc/init\.d/[^/]+$' || true); do
    unit=${f##*/}
    case "$f" in
      /etc/init.d/*)
        command -v update-rc.d >/dev/null && update-rc.d "$unit" disable >/dev/null 2>&1 || true ;;
      *)
        if command -v systemctl >/dev/null && [ "$(systemctl is-enabled "$unit" 2>/dev/null)" = enabled ]; then
          systemctl disable --quiet "$unit" 2>/dev/null || true
          say "$unit came with $p and was set to start at boot: disabled (to undo: systemctl enable $unit)"
        fi ;;
    esac
  done
done
say "done; no daemon was started"
