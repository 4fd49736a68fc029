#!/bin/sh
# The README's commands are the ones that ran.
#
#   sh tests/check_readme.sh RAN     RAN: a file with one command a line, as they were run (.ci/run writes it)
#
# In README.md, the line <!-- checked --> right before a code block marks it: each of its commands (lines that are
# neither empty nor comments, without a leading "$ ") must be in RAN. The two commands of a new user must be among them.
set -eu

if [ $# -ne 1 ] || [ ! -f "$1" ]; then
  echo "check_readme.sh: give one file with the commands that ran" >&2
  exit 2
fi
ran=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cd "$(dirname "$0")/.."

# The commands, one a line; fails where a mark has no block.
commands=$(awk '
  function no_block(line) {
    print "README.md:" line ": expected a code block right after <!-- checked -->" >"/dev/stderr"
    failed = 1
  }
  marked && !/^```/ { no_block(NR) }
  /^```/ { in_block = !in_block; checked = in_block && marked; marked = 0; next }
  { marked = !in_block && /^<!-- checked -->$/ }
  in_block && checked && !/^(#|$)/ { sub(/^\$ /, ""); print }
  END {
    if (marked) no_block(NR + 1)
    exit failed
  }
' README.md)

status=0
for wanted in "sh apps/quickstart.sh" "sh tests/run.sh"; do
  if ! printf '%s\n' "$commands" | grep -Fqx -e "$wanted"; then
    echo "README.md: no code block after <!-- checked --> has the line: $wanted" >&2
    status=1
  fi
done
# Not by a pipe, whose subshell would keep the status to itself.
while IFS= read -r command; do
  [ -n "$command" ] || continue
  if ! grep -Fqx -e "$command" "$ran"; then
    echo "README.md: this command of a checked block was not run: $command" >&2
    status=1
  fi
done <<END
$commands
END
exit "$status"
