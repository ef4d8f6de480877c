package handler

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/caddymodule/app"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler gives requests a session: the handlers after it find the session's
// data in the request header `Session-Data`, and write it by response headers
// such as `Session-Patch`. What is written is stored before the client sees
// the response.
//
// It provides the placeholders `{http.session.id}`, `.manager`, `.state`
// (`new`, `active`, `expired` or `unavailable`), `.principal`, `.new` (whether
// no stored session belongs to the request), `.data.<path>` (a string, number
// or boolean in the data; names and indexes with dots between) and `.problem`
// (the type of the problem that replaced the response). All but the last one
// show the session as it was opened.
//
// When the response has to be replaced, because a write was malformed or the
// store is down, the client gets a problem document (RFC 9457), or the error
// routes of the site get the error.
//
// What an app writes in a response that `handle_response` takes is stored with
// the response that goes to the client instead, unless its status is 500 or
// above, or the routes there copy headers themselves. A gateway of
// `forward_auth` counts as an app if it gets the session's headers.
type Handler struct {
	// Manager names the policy and the sessions: handlers with one manager
	// share sessions, and must have the same policy; sessions of different
	// managers are strangers. 1 to 64 characters of A-Za-z0-9_.-, required
	// unless `off` is set.
	Manager string `json:"manager,omitempty"`

	// Off opens no session, and only removes what claims to be one: the
	// `Session-*` headers of the client, and all tickets. For an app that
	// would believe those headers, on a route that has no session. Nothing
	// else can be set beside it.
	Off bool `json:"off,omitempty"`

	// HideFromGateways keeps the session's request headers from the gateways
	// that `forward_auth` asks after this handler, unless their configuration
	// sets one of these headers; each named route of the server counts as
	// after it. The Caddyfile adapter sets it where Caddy
	// sorts the directives, and not in a `route` block, where forward_auth
	// stands after session on purpose. Default: false.
	HideFromGateways bool `json:"hide_from_gateways,omitempty"`

	Policy

	// ReadOnly says which requests open the session without lock; they do
	// not count as activity, and a write in their response is refused.
	// Default: none.
	ReadOnlyRaw caddyhttp.RawMatcherSets `json:"read_only,omitempty" caddy:"namespace=http.matchers"`

	// Passive says which requests do not count as activity, such as those of
	// a page that asks for news by itself: they keep no user signed in. A
	// write counts, and so does `Session-Action: touch`. Default: none.
	PassiveRaw caddyhttp.RawMatcherSets `json:"passive,omitempty" caddy:"namespace=http.matchers"`

	// Listeners are told of what happens to the manager's sessions, from
	// outside of any request. What is told is kept until they have heard it.
	// Default: none.
	ListenersRaw []json.RawMessage `json:"listeners,omitempty" caddy:"namespace=sessions.listeners inline_key=module"`

	// Ticket says how clients carry the session's ticket. Default: in a cookie.
	Ticket *Ticket `json:"ticket,omitempty"`

	// Cookies keeps the app's own cookies in the session, for an app that
	// knows nothing of this handler. Default: they pass as they are.
	Cookies *Cookies `json:"cookies,omitempty"`

	app      *app.App
	logger   *zap.Logger
	readOnly caddyhttp.MatcherSets
	replay   caddyhttp.MatcherSets
	passive  caddyhttp.MatcherSets
	login    caddyhttp.MatcherSets
	subs     []event.Subscription
	serve    *sessionproxy.Handler
	exposed  bool                    // a ticket may travel over a clear connection
	warnOnce *sync.Once              // about one that does
	warned   *givenWarnings          // the warnings about the app that were given
	unknown  *givenWarnings          // and those about cookies that it never set
	place    *atomic.Pointer[string] // its path in the configuration, once the routes were checked
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.session", New: func() caddy.Module { return new(Handler) }}
}

// Provision sets the defaults and registers the manager with the app.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger, h.warnOnce, h.warned, h.unknown = ctx.Logger(), new(sync.Once), new(givenWarnings), new(givenWarnings)
	h.place = new(atomic.Pointer[string])
	loaded, err := ctx.App(runtime.AppID)
	if err != nil {
		return fmt.Errorf("loading the %s app: %w", runtime.AppID, err)
	}
	h.app = loaded.(*app.App)
	if h.Off {
		return nil
	}
	resolved, err := h.resolve()
	if err != nil {
		return err
	}
	n, err := resolved.registration(placeOf(ctx))
	if err != nil {
		return err
	}
	if err := h.app.Registry().Add(n); err != nil {
		return err
	}
	h.Policy, h.Ticket, h.Cookies = resolved.handler.Policy, resolved.handler.Ticket, resolved.handler.Cookies
	if err := prepareProxies(ctx, h.HideFromGateways, h.Cookies != nil); err != nil {
		return fmt.Errorf("preparing proxies of named routes: %w", err)
	}
	if err := guardServer(ctx); err != nil {
		return fmt.Errorf("guarding error routes: %w", err)
	}
	if h.app.OpenEndpoint() == nil {
		if err := h.checkEndpoint(); err != nil {
			return err
		}
	}
	if h.ReadOnlyRaw != nil {
		if err := loadMatchers(ctx, h, "ReadOnlyRaw", &h.readOnly); err != nil {
			return fmt.Errorf("loading matchers of read_only: %w", err)
		}
	}
	if h.PassiveRaw != nil {
		if err := loadMatchers(ctx, h, "PassiveRaw", &h.passive); err != nil {
			return fmt.Errorf("loading matchers of passive: %w", err)
		}
	}
	if h.Locking.ReplayableRaw != nil {
		if err := loadMatchers(ctx, h.Locking, "ReplayableRaw", &h.replay); err != nil {
			return fmt.Errorf("loading matchers of replayable: %w", err)
		}
	}
	if h.Cookies != nil && h.Cookies.LoginRaw != nil {
		if err := loadMatchers(ctx, h.Cookies, "LoginRaw", &h.login); err != nil {
			return fmt.Errorf("loading matchers of login: %w", err)
		}
	}
	h.warnOfLogs(ctx)
	// Of the handlers of one manager, which all say the same, the first one
	// loads the listeners.
	h.subs, err = h.app.Registry().Subscribe(h.Manager, func() ([]event.Subscription, error) { return h.loadListeners(ctx) })
	if err != nil {
		return err
	}
	return h.build(resolved)
}

// warnOfLogs tells where the server's logs would show tickets: Caddy hides
// Cookie, Set-Cookie and Authorization there, and no other header.
func (h *Handler) warnOfLogs(ctx caddy.Context) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if fields := h.Ticket.logged(ok && server.Logs != nil); len(fields) > 0 {
		h.logger.Warn("Caddy's logs show session tickets that travel in headers, unless a filter deletes these fields",
			zap.String("manager", h.Manager), zap.Strings("fields", fields))
	}
}

func loadMatchers(ctx caddy.Context, of any, field string, into *caddyhttp.MatcherSets) error {
	sets, err := ctx.LoadModule(of, field)
	if err != nil {
		return err
	}
	return into.FromInterface(sets)
}

// build makes the runtime from what the configuration comes to.
func (h *Handler) build(s *settings) error {
	manager, err := session.NewManager(h.Manager, s.policy, session.Options{
		Provider: h.app.Provider(), NewCredential: sessionproxy.CredentialSource(h.Manager), Listeners: h.subs,
		Trace: runtime.Metrics().Trace(h.Manager, spans(h.Manager)),
	})
	if err != nil {
		return err
	}
	h.app.Registry().AddBuilt(manager)
	h.exposed = s.carriers.exposed
	config := sessionproxy.Config{
		Manager: manager, Ring: h.app.Ring, Carriers: s.carriers.carriers,
		Secure: h.secure, InlineLimit: int(*h.InlineLimit), CommitAny: h.CommitOn == commitOnAny,
		Observe: observe, Metrics: runtime.Metrics(),
		Refused:       h.noteRefusal,
		CookieRemoved: h.warnOfCookie, Misspelt: h.warnOfName, EndsAndWrites: h.warnOfVoidWrites, Withheld: h.warnOfWithheld,
		Forward:    sessionproxy.Forward(slices.Index(forwards, h.Forward)),
		Restart:    sessionproxy.Restart{Times: h.Locking.Restarts, BodyLimit: h.Locking.ReplayLimit, Prepare: newRequestState},
		BindHost:   h.Bind == bindHost,
		EndStreams: h.OnEnd == endClose,
		Cookies:    h.cookieJar(s.cookies),
	}
	if endpoint := h.app.OpenEndpoint(); endpoint != nil {
		config.Endpoint = endpoint
	}
	if len(h.replay) > 0 {
		config.Restart.Replayable = func(r *http.Request) bool { return h.matches(r, "replayable", h.replay, false) }
	}
	if len(h.passive) > 0 {
		config.Passive = func(r *http.Request) bool { return h.matches(r, "passive", h.passive, false) }
	}
	if len(h.readOnly) > 0 {
		// A matcher that fails counts as matching: then nothing is written by mistake.
		config.ReadOnly = func(r *http.Request) bool { return h.matches(r, "read_only", h.readOnly, true) }
	}
	h.serve, err = sessionproxy.NewHandler(config)
	return err
}

// Opens returns the manager whose sessions the handler opens; false if it is off.
func (h *Handler) Opens() (manager string, ok bool) { return h.Manager, !h.Off }

// SecureAlways reports whether browsers get the ticket in a cookie that they
// send by HTTPS alone.
func (h *Handler) SecureAlways() bool {
	return !h.Off && h.Ticket.Cookie != nil && h.Ticket.Cookie.Secure == "always"
}

// InlineData returns the most data that reaches an app in Session-Data, in bytes.
func (h Handler) InlineData() int64 {
	h.setDefaults()
	if h.Off || h.Forward != forwards[0] {
		return 0
	}
	return *h.InlineLimit
}

// Validate refuses options beside off; what they say was checked when they were
// resolved.
func (h *Handler) Validate() error {
	if h.Off && (h.Manager != "" || h.Policy != (Policy{}) || h.ReadOnlyRaw != nil || h.PassiveRaw != nil || h.ListenersRaw != nil || h.Ticket != nil || h.Cookies != nil) {
		return errors.New("session off takes no other option")
	}
	return nil
}

// SetPlace notes the handler's path in the configuration.
func (h *Handler) SetPlace(path string) { h.place.Store(&path) }

// Place returns the handler's path in the configuration, as far as it is known.
func (h *Handler) Place() string {
	if place := h.place.Load(); place != nil {
		return *place
	}
	return "an unknown place"
}

// placeOf names the server that a handler is configured in.
func placeOf(ctx caddy.Context) string {
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok && server.Name() != "" {
		return "server " + server.Name()
	}
	return "a server"
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ app.SessionHandler          = (*Handler)(nil)
)
