package handler

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/sessionproxy/sessionproxy/caddymodule/app"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/sessionproxy"
)

// ServeHTTP opens the session, passes the request on, and commits before the
// response headers.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if h.Off {
		sessionproxy.StripRequest(r, h.app.Ring)
		return next.ServeHTTP(w, r)
	}
	info := infoOf(r)
	if info.active {
		err := app.ErrTwoSessions(info.manager, h.Manager)
		h.serve.CountSecond()
		h.logger.Error("refusing request", zap.String("manager", h.Manager), zap.Error(err),
			zap.String("first", info.place), zap.String("second", h.Place()),
			zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.String("uuid", requestID(r)))
		return caddyhttp.Error(http.StatusInternalServerError, err)
	}
	if err := h.app.Listen(); err != nil {
		h.logger.Error("refusing request", zap.String("manager", h.Manager), zap.Error(err))
		return caddyhttp.Error(http.StatusServiceUnavailable, errors.New("the session endpoint is not open"))
	}
	info.resume(r, h.app.Registry())
	info.begin(h)
	defer info.end()

	err := h.serve.Serve(w, r, next.ServeHTTP)
	if err == nil {
		return nil
	}
	var p *sessionproxy.Problem
	switch {
	case errors.As(err, &p):
		return h.answer(w, r, info, p)
	case errors.Is(err, sessionproxy.ErrRequestBody) && (errors.Is(err, io.ErrUnexpectedEOF) || r.Context().Err() == nil):
		// A client that ends its body early and waits for the answer looks
		// like one that has left: net/http ends the context of both.
		return bodyError(err)
	case info.view == nil:
		return caddyhttp.Error(sessionproxy.StatusClientGone, err) // it left before its session was open
	}
	return withoutHeader(err)
}

// withoutHeader takes the text of a header that Go's HTTP client refuses out of
// an error, which is for the log and for error pages: it may be a cookie.
func withoutHeader(err error) error {
	var bad textproto.ProtocolError
	if !errors.As(err, &bad) {
		return err
	}
	known := caddyhttp.HandlerError{StatusCode: http.StatusBadGateway}
	_ = errors.As(err, &known)
	what, _, _ := strings.Cut(bad.Error(), ":")
	known.Err = errors.New("the app's response has a " + what)
	return known
}

// bodyError is the client's fault, unless a handler before this one says what
// it is, as the limit of request_body does.
func bodyError(err error) error {
	var known caddyhttp.HandlerError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &large):
		return caddyhttp.Error(http.StatusRequestEntityTooLarge, err)
	}
	return caddyhttp.Error(http.StatusBadRequest, err)
}

// answer tells the client of a problem: by the site's error routes if there
// are any for it, else by the problem document.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, info *requestInfo, p *sessionproxy.Problem) error {
	info.problem = p.Type
	cloneVars(r) // what follows may set one: the request's id, an error route
	if c := h.logger.Check(problemLevel(p), "a request failed because of its session"); c != nil {
		c.Write(zap.String("manager", h.Manager), zap.String("session_id", p.SessionID),
			zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.String("uuid", requestID(r)),
			zap.String("type", p.Type), zap.Int("status", p.Status), zap.Error(p))
	}
	// The message may be shown to any client, so it is the problem's title; the
	// cause, which may name files of the server, is for the log.
	page := caddyhttp.Error(p.Status, errors.New(p.Title))
	if hasErrorPage(r, page) {
		p.SetHeaders(w.Header())
		return page
	}
	return p.Write(w, r)
}

// isLoopbackHost reports whether a request was made to this machine by a name
// that leads nowhere else: clear HTTP is no danger there.
func isLoopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}

// requestID returns {http.request.uuid}, which the access log shows from then on.
func requestID(r *http.Request) string {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return ""
	}
	id, _ := repl.GetString("http.request.uuid")
	return id
}

// problemLevel ranks a problem by the one to act on it: the operator, the author of
// the app, or neither.
func problemLevel(p *sessionproxy.Problem) zapcore.Level {
	switch p.Type {
	case sessionproxy.TypeUnavailable:
		return zapcore.ErrorLevel
	case sessionproxy.TypeBadWrite, sessionproxy.TypeTooLarge, sessionproxy.TypeReadOnly:
		return zapcore.WarnLevel
	}
	return zapcore.DebugLevel
}

// secure reports whether the client's connection is protected: TLS ends here,
// or at a proxy that the server trusts and that says so.
func (h *Handler) secure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted {
		first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",")
		if strings.EqualFold(strings.TrimSpace(first), "https") {
			return true
		}
	}
	if h.exposed && !isLoopbackHost(r.Host) {
		h.warnOnce.Do(func() {
			h.logger.Warn("session tickets travel over clear HTTP; serve the site over HTTPS, or set trusted_proxies if a proxy in front does",
				zap.String("manager", h.Manager))
		})
	}
	return false
}

// warnOfCookie tells, once per name, that the app's cookie does not reach the
// browser: it would replace the ticket.
func (h *Handler) warnOfCookie(name string) {
	if !h.first("cookie " + name) {
		return
	}
	h.logger.Warn("the app sets a cookie of the ticket's name, which is removed; rename the ticket: ticket cookie <name>",
		zap.String("manager", h.Manager), zap.String("cookie", name))
}

// first reports whether a warning is given for the first time.
func (h *Handler) first(warning string) bool { return h.warned.first(warning) }

// warnOfName tells, once per name, that a response header means nothing.
func (h *Handler) warnOfName(name string) {
	if !h.first("header " + name) {
		return
	}
	h.logger.Warn("the app answers with a header that means nothing to the session proxy; is its name misspelt?",
		zap.String("manager", h.Manager), zap.String("header", name))
}

// noteRefusal records a refusal, and tells once that tickets of another key
// come: those of one other client may be made up, and those of all visitors
// mean that they were signed in elsewhere. A ticket of another host does not
// differ from one of another key.
func (h *Handler) noteRefusal(kind string) {
	runtime.AuditRefusal(h.Manager, kind)
	if kind == sessionproxy.RefusedForged && h.first("forged") {
		text := "a session ticket comes that was signed with another key: is there another proxy on this host name, or was a ticket key removed?"
		if h.Bind == bindHost {
			text = "a session ticket comes that was signed for another host, or with another key: is it from a neighbour, or was a ticket key removed?"
		}
		h.logger.Warn(text+" Further ones are counted by caddy_sessions_refused_tickets_total", zap.String("manager", h.Manager))
	}
}

// warnOfVoidWrites tells once that an app's writes beside `destroy` are ignored.
func (h *Handler) warnOfVoidWrites() {
	if h.first("void writes") {
		h.logger.Warn("the app ends a session and writes it in one response: `Session-Action: destroy` makes the other writes void",
			zap.String("manager", h.Manager))
	}
}

// warnOfWithheld tells once that an app does not find a session's data in its
// header: it was stored when larger data was accepted.
func (h *Handler) warnOfWithheld(size int) {
	if h.first("withheld data") {
		h.logger.Warn("the data of a session is larger than inline_limit, so the request reached the app without Session-Data; raise inline_limit, and max_size if it is set, "+
			"or let the app read the endpoint. Further ones are counted by caddy_sessions_withheld_data_total",
			zap.String("manager", h.Manager), zap.Int("size", size), zap.Int64("inline_limit", *h.InlineLimit))
	}
}

// matches reports whether one of the option's matchers matches. failing is the
// answer when a matcher cannot tell.
func (h *Handler) matches(r *http.Request, option string, sets caddyhttp.MatcherSets, failing bool) bool {
	match, err := sets.AnyMatchWithError(r)
	if err != nil {
		h.logger.Error("a matcher of a session option failed: correct it; counts_as_match says how it was taken", zap.String("manager", h.Manager),
			zap.String("option", option), zap.Bool("counts_as_match", failing), zap.Error(err))
		return failing
	}
	return match
}

// hasErrorPage reports whether the server has an error route for this error,
// as far as matchers tell. Caddy itself answers with a bare status if none fits.
func hasErrorPage(r *http.Request, err caddyhttp.HandlerError) bool {
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server == nil || server.Errors == nil {
		return false
	}
	// Error routes see the request as it came, and the error in placeholders.
	asked := server.Errors.WithError(r, err)
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		asked.Method, asked.URL, asked.RequestURI = original.Method, original.URL, original.RequestURI
	}
	return anyRoute(asked, server, server.Errors.Routes, make(map[string]bool))
}

// anyRoute reports whether a request finds a handler in routes. Each named
// route is followed once: seen are those that were, and had none.
func anyRoute(r *http.Request, server *caddyhttp.Server, routes caddyhttp.RouteList, seen map[string]bool) bool {
	for _, route := range routes {
		if len(route.MatcherSets) > 0 {
			if match, err := route.MatcherSets.AnyMatchWithError(r); err != nil || !match {
				continue
			}
		}
		for _, handler := range route.Handlers {
			found := true
			switch h := handler.(type) {
			case errorGuard: // it answers nothing
				found = false
			case *caddyhttp.Subroute:
				found = anyRoute(r, server, h.Routes, seen)
			case *caddyhttp.Invoke:
				named, ok := server.NamedRoutes[h.Name]
				if found = ok && !seen[h.Name]; found {
					seen[h.Name] = true
					found = anyRoute(r, server, caddyhttp.RouteList{*named}, seen)
				}
			}
			if found {
				return true
			}
		}
	}
	return false
}
