// Package redis is the store module that keeps sessions on a Redis server,
// which several proxies share. It is not among those of package caddymodule: a
// build that wants it imports it, as command sessionproxy does.
package redis
