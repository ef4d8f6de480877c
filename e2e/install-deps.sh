#!/bin/sh
# Installs what the end-to-end tests need and is missing, from Debian's packages
# and npm's: PHP (as FPM and as a command), Node, Python, Chromium, and the apps
# that are mounted unmodified. Without apt-get or root it only says what is
# missing; the tests then skip by name, or fail under CI=true.
set -eu

missing=""
need() { # need <package> <command, file or glob>...
	package=$1
	shift
	for candidate in "$@"; do
		if command -v "$candidate" >/dev/null 2>&1; then return; fi
		for path in $candidate; do
			case $path in /*) if [ -e "$path" ]; then return; fi ;; esac
		done
	done
	missing="$missing $package"
}
need php-fpm php-fpm '/usr/sbin/php-fpm*'
need php-cli php
need nodejs node
need npm npm
need python3 python3
need chromium chromium chromium-browser google-chrome

for module in sqlite3 xml intl mbstring; do
	need php-$module "/usr/share/doc/php-$module"
done
need php-geshi /usr/share/php-geshi
for script in jquery jquery-ui jquery-cookie; do
	need libjs-$script "/usr/share/javascript/$script"
done
need php-phpseclib /usr/share/doc/php-phpseclib
need libphp-simplepie /usr/share/php/simplepie
need python3-django /usr/bin/django-admin
need python3-flask-login /usr/lib/python3/dist-packages/flask_login
need jupyter-notebook /usr/bin/jupyter-notebook
need redmine /usr/share/redmine
need redmine-sqlite /usr/share/doc/redmine-sqlite
need redis-server redis-server
need puma puma
need tomcat10-user /usr/share/tomcat10/bin/catalina.sh
need tomcat10-examples /usr/share/tomcat10-examples/examples
case $missing in *redmine*) missing="$missing dbconfig-no-thanks" ;; esac # no questions, no database server

# These want a web server of their own: their packages are only unpacked.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sessionproxy-e2e
unpacked="dokuwiki mediawiki mediawiki-classes phpliteadmin"
modules="express@4.21.2 express-session@1.18.1 cookie-parser@1.4.7 csurf@1.11.0"
[ "$(cat "$cache/root/complete" 2>/dev/null)" = "$unpacked" ] && unpacked=""
[ "$(cat "$cache/node/complete" 2>/dev/null)" = "$modules" ] && modules=""

if [ -z "$missing$unpacked$modules" ]; then
	echo "test-deps: everything is here"
	exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
	echo "test-deps: missing:$missing $unpacked $modules"
	echo "test-deps: not installing them (that needs apt-get and root); their tests will be skipped, or fail under CI=true"
	exit 0
fi
export DEBIAN_FRONTEND=noninteractive
if [ -n "$missing$unpacked" ]; then
	apt-get update -qq
fi
if [ -n "$missing" ]; then
	echo "test-deps: installing with apt-get:$missing"
	# shellcheck disable=SC2086 # a list of packages
	apt-get install -y -qq --no-install-recommends $missing
fi
if [ -n "$unpacked" ]; then
	echo "test-deps: unpacking into $cache/root: $unpacked"
	rm -rf "$cache/root" "$cache/archives"
	mkdir -p "$cache/archives"
	# shellcheck disable=SC2086 # a list of packages
	(cd "$cache/archives" && apt-get download -qq -o APT::Sandbox::User=root $unpacked)
	for archive in "$cache"/archives/*.deb; do
		dpkg-deb -x "$archive" "$cache/root"
	done
	# A link to a place of the system leads to where that is unpacked, or nowhere.
	find "$cache/root" -type l | while IFS= read -r link; do
		to=$(readlink "$link")
		case $to in /*) if [ -e "$cache/root$to" ]; then ln -sfn "$cache/root$to" "$link"; else rm "$link"; fi ;; esac
	done
	rm -rf "$cache/archives"
	printf '%s\n' "$unpacked" >"$cache/root/complete"
fi
if [ -n "$modules" ]; then
	echo "test-deps: installing with npm into $cache/node: $modules"
	rm -rf "$cache/node"
	mkdir -p "$cache/node"
	# shellcheck disable=SC2086 # a list of packages
	npm install --prefix "$cache/node" --ignore-scripts --no-audit --no-fund --no-package-lock --loglevel=error $modules
	printf '%s\n' "$modules" >"$cache/node/complete"
fi
