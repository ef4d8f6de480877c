#!/bin/sh
# Runs the tests of both modules, the product's and that of the end-to-end
# tests, with these flags of go test; prints their events as JSON. The
# end-to-end tests mostly wait, so they run beside the others; their events
# come at the end, since two writers would mix their lines.
set -u
go=${GO:-go}
events=$(mktemp)
trap 'rm -f "$events"' EXIT
$go -C e2e test -json "$@" ./... >"$events" &
status=0
$go test -json "$@" ./... || status=1
wait $! || status=1
cat "$events"
exit $status
