// Package caddytest runs whole configurations in tests: a Caddy in this
// process, with one site, its visitors, apps, and stores in memory. The package
// under test imports the modules that its configurations need.
package caddytest
