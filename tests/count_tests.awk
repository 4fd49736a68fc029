# Counts the tests in ctest's logs (Testing/Temporary/LastTest.log): prints "passed failed". A test that is a doctest
# program counts as its cases, and a program that ended before its summary as one that failed.
/^[0-9]+\/[0-9]+ Testing: / { cases_passed = -1 }
/^\[doctest\] test cases:/ {
  gsub(/\033\[[0-9;]*m/, "")
  for (i = 1; i < NF; ++i) {
    if ($(i + 1) == "passed") cases_passed = $i
    if ($(i + 1) == "failed") cases_failed = $i
  }
}
/^Test (Passed|Failed|timed out)/ || /^Test Timed Out/ || /^Test Not Run/ || /^Test Pass Reason/ {
  good = /^Test Pass/
  if (cases_passed < 0) {
    passed += good
    failed += !good
  } else {
    passed += cases_passed
    # A sanitizer may complain after the last case has passed.
    failed += cases_failed + (!good && cases_failed == 0)
  }
}
END { print passed + 0, failed + 0 }
