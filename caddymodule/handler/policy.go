package handler

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/cfblock"
	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// Policy is what a manager decides for its sessions.
type Policy struct {
	// Locking says what happens when two requests use one session at once.
	Locking *Locking `json:"locking,omitempty"`

	// IdleTimeout ends a session that is not used. Default: 30m.
	IdleTimeout caddy.Duration `json:"idle_timeout,omitempty"`

	// AbsoluteTimeout ends a session in any case, counted from its beginning
	// or from the last sign-in. Default: 12h.
	AbsoluteTimeout caddy.Duration `json:"absolute_timeout,omitempty"`

	// MaxIdleTimeout caps what an app may ask for one session by
	// `Session-Timeout`. Default: idle_timeout, so no extension.
	MaxIdleTimeout caddy.Duration `json:"max_idle_timeout,omitempty"`

	// MaxAbsoluteTimeout is the same for the absolute timeout. Default: absolute_timeout.
	MaxAbsoluteTimeout caddy.Duration `json:"max_absolute_timeout,omitempty"`

	// Assurance is an authenticator assurance level of NIST SP 800-63B-4. It
	// sets the timeouts that are not given, and refuses longer ones: `aal1`
	// an absolute timeout of 30 days, and no idle timeout besides; `aal2` an
	// idle timeout of 1h and an absolute one of 24h; `aal3` of 15m and 12h.
	// Default: none.
	Assurance string `json:"assurance,omitempty"`

	// RotateEvery replaces the ticket of a session in use when it is that
	// old; at least 1s. Default: never.
	RotateEvery caddy.Duration `json:"rotate_every,omitempty"`

	// RotateGrace is how long a ticket is still good after rotate_every has
	// replaced it, for requests that are under way; shorter than
	// rotate_every. Default: 10s.
	RotateGrace *caddy.Duration `json:"rotate_grace,omitempty"`

	// MaxPerPrincipal limits how many sessions a user may be signed in to
	// at once. Default: any number.
	MaxPerPrincipal *PrincipalLimit `json:"max_per_principal,omitempty"`

	// Create says when a session begins: `on_write` (the default), when
	// there is something to keep, or `always`, for every visitor.
	Create string `json:"create,omitempty"`

	// InlineLimit is the most data that is forwarded in the `Session-Data`
	// header, in bytes; larger data is read at the endpoint. 0 forwards none.
	// Default: 4096.
	InlineLimit *int64 `json:"inline_limit,omitempty"`

	// Forward says what the app gets in request headers: `data` (the
	// default), id, state, metadata, and the data if it is small enough;
	// `endpoint`, all but the data; `id`, id and state alone. With Cookies the
	// default is `id`.
	Forward string `json:"forward,omitempty"`

	// OnEnd says what happens to WebSockets and event streams whose session
	// ends: `close` (the default) or `keep`.
	OnEnd string `json:"on_end,omitempty"`

	// MaxSize is the most data that a session can hold, in bytes of compact
	// ASCII JSON. More than InlineLimit is for an app that reads the endpoint.
	// Default: InlineLimit; 65536 where apps read the endpoint in any case,
	// since `forward` is `endpoint` or InlineLimit is 0.
	MaxSize int64 `json:"max_size,omitempty"`

	// Bind is `host` to bind tickets to the host that they were issued for: on
	// a site with many hosts, the ticket of one opens nothing at another. It
	// does not go with a cookie that has a domain. Default: the manager alone.
	Bind string `json:"bind,omitempty"`

	// CommitOn says which responses may write: `success` (the default),
	// those with a status below 500, or `any`.
	CommitOn string `json:"commit_on,omitempty"`

	// OnStoreFailure says what happens while the store cannot be reached:
	// `closed` (the default) answers 503; `open` lets requests pass without
	// a session, and refuses their writes.
	OnStoreFailure string `json:"on_store_failure,omitempty"`
}

const bindHost = "host"

const (
	createOnWrite, createAlways  = "on_write", "always"
	commitOnSuccess, commitOnAny = "success", "any"
	failClosed, failOpen         = "closed", "open"
	conflictFail                 = "fail"
	conflictMerge                = "merge"
	conflictRestart              = "restart"
	endClose, endKeep            = "close", "keep"
	evictOldest, refuseSignIn    = "evict_oldest", "refuse"
)

// forwards are the words of Forward, each in the place of its value.
var forwards = []string{"data", "endpoint", "id"}

// setDefaults fills in what is not configured. The values behind pointers that
// it is given stay as they are.
func (h *Handler) setDefaults() {
	d := session.DefaultPolicy()
	locking := Locking{}
	if h.Locking != nil {
		locking = *h.Locking
	}
	cfblock.SetDefault(&locking.Policy, session.Lossy.String())
	switch locking.Policy {
	case session.Serialized.String():
		wait := caddy.Duration(d.Wait)
		cfblock.SetDefault(&locking.Wait, &wait)
		cfblock.SetDefault(&locking.Queue, &d.Queue)
	case session.Optimistic.String():
		if locking.OnConflict == nil {
			locking.OnConflict = []string{conflictMerge, conflictFail}
		}
		if slices.Contains(locking.OnConflict, conflictRestart) {
			cfblock.SetDefault(&locking.Restarts, 1)
			cfblock.SetDefault(&locking.ReplayLimit, 1<<20)
		}
	}
	h.Locking = &locking
	h.setAssurance()
	cfblock.SetDefault(&h.IdleTimeout, caddy.Duration(d.IdleTimeout))
	cfblock.SetDefault(&h.AbsoluteTimeout, caddy.Duration(d.AbsoluteTimeout))
	cfblock.SetDefault(&h.MaxIdleTimeout, h.IdleTimeout)
	cfblock.SetDefault(&h.MaxAbsoluteTimeout, h.AbsoluteTimeout)
	if h.RotateEvery != 0 {
		grace := caddy.Duration(d.RotateGrace)
		cfblock.SetDefault(&h.RotateGrace, &grace)
	}
	cfblock.SetDefault(&h.Create, createOnWrite)
	inline := int64(4 << 10)
	cfblock.SetDefault(&h.InlineLimit, &inline)
	cfblock.SetDefault(&h.CommitOn, commitOnSuccess)
	h.Cookies = h.Cookies.withDefaults()
	if h.Cookies != nil { // an app that knows nothing of sessions reads no data
		cfblock.SetDefault(&h.Forward, forwards[sessionproxy.ForwardID])
	}
	cfblock.SetDefault(&h.Forward, forwards[sessionproxy.ForwardData])
	if h.readsEndpoint() {
		cfblock.SetDefault(&h.MaxSize, int64(d.MaxSize))
	}
	cfblock.SetDefault(&h.MaxSize, *h.InlineLimit)
	cfblock.SetDefault(&h.OnEnd, endClose)
	cfblock.SetDefault(&h.OnStoreFailure, failClosed)
	h.Ticket = h.Ticket.withDefaults(h.Manager)
}

// readsEndpoint reports whether no data is ever in a header, so that an app that
// wants some asks the endpoint.
func (h *Handler) readsEndpoint() bool {
	return h.Forward == forwards[sessionproxy.ForwardEndpoint] || h.Forward == forwards[sessionproxy.ForwardData] && *h.InlineLimit == 0
}

// checkEndpoint refuses, where the endpoint is off, data that no app could read.
func (h *Handler) checkEndpoint() error {
	switch {
	case h.readsEndpoint():
		return fmt.Errorf("session manager '%s' forwards no data in headers, so its app needs the endpoint, which is off", h.Manager)
	case h.Forward == forwards[sessionproxy.ForwardData] && h.MaxSize > *h.InlineLimit:
		return fmt.Errorf("session manager '%s' has a max_size of %d bytes and an inline_limit of %d: larger data could be read at the endpoint alone, which is off; raise inline_limit, lower max_size, or set `endpoint`", h.Manager, h.MaxSize, *h.InlineLimit)
	}
	return nil
}

// policy translates the configuration, defaults included, for the domain.
func (h *Handler) policy() (session.Policy, error) {
	p := session.DefaultPolicy()
	locking := []session.Locking{session.Lossy, session.Optimistic, session.Serialized}
	i := slices.IndexFunc(locking, func(l session.Locking) bool { return l.String() == h.Locking.Policy })
	if i < 0 {
		return p, fmt.Errorf("locking policy is lossy, serialized or optimistic, not %q", h.Locking.Policy)
	}
	p.Locking = locking[i]
	if p.Locking == session.Serialized {
		p.Wait, p.Queue = time.Duration(*h.Locking.Wait), *h.Locking.Queue
	} else if h.Locking.Wait != nil || h.Locking.Queue != nil {
		return p, fmt.Errorf("wait and queue belong to locking serialized, not to %s", p.Locking)
	}
	if err := h.Locking.checkConflicts(p.Locking); err != nil {
		return p, err
	}
	p.Merge = slices.Contains(h.Locking.OnConflict, conflictMerge)
	if !slices.Contains(forwards, h.Forward) {
		return p, fmt.Errorf("forward is data, endpoint or id, not %q", h.Forward)
	}
	for _, w := range []struct{ option, is, first, second string }{
		{"create", h.Create, createOnWrite, createAlways},
		{"commit_on", h.CommitOn, commitOnSuccess, commitOnAny},
		{"on_store_failure", h.OnStoreFailure, failClosed, failOpen},
		{"on_end", h.OnEnd, endClose, endKeep},
	} {
		if w.is != w.first && w.is != w.second {
			return p, fmt.Errorf("%s is %s or %s, not %q", w.option, w.first, w.second, w.is)
		}
	}
	if h.Bind != "" && h.Bind != bindHost {
		return p, fmt.Errorf("bind is host, not %q", h.Bind)
	}
	if h.Bind == bindHost && h.Ticket != nil && h.Ticket.Cookie != nil && h.Ticket.Cookie.Domain != "" {
		return p, errors.New("`bind host` binds a ticket to one host, and `ticket cookie` has a domain, which shares it among hosts: remove one of them")
	}
	if *h.InlineLimit < 0 {
		return p, errors.New("inline_limit must not be negative")
	}
	p.IdleTimeout, p.AbsoluteTimeout = time.Duration(h.IdleTimeout), time.Duration(h.AbsoluteTimeout)
	p.MaxIdle, p.MaxAbsolute = time.Duration(h.MaxIdleTimeout), time.Duration(h.MaxAbsoluteTimeout)
	if err := h.checkAssurance(p); err != nil {
		return p, err
	}
	if err := h.rotation(&p); err != nil {
		return p, err
	}
	if err := h.MaxPerPrincipal.translate(&p); err != nil {
		return p, err
	}
	p.MaxSize = int(h.MaxSize)
	p.CreateAlways = h.Create == createAlways
	p.FailOpen = h.OnStoreFailure == failOpen
	p.CookieJar = h.Cookies != nil
	return p, nil
}
