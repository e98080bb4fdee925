#!/usr/bin/env bash
# Runs the fuzz targets (fuzz/fuzz_targets/). Arguments: names of targets, NAME:SECONDS for one that has its own time, `rest` for all
# that are not named; none is all of them.
#
#   FUZZ_SECONDS=60   how long each runs
#   FUZZ_JOBS=1       how many run at once
#   FUZZ_RECORD=FILE  gets a line for each: name, seconds, executions, peak MiB, crashes, separated by tabs
#
# What crashes, hangs for 10 s or takes more than 1 GiB is kept under fuzz/artifacts/ and fails the run; the other targets are run all
# the same. What was found to reach new code stays in fuzz/corpus/ and is the start of the next run.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${FUZZ_SECONDS:-60}
jobs=${FUZZ_JOBS:-1}
# The counters need compiler flags that only a nightly takes, or a stable one that is told to.
export RUSTC_BOOTSTRAP=1

VERSION=0.13.2
tools=$(realpath -m "${CARGO_TARGET_DIR:-target}/tools")
export PATH="$tools/bin:$PATH"
if ! command -v cargo-fuzz >/dev/null; then
  echo "fuzz: installing cargo-fuzz $VERSION into $tools"
  CARGO_TARGET_DIR=$tools/build cargo install --quiet --locked --root "$tools" --version "$VERSION" cargo-fuzz
  rm -rf "$tools/build"
fi

mapfile -t known < <(cargo fuzz list)
declare -A time
order=()
want() {
  [ -n "${time[$1]:-}" ] || order+=("$1")
  time[$1]=$2
}
[ $# -gt 0 ] || set -- rest
for word in "$@"; do
  if [ "$word" = rest ]; then
    for target in "${known[@]}"; do
      [ -n "${time[$target]:-}" ] || want "$target" "$seconds"
    done
    continue
  fi
  target=${word%%:*}
  if ! printf '%s\n' "${known[@]}" | grep -qx -- "$target"; then
    echo "fuzz: no target $target; there are: ${known[*]}" >&2
    exit 2
  fi
  case $word in
    *:*) want "$target" "${word#*:}" ;;
    *) want "$target" "$seconds" ;;
  esac
done

start=$SECONDS
# No sanitizer: what is fuzzed has no unsafe code, and without one it runs several times as fast.
cargo fuzz build --sanitizer none --codegen-units 8
echo "fuzz: built in $((SECONDS - start)) s; ${#order[@]} targets, $jobs at a time"

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# One target, to its end; a line about it in $results.
run() {
  local target=$1 began=$SECONDS rc=0 log=$results/$1.log line
  mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
  local corpora=("fuzz/corpus/$target")
  if [ -d "fuzz/seeds/$target" ]; then corpora+=("fuzz/seeds/$target"); fi
  if [ "$target" = load ]; then
    # The labs that are there for people and for tests.
    corpora+=(examples crates/api/tests/labs crates/plan/tests/labs)
  fi
  touch "$results/$target.before"
  cargo fuzz run --sanitizer none --codegen-units 8 "$target" "${corpora[@]}" -- \
    -max_total_time="${time[$target]}" -timeout=10 -rss_limit_mb=1024 -max_len=65536 -print_final_stats=1 >"$log" 2>&1 || rc=$?
  local took=$((SECONDS - began)) executions peak crashes
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
  peak=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log" | tail -n 1)
  crashes=$(find "fuzz/artifacts/$target" -type f -newer "$results/$target.before" | wc -l)
  # A run that failed without an artifact did not run.
  if [ "$rc" != 0 ] && [ "$crashes" = 0 ]; then crashes="failed (exit $rc)"; fi
  printf '%s\t%s\t%s\t%s\t%s\n' "$target" "$took" "${executions:-?}" "${peak:-?}" "$crashes" >"$results/$target.line"
  line="fuzz: $target: $took s, ${executions:-?} executions, peak ${peak:-?} MiB, crashes: $crashes"
  if [ "$rc" = 0 ]; then
    echo "$line"
  else
    touch "$results/$target.failed"
    { tail -n 40 "$log"; echo "$line"; }
  fi
}

for target in "${order[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
  run "$target" &
done
wait

failed=()
for target in "${order[@]}"; do
  if [ -n "${FUZZ_RECORD:-}" ]; then cat "$results/$target.line" >>"$FUZZ_RECORD"; fi
  if [ -e "$results/$target.failed" ] || [ ! -e "$results/$target.line" ]; then failed+=("$target"); fi
done
echo "fuzz: ${#order[@]} targets, ${#failed[@]} failed: ${failed[*]:-none}; $((SECONDS - start)) s"
[ ${#failed[@]} = 0 ]
