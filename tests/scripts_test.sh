#!/bin/sh
# Tests of the scripts beside this one that .ci/run trusts: count_tests.awk and check_readme.sh.
#
#   sh tests/scripts_test.sh
set -eu

tests=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

expect() { # NAME FOUND EXPECTED
  if [ "$2" != "$3" ]; then
    echo "$1: found '$2', expected '$3'" >&2
    status=1
  fi
}

# --- count_tests.awk -------------------------------------------------------------------------------------------------

# A test's block in ctest's log: its last line, what it printed.
block() {
  printf '1/9 Testing: name\n1/9 Test: name\nOutput:\n----------\n%b\n<end of output>\n' "$2"
  printf 'Test time =   0.10 sec\n----------\n%s\n"name" end time: now\n----------\n\n' "$1"
}
count() { awk -f "$tests/count_tests.awk"; }
five="[doctest] test cases: 5 | 5 passed | 0 failed | 0 skipped"

expect "nothing" "$(count </dev/null)" "0 0"
expect "passed" "$(block 'Test Passed.' 'text' | count)" "1 0"
expect "failed" "$(block 'Test Failed.' 'text' | count)" "0 1"
expect "passed by its output" "$(block 'Test Pass Reason:' 'text' | count)" "1 0"
expect "failed by its output" "$(block 'Test Fail Reason:' 'text' | count)" "0 1"
expect "cases" "$(block 'Test Passed.' "$five" | count)" "5 0"
expect "cases in colours" "$(block 'Test Passed.' "\\033[0;36m[doctest] \\033[0mtest cases: \\033[0;32m 12 | 12 passed\\033[0m | 0 failed | 3 skipped" | count)" "12 0"
expect "cases, two failed" "$(block 'Test Failed.' '[doctest] test cases: 5 | 3 passed | 2 failed | 0 skipped' | count)" "3 2"
expect "a complaint after the last case" "$(block 'Test Failed.' "$five" | count)" "5 1"
expect "a crash after another's cases" "$({ block 'Test Passed.' "$five"; block 'Test Failed.' 'text'; } | count)" "5 1"
expect "ctest's words in the output" "$(block 'Test Failed.' 'Test Passed.\n2/9 Testing: other\nTest Failed.' | count)" "0 1"
expect "no such program" "$({ echo 'Unable to find executable: /no'; block 'Test Passed.' ''; block 'Test Passed.' ''; } | count)" "1 1"

# --- check_readme.sh -------------------------------------------------------------------------------------------------

mkdir "$work/tests"
cp "$tests/check_readme.sh" "$work/tests"
mark='<!-- checked -->'
fence='```'
both="$mark
${fence}sh
# a comment

sh apps/quickstart.sh
\$ sh tests/run.sh
$fence"
printf 'sh apps/quickstart.sh\nsh tests/run.sh\n' >"$work/ran"

# README's text, expected exit code, and what must be on standard error.
check() {
  printf '%s\n' "$1" >"$work/README.md"
  code=0
  sh "$work/tests/check_readme.sh" "$work/ran" 2>"$work/errors" || code=$?
  expect "check_readme.sh's exit code for: $1" "$code" "$2"
  if ! grep -Fq -e "$3" "$work/errors" && [ -n "$3" ]; then
    expect "check_readme.sh's message for: $1" "$(cat "$work/errors")" "$3"
  fi
}

check "$both" 0 ""
check "text
${fence}
sh unchecked.sh
$mark
$fence
$both" 0 ""
check "$both
$mark
$fence
-n other.sh
$fence" 1 "not run: -n other.sh"
check "$mark
${fence}sh
sh tests/run.sh
$fence" 1 "has the line: sh apps/quickstart.sh"
check "$both
$mark

$fence
sh tests/run.sh
$fence" 1 "README.md:9: expected a code block"
check "$both
$mark" 1 "README.md:9: expected a code block"
code=0
sh "$work/tests/check_readme.sh" "$work/none" 2>/dev/null || code=$?
expect "check_readme.sh without a file" "$code" 2

exit "$status"
