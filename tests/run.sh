#!/bin/sh
# Installs what is missing, builds and runs every test.
#
#   sh tests/run.sh [PRESET]     release (the default), debug, address, thread or portable, as in CMakePresets.json
set -eu

cd "$(dirname "$0")/.."
preset=${1:-release}
case $preset in
  release) build=build ;;
  debug | address | thread | portable) build=build-$preset ;;
  *)
    echo "run.sh: unknown preset '$preset'; there are release, debug, address, thread, portable" >&2
    exit 2
    ;;
esac

log=$build/ctest.log
rm -f "$log" # of an earlier run: no summary must be left of it where this one ends early

sh apps/install_dependencies.sh
# CMake reads this when it configures a folder for the first time.
if command -v ccache >/dev/null 2>&1; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache
fi
cmake --preset "$preset" -DDLCM_TESTS=ON
cmake --build "$build"

# ThreadSanitizer cannot place its shadow memory where addresses are randomised more than it knows.
fixed_addresses=
if [ "$preset" = thread ] && setarch "$(uname -m)" -R true 2>/dev/null; then
  fixed_addresses="setarch $(uname -m) -R"
fi
status=0
# Unquoted: two words or none.
$fixed_addresses ctest --test-dir "$build" -j "$(nproc)" --output-on-failure --no-tests=error --output-log "$log" || status=$?
# ctest's summary once more, after the failures it lists: the last line of this script.
grep 'tests passed' "$log" | tail -n 1 || true
exit "$status"
