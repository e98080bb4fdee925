#!/usr/bin/env bash
# Proves the README's two commands on a bare Debian: `cargo dev setup-proof`.
#
#   tools/setup-proof.sh [--no-demo] [--warm] [--keep]
#
#   --no-demo   make setup only
#   --warm      let cargo find what it compiled here before; the command itself is compiled and
#               linked there again (without it everything is, which takes minutes)
#   --keep      leave the bare system's directory for a look
#
# debootstrap makes a minimal bookworm with git, make and an init system (without one Debian starts no
# service whatever the policy, and this would prove nothing) in a temporary directory. In it, in mount
# and process namespaces of its own (the network is the host's, for apt), this checkout and this
# user's Rust toolchain: `make demo` and `make setup` run there as a newcomer would run them, and
# the machine is then looked at. Needs root and a Debian mirror that apt can reach.
set -euo pipefail

say() { printf '== proof: %s\n' "$*"; }
die() { printf '== proof: FAILED: %s\n' "$*" >&2; exit 1; }

# ---------------------------------------------------------------------------- inside

# Processes of this process namespace beside this script and what it runs to find out.
others() {
  local p
  for p in /proc/[0-9]*; do
    p=${p#/proc/}
    # A kernel thread or a zombie has no command line; a file in /proc has no size to ask.
    if [ "$p" != 1 ] && [ "$p" != "$BASHPID" ] && [ -n "$(tr -d '\0' 2>/dev/null <"/proc/$p/cmdline")" ]; then
      printf '%s(%s) ' "$(cat "/proc/$p/comm" 2>/dev/null)" "$p"
    fi
  done 2>/dev/null
}

nothing_runs() {
  local found
  found=$(others)
  [ -z "$found" ] || die "$1 left processes: $found"
}

packages_are_there() {
  local p
  for p in $(tools/setup.sh --print "$1"); do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || die "package $p is not installed after make setup"
  done
}

inside() {
  export HOME=/root PATH=/root/.cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  export CARGO_TERM_PROGRESS_WHEN=never
  local policy=/usr/sbin/policy-rc.d
  cd "$HERE"
  # Debian starts services on a machine that is in a run level: say that this one is in 2 (utmp(5)).
  { printf '\1\0\0\0002N\0\0~'; head -c 31 /dev/zero; printf '~~\0\0runlevel'; head -c 332 /dev/zero; } >/run/utmp
  runlevel | grep -q 2 || die "the bare machine is in no run level: this proves nothing"
  apt-get -q update >/dev/null
  command -v gcc >/dev/null && die "a bare machine has no gcc: this proves nothing"
  [ ! -e "$policy" ] || die "a bare machine has no policy-rc.d: this proves nothing"
  nothing_runs "the bare system"

  if $DEMO; then
    say "make demo, on a machine with git, make and Rust"
    make demo || die "make demo exited $?"
    nothing_runs "make demo"
    [ -s out.xml ] || die "make demo wrote no out.xml"
  else
    say "make setup-demo"
    make setup-demo || die "make setup-demo exited $?"
  fi
  packages_are_there demo
  nothing_runs "installing FRR"
  [ ! -e "$policy" ] || die "a policy-rc.d was left behind"

  say "make setup, where a policy-rc.d of the user's own exists"
  printf '#!/bin/sh\n# my own\nexit 101\n' >$policy
  chmod 755 $policy
  make setup || die "make setup exited $?"
  packages_are_there test
  nothing_runs "make setup"
  grep -q 'my own' $policy || die "the user's policy-rc.d did not come back"
  make setup | grep 'all .* packages are installed' || die "the second make setup did something"

  say "make setup by a user who may sudo"
  apt-get -q -y install sudo >/dev/null 2>&1
  apt-get -q -y purge jq >/dev/null 2>&1
  useradd --create-home someone
  echo 'someone ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/someone
  mkdir /home/someone/netloom
  cp -r Makefile tools /home/someone/netloom/
  chown -R someone /home/someone/netloom
  su someone -c 'make -C ~/netloom setup' || die "make setup by a user exited $?"
  packages_are_there test
  nothing_runs "make setup by a user"
  grep -q 'my own' $policy || die "the user's policy-rc.d did not come back after sudo"

  say "a package that does not exist, and a policy-rc.d of the user's own"
  if NETLOOM_SETUP_EXTRA=netloom-no-such-package make setup >/tmp/log 2>&1; then die "setup succeeded without its package"; fi
  grep -q 'netloom-no-such-package' /tmp/log || die "the failure does not name the package"
  grep -q 'my own' $policy || die "the user's policy-rc.d did not come back after a failure"

  say "a run that was killed while its policy was in place"
  mv $policy $policy.before-netloom
  printf '%s\n' '#!/bin/sh' "$(sed -n "s/^MARK='\(.*\)'$/\1/p" tools/setup.sh)" 'exit 101' >$policy
  make setup || die "make setup exited $?"
  grep -q 'my own' $policy || die "a killed run's policy was not undone"
  [ ! -e $policy.before-netloom ] || die "a killed run's saved policy was left"

  say "the control: without a policy the same package does start daemons, and this sees them"
  rm $policy
  unshare --net sh -c 'apt-get -q -y purge frr && apt-get -q -y --no-install-recommends install frr' >/tmp/log 2>&1 ||
    die "installing frr again: $(tail -n 5 /tmp/log)"
  local found
  found=$(others)
  case "$found" in
    *zebra* | *watchfrr*) say "seen: $found" ;;
    *) die "no daemon was started even without a policy: the checks above prove nothing (found: $found; apt: $(grep -iE "invoke|frr" /tmp/log))" ;;
  esac
  say "ok"
}

# ---------------------------------------------------------------------------- entering

# In the new namespaces: make the directory the root of everything, then go on inside.
enter() {
  local root=$1 cargo=$2 rustup=$3 work=$4 target=$5
  mount --make-rprivate /
  mount --bind "$root" "$root"
  mkdir -p "$root"/root/{.cargo,.rustup} "$root/old" "$work"/{upper,work,target-upper,target-work}
  mount --rbind /dev "$root/dev"
  mount --rbind /sys "$root/sys"
  mount -t tmpfs run "$root/run"
  case "$HERE" in /tmp/*) ;; *) mount -t tmpfs tmp "$root/tmp" ;; esac
  mount --bind -o ro "$rustup" "$root/root/.rustup"
  mount -o remount,bind,ro "$root/root/.rustup"
  # cargo locks and unpacks in its home: what it writes stays in the temporary directory.
  mount -t overlay -o "lowerdir=$cargo,upperdir=$work/upper,workdir=$work/work" cargo "$root/root/.cargo"
  if $WARM && [ -d "$target" ]; then
    mkdir -p "$root$HERE/target"
    mount -t overlay -o "lowerdir=$target,upperdir=$work/target-upper,workdir=$work/target-work" target "$root$HERE/target"
    touch "$root$HERE/crates/netloom/src/main.rs"
  fi
  mount -t proc proc "$root/proc"
  cd "$root"
  pivot_root . old
  umount -l /old
  exec /bin/bash "$HERE/tools/setup-proof.sh" --inside
}

# ---------------------------------------------------------------------------- outside

mirror() {
  apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Codename: bookworm' 2>/dev/null | head -n 1
}

DEMO=${DEMO:-true}
WARM=${WARM:-false}
keep=false
while [ $# -gt 0 ]; do
  case "$1" in
    --no-demo) DEMO=false ;;
    --warm) WARM=true ;;
    --keep) keep=true ;;
    --inside) inside; exit ;;
    --enter) shift; enter "$@" ;;
    *) die "unknown option $1" ;;
  esac
  shift
done
cd "$(dirname "$0")/.."
# The checkout has the same path in the bare system: cargo goes by paths.
HERE=${HERE:-$PWD}
export DEMO WARM HERE
if [ "$(id -u)" -ne 0 ]; then
  exec sudo DEMO="$DEMO" WARM="$WARM" CARGO_HOME="${CARGO_HOME:-$HOME/.cargo}" RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}" "$BASH" "$0"
fi
command -v debootstrap >/dev/null || die "debootstrap is not installed: make setup"
if $DEMO && [ ! -e examples/clos-bgp/lab.yaml ]; then
  say "examples/clos-bgp/lab.yaml does not exist: proving the set-up without the demo"
  DEMO=false
fi

top=$(mktemp -d /var/tmp/netloom-proof.XXXXXX)
clean_up() {
  if grep -q " $top" /proc/self/mountinfo; then
    printf '== proof: something is still mounted below %s:\n' "$top" >&2
    grep " $top" /proc/self/mountinfo >&2
    return 1
  fi
  if $keep; then say "kept: $top"; else rm -rf --one-file-system "$top"; fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mirror=$(mirror)
mirror=${mirror:-http://deb.debian.org/debian}
eval "$(apt-config shell proxy Acquire::http::Proxy)"
[ -z "${proxy:-}" ] || export http_proxy=$proxy
say "debootstrap of bookworm from $mirror"
root=$top/root
debootstrap --variant=minbase --include=ca-certificates,git,make,sysvinit-core bookworm "$root" "$mirror" >"$top/log" 2>&1 ||
  { tail -n 20 "$top/log" >&2; die "debootstrap"; }
[ -z "${proxy:-}" ] || printf 'Acquire::http::Proxy "%s";\n' "$proxy" >"$root/etc/apt/apt.conf.d/proxy"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
mkdir -p "$root$HERE"
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' f; do [ ! -e "$f" ] || printf '%s\0' "$f"; done |
  tar --null --files-from=- -cf - | tar -C "$root$HERE" -xf -

say "in the bare system"
unshare --mount --pid --fork --kill-child --uts --ipc "$BASH" "$0" --enter \
  "$root" "${CARGO_HOME:-$HOME/.cargo}" "${RUSTUP_HOME:-$HOME/.rustup}" "$top/cargo" "${CARGO_TARGET_DIR:-$HERE/target}"
say "passed after ${SECONDS}s"
