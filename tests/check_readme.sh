#!/bin/sh
# The README's commands are the ones that ran.
#
#   sh tests/check_readme.sh RAN     RAN: a file with one command a line, as they were run
#
# In README.md, the line <!-- checked --> before a code block marks it: each of its commands (lines that are neither
# empty nor comments, without a leading "$ ") must be in RAN. The two commands of a new user must be among them.
set -eu

ran=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cd "$(dirname "$0")/.."

commands=$(awk '
  /^<!-- checked -->$/ { marked = 1; next }
  /^```/ { inside = !inside && marked; marked = 0; next }
  inside && !/^(#|$)/ { sub(/^\$ /, ""); print }
' README.md)

status=0
for wanted in "sh apps/quickstart.sh" "sh tests/run.sh"; do
  if ! printf '%s\n' "$commands" | grep -Fqx "$wanted"; then
    echo "README.md: no code block after <!-- checked --> has the line: $wanted" >&2
    status=1
  fi
done
# A pipe would lose the status in its subshell.
while IFS= read -r line; do
  [ -n "$line" ] || continue
  if ! grep -Fqx "$line" "$ran"; then
    echo "README.md: this command of a checked block was not run: $line" >&2
    status=1
  fi
done <<END
$commands
END
exit "$status"
