#!/bin/sh
# clang-format on every tracked source; clang-tidy on every tracked .cpp outside tests/.
set -eu

cd "$(dirname "$0")/.."
sh apps/install_dependencies.sh clang-format clang-tidy
# Nothing is built: this is for the compile commands, and without GCC's precompiled headers, which clang cannot read and
# which would hide that a source includes too little.
build=build-lint
cmake --preset release -B "$build" -DDLCM_TESTS=OFF -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON >/dev/null

status=0
git ls-files -z '*.h' '*.cpp' '*.cu' '*.cuh' | xargs -0 clang-format --dry-run -Werror || status=1

# omp.h is GCC's own; clang looks for it among its headers.
omp_folder=$(dirname "$(g++ -print-file-name=include/omp.h)")
# Sources that this build does not compile (no_cuda.cpp with CUDA, the emulation) have no command.
git ls-files '*.cpp' ':!tests/' | while IFS= read -r source; do
  if grep -q "/$source\"" "$build/compile_commands.json"; then printf '%s\0' "$source"; fi
done | xargs -0 -n 1 -P "$(nproc)" clang-tidy -p "$build" --quiet --warnings-as-errors='*' \
  --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-ignored-optimization-argument \
  --extra-arg=-idirafter"$omp_folder" 2>/dev/null || status=1

if [ "$status" = 0 ]; then echo "lint: clean"; else echo "lint: see above" >&2; fi
exit "$status"
