// Package adminapi is what operators see of sessions, and do to them, at
// Caddy's admin endpoint. The types of its answers are exported for package
// command, which prints them.
package adminapi
