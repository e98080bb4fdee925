#!/usr/bin/env bash
# The long run: the chaos tests with many kills, then every fuzz target for long. Writes what came of it to benches/SOAK.md, also when
# something failed, and fails then.
#
#   SOAK=2000          kills, of each chaos test
#   FUZZ_SECONDS=3600  seconds of each fuzz target
#   FUZZ_JOBS=2        fuzz targets at once
#   SOAK_FILE          the record (benches/SOAK.md)
# Arguments: words for cargo test, such as a runner.
set -uo pipefail
cd "$(dirname "$0")/.."

kills=${SOAK:-2000}
export FUZZ_SECONDS=${FUZZ_SECONDS:-3600} FUZZ_JOBS=${FUZZ_JOBS:-2}
record=${SOAK_FILE:-benches/SOAK.md}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

began=$SECONDS
NETLOOM_CHAOS=$kills cargo test --workspace --locked --no-fail-fast "$@" -- chaos --nocapture 2>&1 | tee "$scratch/chaos"
[ "${PIPESTATUS[0]}" = 0 ] || failed=1
chaos_seconds=$((SECONDS - began))
sum() { sed -n "s/^test result: .* \([0-9]*\) $1;.*/\1/p" "$scratch/chaos" | awk '{ n += $1 } END { print n + 0 }'; }
passed=$(sum passed) broken=$(sum failed)
# A test binary that does not even start counts as none that passed.
if [ "$passed" = 0 ]; then failed=1; fi

FUZZ_RECORD=$scratch/fuzz tools/fuzz.sh || failed=1
touch "$scratch/fuzz"

cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)
{
  echo "# Soak"
  echo
  echo "Written by \`make soak\`. On $(date -u +%Y-%m-%d), at $(git rev-parse --short HEAD 2>/dev/null || echo 'an unknown commit'),"
  echo "on $(nproc) × $cpu, Linux $(uname -r)."
  echo
  echo "## Chaos"
  echo
  echo "| kills of each test | tests passed | tests failed | seconds |"
  echo "|---|---|---|---|"
  echo "| $kills | $passed | $broken | $chaos_seconds |"
  echo
  echo "## Fuzzing"
  echo
  echo "$FUZZ_SECONDS seconds for each target, $FUZZ_JOBS at a time."
  echo
  echo "| target | seconds | executions | peak memory, MiB | crashes |"
  echo "|---|---|---|---|---|"
  awk -F '\t' '{ printf "| %s | %s | %s | %s | %s |\n", $1, $2, $3, $4, $5 }' "$scratch/fuzz"
} >"$record"
echo "soak: wrote $record"
exit "$failed"
