#!/usr/bin/env bash
# Runs the fuzz targets (fuzz/fuzz_targets/), each for FUZZ_SECONDS (60). Arguments: names of targets; else all.
#
# What crashes, hangs for 10 s or takes more than 1 GiB is kept under fuzz/artifacts/ and fails the run; the other targets are run all
# the same. What was found to reach new code stays in fuzz/corpus/ and is the start of the next run.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${FUZZ_SECONDS:-60}
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

targets=("$@")
if [ ${#targets[@]} = 0 ]; then
  mapfile -t targets < <(cargo fuzz list)
fi

start=$SECONDS
# No sanitizer: what is fuzzed has no unsafe code, and without one it runs several times as fast.
cargo fuzz build --sanitizer none --codegen-units 8
echo "fuzz: built in $((SECONDS - start)) s"

failed=()
for target in "${targets[@]}"; do
  mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
  corpora=("fuzz/corpus/$target")
  if [ -d "fuzz/seeds/$target" ]; then corpora+=("fuzz/seeds/$target"); fi
  if [ "$target" = load ]; then
    # The labs that are there for people and for tests.
    corpora+=(examples crates/api/tests/labs crates/plan/tests/labs)
  fi
  log=$(mktemp)
  echo "fuzz: $target, $seconds s"
  rc=0
  cargo fuzz run --sanitizer none --codegen-units 8 "$target" "${corpora[@]}" -- \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=65536 -print_final_stats=1 >"$log" 2>&1 || rc=$?
  if [ "$rc" = 0 ]; then
    grep -E '^stat::(number_of_executed_units|peak_rss_mb)' "$log" | sed 's/^stat::/fuzz:   /'
  else
    failed+=("$target")
    tail -n 40 "$log"
    echo "fuzz: $target FAILED (exit $rc)"
  fi
  rm -f "$log"
done

echo "fuzz: ${#targets[@]} targets, ${#failed[@]} failed: ${failed[*]:-none}; $((SECONDS - start)) s"
[ ${#failed[@]} = 0 ]
