package webhook

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sessionproxy/sessionproxy/caddymodule/app"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/cfblock"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
)

// UnmarshalCaddyfile reads the rest of the line that names the listener:
//
//	webhook <url> {
//		secret <secret>
//		events <kind>...
//		timeout <duration>
//		allow_private
//		max_pending <n>
//	}
func (w *Webhook) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the listener's name
	if err := cfblock.OneArg(d, &w.URL); err != nil {
		return err
	}
	b := cfblock.NewBlock(d, "webhook")
	b.Words = map[string]func() error{
		"secret":        func() error { return cfblock.OneArg(d, &w.Secret) },
		"events":        func() error { return w.parseEvents(d) },
		"timeout":       func() error { return cfblock.Duration(d, &w.Timeout, 1) },
		"allow_private": func() error { return cfblock.NoArgs(d, &w.AllowPrivate) },
		"max_pending":   func() error { return app.ParseMaxPending(d, &w.MaxPending) },
	}
	if err := b.Parse(); err != nil {
		return err
	}
	if w.Secret == "" {
		return d.Err("webhook needs a secret, which signs what is sent")
	}
	// What placeholders stand for is known when the configuration loads.
	if !strings.Contains(w.Secret, "{") {
		if _, err := parseWebhookSecret(w.Secret); err != nil {
			return d.Errf("reading secret of webhook: %v", err)
		}
	}
	if !strings.Contains(w.URL, "{") {
		if _, err := parseWebhookURL(w.URL, w.AllowPrivate); err != nil {
			return d.Errf("reading url of webhook: %v", err)
		}
	}
	if w.Timeout != 0 {
		if err := w.checkTimeout(); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

func (w *Webhook) parseEvents(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.ArgErr()
	}
	for _, arg := range args {
		w.Events = append(w.Events, event.Kind(arg))
	}
	if err := checkKinds(w.Events); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*Webhook)(nil)
