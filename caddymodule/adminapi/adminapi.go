package adminapi

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
)

func init() {
	caddy.RegisterModule(new(adminAPI))
}

// adminAPI is what operators see of sessions, and do to them, at Caddy's admin
// endpoint. {m} is a manager, {id} a session, or a dead letter.
//
//	GET    /sessions/managers                     managers, and how many sessions each has
//	GET    /sessions/managers/{m}/sessions        sessions: principal, order, limit, cursor
//	DELETE /sessions/managers/{m}/sessions        ends those of a principal, but for one (except), or all (all=true)
//	GET    /sessions/managers/{m}/sessions/{id}   one session; its data with data=true, if `admin_data on`
//	DELETE /sessions/managers/{m}/sessions/{id}   ends one session
//	GET    /sessions/locks                        the locks that are held, the oldest first
//	GET    /sessions/health                       whether the store can be written to
//	GET    /sessions/stats                        what store, managers and listeners count
//	GET    /sessions/dead-letters                 what listeners could not be told: limit, cursor
//	POST   /sessions/dead-letters/{id}/retry      tries to tell it again
//	DELETE /sessions/dead-letters/{id}            gives it up for good
//	DELETE /sessions/backlog                      the same for all that waits for a listener that is not configured
//	GET    /sessions/backup                       a copy of everything, streamed
//	POST   /sessions/restore                      brings such a copy into an empty store
//
// Bodies are JSON. Times are Unix seconds, as in `Session-Meta`, and absent
// when there is none; sizes are bytes. Cursors are opaque: `next` of one
// answer is the `cursor` of the next request, and absent at the end. What is
// misspelt is refused, never ignored. Errors are problem documents (RFC 9457).
//
// Caddy logs the address and the header of each call. An operator who wants no principal
// in that log sends `{"principal":"…"}`, with `except` if it is meant, in the
// body of GET or DELETE and not in the query.
//
// Nothing belongs to the configuration that the module was made for, which may
// have failed to load: each call finds the store of the active configuration,
// and holds it until it has answered.
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (*adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: runtime.AdminName, New: func() caddy.Module { return new(adminAPI) }}
}

// Routes returns the paths of the admin endpoint.
func (*adminAPI) Routes() []caddy.AdminRoute {
	const of = "/sessions/managers/{manager}/sessions"
	return []caddy.AdminRoute{
		{Pattern: "/sessions/", Handler: caddy.AdminHandlerFunc(unknownPath)},
		{Pattern: "/sessions/locks", Handler: methods{http.MethodGet: listLocks}},
		{Pattern: "/sessions/managers", Handler: methods{http.MethodGet: onStore(listManagers)}},
		{Pattern: of, Handler: methods{http.MethodGet: onStore(listSessions), http.MethodDelete: onStore(endSessions)}},
		{Pattern: of + "/{id}", Handler: methods{http.MethodGet: onStore(showSession), http.MethodDelete: onStore(endSession)}},
		{Pattern: "/sessions/health", Handler: methods{http.MethodGet: onStore(showHealth)}},
		{Pattern: "/sessions/stats", Handler: methods{http.MethodGet: onStore(showStats)}},
		{Pattern: "/sessions/dead-letters", Handler: methods{http.MethodGet: onStore(listDeadLetters)}},
		{Pattern: "/sessions/dead-letters/{id}", Handler: methods{http.MethodDelete: onStore(discardDeadLetter)}},
		{Pattern: "/sessions/dead-letters/{id}/retry", Handler: methods{http.MethodPost: onStore(retryDeadLetter)}},
		{Pattern: "/sessions/backlog", Handler: methods{http.MethodDelete: onStore(discardBacklog)}},
		{Pattern: "/sessions/backup", Handler: methods{http.MethodGet: onStore(backup)}},
		{Pattern: "/sessions/restore", Handler: methods{http.MethodPost: onStore(restore)}},
	}
}

// methods answers one path, by method; HEAD as GET, whose body net/http drops.
type methods map[string]func(w http.ResponseWriter, r *http.Request) error

// ServeHTTP implements caddy.AdminHandler. Errors are answered here, as
// problem documents; Caddy is told of none.
func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	serve, ok := m[method]
	if !ok {
		w.Header().Set("Allow", m.allowed())
		return answerProblem(w, r, problemOf(http.StatusMethodNotAllowed, "this path answers "+m.allowed()))
	}
	w.Header().Set("Cache-Control", "no-store")
	if err := serve(w, r); err != nil {
		return answerProblem(w, r, err)
	}
	return nil
}

func (m methods) allowed() string {
	allowed := slices.Sorted(maps.Keys(m))
	if slices.Contains(allowed, http.MethodGet) {
		allowed = append(allowed, http.MethodHead)
	}
	return strings.Join(allowed, ", ")
}

func unknownPath(w http.ResponseWriter, r *http.Request) error {
	return answerProblem(w, r, problemOf(http.StatusNotFound, "the admin API of sessions has no such path"))
}

// adminCall is one request of an operator and the store that it is about.
type adminCall struct {
	*adminTarget
	w http.ResponseWriter
	r *http.Request
}

// onStore lends the store to a call, and takes it back when it has answered.
// The call is cancelled when the process exits.
func onStore(serve func(*adminCall) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		target, err := activeStore() //nolint:contextcheck // a store that it opens outlives the call
		if err != nil {
			return err
		}
		defer target.release()
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(runtime.Exiting(), cancel)() //nolint:contextcheck // the exit is that of the process
		return serve(&adminCall{adminTarget: target, w: w, r: r.WithContext(ctx)})
	}
}

// answer writes a JSON document.
func (c *adminCall) answer(value any) error { return answerJSON(c.w, value) }

func answerJSON(w http.ResponseWriter, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n')) // an error is that of a client that has gone
	return nil
}

// unixSeconds returns the time as the API tells it; nil, for a time that there is not, is left out.
func unixSeconds(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	s := t.Unix()
	return &s
}

// Interface guards.
var (
	_ caddy.AdminRouter  = (*adminAPI)(nil)
	_ caddy.AdminHandler = methods(nil)
)
