package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sessionproxy/sessionproxy/caddymodule/app"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/cfblock"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
)

func init() {
	caddy.RegisterModule(new(Webhook))
}

// Webhook tells a URL what happens to sessions, by a POST request as Standard
// Webhooks (version 1.0.0) describes it: JSON, signed, with the headers
// `webhook-id`, `webhook-timestamp` and `webhook-signature`. Any 2xx answer
// means that it was heard; 410 that it is not to be told this again; after
// anything else, a redirect included, it is told again later, with the same
// `webhook-id`.
//
// The address is looked up anew for each connection, and one that is not of
// the public internet is refused, unless `allow_private` is set. Proxies that
// the environment names are not used.
type Webhook struct {
	// URL to send to: https, or with `allow_private` also http. Placeholders
	// such as `{env.HOOK}` are resolved when the configuration loads.
	URL string `json:"url,omitempty"`

	// Secret signs what is sent: `whsec_` and 24 to 64 bytes in base64.
	// Placeholders are resolved when the configuration loads, and stay
	// placeholders in what the admin API shows. Required.
	Secret string `json:"secret,omitempty"`

	// Events are the kinds of events that are sent: `create`, `save`,
	// `rotate`, `delete`, `rollback`. Default: create, rotate, delete.
	Events []event.Kind `json:"events,omitempty"`

	// Timeout is the longest time for one attempt, the answer included; at
	// most 30s. Default: 10s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// AllowPrivate lets the URL lead to this machine and into private
	// networks, and lets it be http. Default: false.
	AllowPrivate bool `json:"allow_private,omitempty"`

	// MaxPending is how many events may wait to be sent. Those beyond are dead
	// letters at once, which `sessionproxy sessions retry` has tried again. Default: 1000000.
	MaxPending int `json:"max_pending,omitempty"`

	url    *url.URL
	signer *standardwebhooks.Webhook
	client *http.Client
	now    func() time.Time
}

const (
	defaultWebhookTimeout = caddy.Duration(10 * time.Second)
	longestWebhookTimeout = caddy.Duration(30 * time.Second)
	webhookSecretPrefix   = "whsec_"
)

// CaddyModule returns the Caddy module information.
func (*Webhook) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: app.ListenerNamespace + ".webhook", New: func() caddy.Module { return new(Webhook) }}
}

// Provision sets the defaults and resolves placeholders. It sends nothing.
func (w *Webhook) Provision(caddy.Context) error {
	if w.Events == nil {
		w.Events = []event.Kind{event.Create, event.Rotate, event.Delete}
	}
	cfblock.SetDefault(&w.Timeout, defaultWebhookTimeout)
	repl := caddy.NewReplacer()
	address, err := repl.ReplaceOrErr(w.URL, true, true)
	if err != nil {
		return fmt.Errorf("resolving url of webhook: %w", err)
	}
	if w.url, err = parseWebhookURL(address, w.AllowPrivate); err != nil {
		return fmt.Errorf("reading url of webhook: %w", err)
	}
	secret, err := repl.ReplaceOrErr(w.Secret, true, true)
	if err != nil {
		return fmt.Errorf("resolving secret of webhook: %w", err)
	}
	if w.signer, err = parseWebhookSecret(secret); err != nil {
		return fmt.Errorf("reading secret of webhook: %w", err)
	}
	w.client, w.now = newWebhookClient(w.AllowPrivate), time.Now
	return nil
}

// Validate refuses options that make no sense.
func (w *Webhook) Validate() error {
	if err := w.checkTimeout(); err != nil {
		return err
	}
	if err := app.CheckMaxPending(w.MaxPending); err != nil {
		return fmt.Errorf("checking webhook: %w", err)
	}
	return checkKinds(w.Events)
}

// PendingLimit implements PendingLimiter.
func (w *Webhook) PendingLimit() int { return w.MaxPending }

func (w *Webhook) checkTimeout() error {
	if w.Timeout < 1 || w.Timeout > longestWebhookTimeout {
		return fmt.Errorf("timeout of webhook is up to %v, not %v", time.Duration(longestWebhookTimeout), time.Duration(w.Timeout))
	}
	return nil
}

// Cleanup closes connections that are not in use.
func (w *Webhook) Cleanup() error {
	if w.client != nil {
		w.client.CloseIdleConnections()
	}
	return nil
}

// EventKinds returns the kinds of events that are sent.
func (w *Webhook) EventKinds() []event.Kind { return w.Events }

// checkKinds refuses an empty list of kinds, an unknown one, and one that comes twice.
func checkKinds(kinds []event.Kind) error {
	if len(kinds) == 0 {
		return errors.New("events of webhook are empty; leave them out for the default")
	}
	for i, kind := range kinds {
		if !slices.Contains(app.EventKinds, kind) {
			return fmt.Errorf("events of webhook are create, save, rotate, delete, rollback, not %q", kind)
		}
		if slices.Contains(kinds[:i], kind) {
			return fmt.Errorf("events of webhook name %q twice", kind)
		}
	}
	return nil
}

// parseWebhookURL reads a URL. The error repeats nothing of it: it may hold secrets.
func parseWebhookURL(text string, private bool) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("it is not an absolute URL such as https://hooks.example/sessions")
	case u.Scheme == "http" && !private:
		return nil, errors.New("clear HTTP needs allow_private; take https")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("its scheme is neither https nor http")
	case u.Fragment != "":
		return nil, errors.New("a fragment is never sent; remove it")
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !private && !publicAddress(ip) {
		return nil, errPrivateAddress
	}
	return u, nil
}

// parseWebhookSecret reads a secret. The error repeats nothing of it.
func parseWebhookSecret(text string) (*standardwebhooks.Webhook, error) {
	remedy := errors.New("it must be whsec_ and 24 to 64 bytes in base64; `echo whsec_$(openssl rand -base64 32)` makes one")
	encoded, ok := strings.CutPrefix(text, webhookSecretPrefix)
	if !ok {
		return nil, remedy
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) < 24 || len(key) > 64 {
		return nil, remedy
	}
	return standardwebhooks.NewWebhookRaw(key)
}

// Interface guards.
var (
	_ caddy.Provisioner  = (*Webhook)(nil)
	_ caddy.Validator    = (*Webhook)(nil)
	_ caddy.CleanerUpper = (*Webhook)(nil)
	_ app.Listener       = (*Webhook)(nil)
)
