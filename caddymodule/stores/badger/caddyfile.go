package badger

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/cfblock"
)

// UnmarshalCaddyfile reads the rest of the line that names the engine:
//
//	badger [<dir>] {
//		durability sync|async
//		encryption_key <key>
//		compression none|zstd
//		reserve <size>
//	}
func (b *Store) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the engine's name
	if d.NextArg() {
		b.Dir = d.Val()
		if d.NextArg() {
			return d.ArgErr()
		}
	}
	block := cfblock.NewBlock(d, "badger")
	block.Words = map[string]func() error{
		"durability":     func() error { return cfblock.OneOf(d, &b.Durability, "sync", "async") },
		"encryption_key": func() error { return cfblock.OneArg(d, &b.EncryptionKey) },
		"compression":    func() error { return cfblock.OneOf(d, &b.Compression, "none", "zstd") },
		"reserve":        func() error { return cfblock.Size(d, &b.Reserve, 1) },
	}
	return block.Parse()
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*Store)(nil)
