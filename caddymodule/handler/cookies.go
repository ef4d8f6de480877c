package handler

import (
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
)

// Cookies keeps the cookies of an app that knows nothing of this handler in
// the session: the cookie jar. The browser carries the ticket alone. A cookie
// that scripts may read stays in the browser, under the mount's path; what the
// app did not set and no `pass` names does not reach the app.
//
// Names are globs: `*` stands for any characters, also none. The lists are in
// order of force: drop, pass, jar. A list may not repeat what another one has,
// and `*` alone stands for what no other list names.
type Cookies struct {
	// Mount is the path below which browsers see the app. Default: what a
	// handler before this one has taken away from the path, such as
	// `handle_path`; else `/`.
	Mount string `json:"mount,omitempty"`

	// Jar names cookies that are kept in the session though scripts may read
	// them. Cookies that are HttpOnly, and those with names that web
	// frameworks give to their sessions, are kept there in any case.
	Jar []string `json:"jar,omitempty"`

	// Pass names cookies that live in the browser and reach the app, such as
	// those that scripts write and the app reads.
	Pass []string `json:"pass,omitempty"`

	// Drop names cookies that neither reach the app nor the browser.
	Drop []string `json:"drop,omitempty"`

	// Adopt names cookies that are taken over from the browser, once, when a
	// session begins: for the time after the jar was switched on.
	Adopt []string `json:"adopt,omitempty"`

	// Login says which requests are sign-ins: a successful response to one
	// replaces the ticket, and the old one is refused at once. For an app that
	// keeps its own session id at a sign-in, and for callbacks of single
	// sign-on. Default: none.
	LoginRaw caddyhttp.RawMatcherSets `json:"login,omitempty" caddy:"namespace=http.matchers"`

	// Remember names cookies of the kind "remember me": while one with an
	// expiry is in the jar, session and ticket last as long, up to
	// max_idle_timeout and max_absolute_timeout. Default: none.
	Remember []string `json:"remember,omitempty"`

	// Begin says when a session begins: `response` (the default), with the
	// first cookie that the app sets, or `navigation`, already with a page
	// that sets none.
	Begin string `json:"begin,omitempty"`

	// MaxSize is the most that the jar holds, names and values together, in
	// bytes; at most 65536. Default: 16384.
	MaxSize int64 `json:"max_size,omitempty"`

	// Export gives the cookies in the jar back to the browser and ends the
	// session: for the time before the jar is switched off.
	Export bool `json:"export,omitempty"`
}

const beginResponse, beginNavigation = "response", "navigation"

// withDefaults returns the cookies with everything filled in; nil stays nil.
func (c *Cookies) withDefaults() *Cookies {
	if c == nil {
		return nil
	}
	full := *c
	if full.Begin == "" {
		full.Begin = beginResponse
	}
	if full.MaxSize == 0 {
		full.MaxSize = jar.DefaultMaxSize
	}
	return &full
}

// rules translates the configuration, defaults included, for the jar; nil if
// there is none.
func (c *Cookies) rules() (*jar.Rules, error) {
	if c == nil {
		return nil, nil
	}
	if c.Begin != beginResponse && c.Begin != beginNavigation {
		return nil, fmt.Errorf("begin of cookies is %s or %s, not %q", beginResponse, beginNavigation, c.Begin)
	}
	rules, err := jar.NewRules(jar.Options{
		Mount: c.Mount, Jar: c.Jar, Pass: c.Pass, Drop: c.Drop, Adopt: c.Adopt, Remember: c.Remember,
		BeginByNavigation: c.Begin == beginNavigation, MaxSize: int(c.MaxSize), Export: c.Export,
	})
	if err != nil {
		return nil, fmt.Errorf("reading cookies: %w", err)
	}
	return rules, nil
}

// cookieJar returns what serves requests; nil without a jar.
func (h *Handler) cookieJar(rules *jar.Rules) *sessionproxy.Cookies {
	if rules == nil {
		return nil
	}
	c := &sessionproxy.Cookies{
		Rules: rules, BrowserPath: browserPath, Came: noteBrowserCookies,
		Unknown: h.warnOfUnknownCookie, Fixed: h.warnOfFixedCookie, Refused: h.warnOfLargeJar, LongLine: h.warnOfLongLine, Lost: h.warnOfLostJar,
	}
	if len(h.login) > 0 {
		// A matcher that fails counts as matching: then the ticket is replaced
		// once too often, and no planted one stays.
		c.Login = func(r *http.Request) bool { return h.matches(r, "login", h.login, true) }
	}
	return c
}

// browserPath returns the path that the browser asked for, before handlers
// took a prefix away.
func browserPath(r *http.Request) string {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return original.URL.EscapedPath()
	}
	return r.URL.EscapedPath()
}

// warnOfUnknownCookie tells, once per name, that a cookie of the browser does
// not reach the app.
func (h *Handler) warnOfUnknownCookie(name string) {
	// A client can make up names: they use up no other warnings.
	if !h.unknown.first(name) {
		return
	}
	h.app.Registry().NoteUnknownCookie(h.Manager, name)
	h.logger.Warn("the browser sends a cookie that the app never set, and it does not reach the app; if the app reads what its scripts write there, add a line to cookies: pass <name>",
		zap.String("manager", h.Manager), zap.String("cookie", name))
}

// warnOfFixedCookie tells, once per name, that a cookie is shared by the apps of
// the host.
func (h *Handler) warnOfFixedCookie(name string) {
	if !h.first("fixed cookie " + name) {
		return
	}
	h.logger.Warn("the app sets a cookie that has to be valid for the whole host, so another copy of the app would overwrite it; add a line to cookies: jar <name>",
		zap.String("manager", h.Manager), zap.String("cookie", name))
}

// warnOfLargeJar tells once that the app's cookies are too large.
func (h *Handler) warnOfLargeJar() {
	if h.first("large jar") {
		h.logger.Warn("the app sets more cookies than its jar holds, so the oldest are gone; raise max_size of cookies. Further ones are counted by caddy_sessions_cookies_total",
			zap.String("manager", h.Manager), zap.Int64("max_size", h.Cookies.MaxSize))
	}
}

// warnOfLongLine tells once that the app may refuse its own cookies.
func (h *Handler) warnOfLongLine(size int) {
	if h.first("long cookie line") {
		h.logger.Warn("the app's cookies make a very long header, which some servers refuse with the whole request; drop some, or raise the app's limit of header bytes",
			zap.String("manager", h.Manager), zap.Int("size", size))
	}
}

// warnOfLostJar tells once that the app does not get its cookies.
func (h *Handler) warnOfLostJar(err error) {
	if h.first("lost jar") {
		h.logger.Error("the cookies of a session cannot be read, so that its app got none; was the store written by a newer version, or changed by others? Further ones are counted by caddy_sessions_lost_jars_total",
			zap.String("manager", h.Manager), zap.Error(err))
	}
}
