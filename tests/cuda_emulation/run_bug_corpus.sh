#!/usr/bin/env bash
# Runs every planted bug in one flavour of the emulation and checks that it is caught, for the right reason, where the
# table says so; and that the same code without the bug passes, in every mode.
#
#   run_bug_corpus.sh plain|asan|tsan EXECUTABLE
set -u

if [[ $# != 2 || ! $1 =~ ^(plain|asan|tsan)$ ]]; then
  echo "usage: $0 plain|asan|tsan EXECUTABLE" >&2
  exit 2
fi
flavour=$1
corpus=$2

# What the output must contain in each flavour; "-" where the bug cannot be seen. Then the modes to run in.
read -r -d '' table <<'TABLE'
missing_syncthreads       | wrong result        | wrong result        | data race           |
missing_syncthreads       | -                   | -                   | data race           | EMU_ORDER=rev
missing_syncthreads       | wrong result        | wrong result        | data race           | EMU_ORDER=rand1
missing_syncwarp          | -                   | -                   | data race           |
missing_syncwarp          | -                   | -                   | data race           | EMU_ORDER=rand1
syncwarp_of_another_group | wrong result        | wrong result        | data race           |
missing_tile_barrier      | wrong result        | wrong result        | data race           |
missing_tile_barrier      | wrong result        | wrong result        | data race           | EMU_ORDER=rev
cp_async_waits_too_few    | wrong result        | wrong result        | wrong result        |
cp_async_never_waits      | never waited for    | never waited for    | never waited for    |
block_race                | -                   | -                   | data race           |
oob_global                | -                   | use-after-poison    | -                   |
oob_shared                | -                   | out of bounds       | -                   |
oob_dynamic_shared        | -                   | use-after-poison    | -                   |
misaligned_vector         | -                   | misaligned address  | -                   |
index_overflow            | -                   | integer overflow    | -                   |
use_after_free            | -                   | use-after-poison    | -                   |
freed_argument            | freed device memory | freed device memory | freed device memory |
uninitialised_shared      | nan, expected       | nan, expected       | nan, expected       |
uninitialised_global      | nan, expected       | nan, expected       | nan, expected       |
divergent_barrier         | divergence          | divergence          | divergence          |
early_return              | 14 threads exited   | 14 threads exited   | 14 threads exited   |
bad_mask                  | divergence          | divergence          | divergence          |
shuffle_outside_mask      | outside mask        | outside mask        | outside mask        |
too_many_threads          | invalid config      | invalid config      | invalid config      |
too_much_dynamic_shared   | FuncSetAttribute    | FuncSetAttribute    | FuncSetAttribute    |
host_pointer_argument     | not device memory   | not device memory   | not device memory   |
wrong_copy_kind           | cudaMemcpyKind      | cudaMemcpyKind      | cudaMemcpyKind      |
copy_too_long             | exceeds its alloc   | exceeds its alloc   | exceeds its alloc   |
host_dereference          | host code derefer   | host code derefer   | host code derefer   | EMU_PROTECT=1
missing_stream_sync       | wrong result        | wrong result        | wrong result        | EMU_DEFER=1
missing_event_wait        | wrong result        | wrong result        | wrong result        | EMU_DEFER=1
TABLE

# Races are reported when they are found; the second of sleep at the end of each process is for other programs.
export TSAN_OPTIONS="atexit_sleep_ms=0 ${TSAN_OPTIONS-}"

failures=0

# run NAME planted|fixed [MODE=VALUE]...: sets `output` and `status`.
run() {
  local name=$1 variant=$2
  shift 2
  # The group takes in the shell's own notice of a process that dies by a signal, as EMU_PROTECT intends.
  { output=$(env "$@" timeout 30 "$corpus" "$name" "$variant" 2>&1); } 2>/dev/null
  status=$?
}

# report VERDICT NAME MODES DETAIL
report() {
  printf '%-8s %-5s %-26s %-15s %s\n' "$1" "$flavour" "$2" "$3" "$4"
  if [[ $1 == ESCAPED || $1 == BROKEN ]]; then
    failures=$((failures + 1))
    printf '%s\n' "$output" | sed 's/^/    /'
  fi
}

check_planted() {
  local name=$1 expected=$2 modes=$3
  run "$name" planted $modes
  local line
  line=$(grep -m 1 -F -- "$expected" <<<"$output" | sed -E 's#/[^ :]*/##g' | cut -c 1-150)
  if [[ $expected == - ]]; then
    if ((status == 0)); then
      report blind "$name" "$modes" "not visible in this build"
    else
      report caught "$name" "$modes" "though the table says it is not visible: update the table"
    fi
  elif ((status != 0)) && [[ -n $line ]]; then
    report caught "$name" "$modes" "$line"
  else
    report ESCAPED "$name" "$modes" "expected: $expected; exit status $status"
  fi
}

check_fixed() {
  local name=$1 modes=$2
  run "$name" fixed $modes
  if ((status == 0)); then
    report passed "$name" "$modes" "without the bug"
  else
    report BROKEN "$name" "$modes" "fails without the bug, exit status $status"
  fi
}

listed=$("$corpus" list)
while IFS='|' read -r name plain asan tsan modes; do
  read -r name <<<"$name"
  declare -n cell=$flavour
  read -r expected <<<"$cell"
  read -r modes <<<"$modes"
  listed=$(grep -v -x -- "$name" <<<"$listed")
  check_planted "$name" "$expected" "$modes"
  check_fixed "$name" "$modes"
done <<<"$table"

for modes in EMU_ORDER=rev EMU_ORDER=rand2 "EMU_RELAXED=1 EMU_STATS=1" "EMU_DEFER=1 EMU_PROTECT=1"; do
  check_fixed all "$modes"
done

if [[ -n $listed ]]; then
  echo "cases of the corpus that are missing in the table:" $listed
  failures=$((failures + 1))
fi
echo "$flavour: $failures failures"
((failures == 0))
