package removefiles

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sessionproxy/sessionproxy/caddymodule/app"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/cfblock"
)

// UnmarshalCaddyfile reads the rest of the line that names the listener:
//
//	remove_files <path> {
//		root <dir>
//		max_pending <n>
//	}
func (f *RemoveFiles) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the listener's name
	if err := cfblock.OneArg(d, &f.Path); err != nil {
		return err
	}
	b := cfblock.NewBlock(d, "remove_files")
	b.Words = map[string]func() error{
		"root":        func() error { return cfblock.OneArg(d, &f.Root) },
		"max_pending": func() error { return app.ParseMaxPending(d, &f.MaxPending) },
	}
	if err := b.Parse(); err != nil {
		return err
	}
	if _, err := f.parsePath(); err != nil {
		return d.WrapErr(err)
	}
	if strings.Contains(f.Root, "{") {
		return nil // what it stands for is known when the configuration loads
	}
	if _, err := parseRoot(f.Root); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*RemoveFiles)(nil)
