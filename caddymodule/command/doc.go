// Package command is the command `caddy sessions`: a client of the admin API
// that prints tables, or JSON, and `doctor`, which checks an installation.
package command
