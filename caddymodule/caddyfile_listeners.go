package caddymodule

import (
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
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
	if err := oneArg(d, &w.URL); err != nil {
		return err
	}
	b := newBlock(d, "webhook")
	b.words = map[string]func() error{
		"secret":        func() error { return oneArg(d, &w.Secret) },
		"events":        func() error { return w.parseEvents(d) },
		"timeout":       func() error { return duration(d, &w.Timeout, 1) },
		"allow_private": func() error { return noArgs(d, &w.AllowPrivate) },
		"max_pending":   func() error { return pending(d, &w.MaxPending) },
	}
	if err := b.parse(); err != nil {
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
		w.Events = append(w.Events, session.EventKind(arg))
	}
	if err := checkKinds(w.Events); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// UnmarshalCaddyfile reads the rest of the line that names the listener:
//
//	remove_files <path> {
//		root <dir>
//		max_pending <n>
//	}
func (f *RemoveFiles) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the listener's name
	if err := oneArg(d, &f.Path); err != nil {
		return err
	}
	b := newBlock(d, "remove_files")
	b.words = map[string]func() error{
		"root":        func() error { return oneArg(d, &f.Root) },
		"max_pending": func() error { return pending(d, &f.MaxPending) },
	}
	if err := b.parse(); err != nil {
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

// pending reads how many events may wait.
func pending(d *caddyfile.Dispenser, into *int) error {
	var text string
	if err := oneArg(d, &text); err != nil {
		return err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPending {
		return d.Errf("parsing max_pending: '%s' is not a number from 1 to %d", text, maxPending)
	}
	*into = n
	return nil
}

// Interface guards.
var (
	_ caddyfile.Unmarshaler = (*Webhook)(nil)
	_ caddyfile.Unmarshaler = (*RemoveFiles)(nil)
)
