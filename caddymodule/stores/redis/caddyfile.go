package redis

import (
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/cfblock"
)

// UnmarshalCaddyfile reads the rest of the line that names the engine:
//
//	redis <host:port> {
//		username <name>
//		password <password>
//		tls
//		tls_ca <file>
//		database <number>
//		prefix <text>
//		timeout <duration>
//	}
func (r *Store) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the engine's name
	if err := cfblock.OneArg(d, &r.Address); err != nil {
		return err
	}
	block := cfblock.NewBlock(d, "redis")
	block.Words = map[string]func() error{
		"username": func() error { return cfblock.OneArg(d, &r.Username) },
		"password": func() error { return cfblock.OneArg(d, &r.Password) },
		"tls":      func() error { return cfblock.NoArgs(d, &r.TLS) },
		"tls_ca":   func() error { return cfblock.OneArg(d, &r.TLSCA) },
		"database": func() error { return number(d, &r.Database) },
		"prefix":   func() error { return cfblock.OneArg(d, &r.Prefix) },
		"timeout":  func() error { return cfblock.Duration(d, &r.Timeout, caddy.Duration(100*time.Millisecond)) },
	}
	return block.Parse()
}

// number reads a number that is not negative.
func number(d *caddyfile.Dispenser, into *int) (err error) {
	option, text := d.Val(), ""
	if err := cfblock.OneArg(d, &text); err != nil {
		return err
	}
	if *into, err = strconv.Atoi(text); err != nil || *into < 0 {
		return d.Errf("%s is a number from 0 on, not '%s'", option, text)
	}
	return nil
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*Store)(nil)
