#!/bin/sh
# Runs every native fuzz target of the module, one after the other, also after
# one has failed; says at the end which have, and fails. Go spends up to a
# minute on making one input shorter, in which it tries no other: 100 attempts
# are enough.
set -eu
time=${1:-30s}
failed=
for file in $(git ls-files '*_test.go' | xargs grep -l '^func Fuzz' | sort); do
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		echo "fuzz: ./$(dirname "$file") $target for $time"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 100x "./$(dirname "$file")" || failed="$failed
	./$(dirname "$file") $target"
	done
done
if [ -n "$failed" ]; then
	echo "fuzz: these have failed:$failed" >&2
	exit 1
fi
