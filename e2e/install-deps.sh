#!/bin/sh
# Installs what the end-to-end tests need and is missing: PHP (as FPM and as a
# command), Node, Python and Chromium, from Debian's packages. Without apt-get
# or root it only says what is missing; the tests then skip by name, or fail
# under CI=true.
set -eu

missing=""
need() { # need <package> <command or glob>...
	package=$1
	shift
	for candidate in "$@"; do
		if command -v "$candidate" >/dev/null 2>&1; then return; fi
		for path in $candidate; do
			if [ -x "$path" ]; then return; fi
		done
	done
	missing="$missing $package"
}
need php-fpm php-fpm '/usr/sbin/php-fpm*'
need php-cli php
need nodejs node
need python3 python3
need chromium chromium chromium-browser google-chrome

if [ -z "$missing" ]; then
	echo "test-deps: everything is here"
	exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
	echo "test-deps: missing:$missing"
	echo "test-deps: not installing them (that needs apt-get and root); their tests will be skipped, or fail under CI=true"
	exit 0
fi
echo "test-deps: installing with apt-get:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of packages
apt-get install -y -qq --no-install-recommends $missing
