# Counts the tests in ctest's log (BUILD/Testing/Temporary/LastTest.log): prints "passed failed". A test that is a
# doctest program counts as its cases; one that ended before its summary, as one that failed.
#
# The log has a block a test, whole also where tests ran side by side:
#   3/12 Testing: NAME
#   ...
#   Output:
#   ----------
#   what it printed, of a doctest program also: [doctest] test cases: 5 | 4 passed | 1 failed | 0 skipped
#   <end of output>
#   Test time =   0.10 sec
#   ----------
#   Test Passed.            (or Test Failed., Test Pass Reason:, Test Fail Reason:)

{ gsub(/\033\[[0-9;]*m/, "") }  # doctest's colours

# Stands before the block of such a test, at whose end ctest writes "Test Passed." all the same.
place == "" && /^Unable to find executable:/ { missing = 1 }

place == "" && /^[0-9]+\/[0-9]+ Testing: / {
  place = "in the block"
  is_doctest = cases_passed = cases_failed = 0
}
place == "in the block" && /^\[doctest\] test cases:/ {
  is_doctest = 1
  for (i = 2; i <= NF; ++i) {
    if ($i == "passed") cases_passed = $(i - 1)
    if ($i == "failed") cases_failed = $(i - 1)
  }
}
place == "in the block" && /^<end of output>$/ { place = "after the output" }

place == "after the output" && /^Test (Passed\.|Failed\.|Pass Reason:|Fail Reason:)/ {
  good = /^Test Pass/ && !missing
  if (is_doctest) {
    passed += cases_passed
    # A sanitizer may complain after the last case has passed.
    failed += cases_failed + (!good && cases_failed == 0)
  } else {
    passed += good
    failed += !good
  }
  place = ""
  missing = 0
}

END { print passed + 0, failed + 0 }
