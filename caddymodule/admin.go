package caddymodule

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

func init() {
	caddy.RegisterModule(new(adminAPI))
}

// adminAPI is what operators see of sessions at Caddy's admin endpoint:
//
//	GET /sessions/locks    the locks that are held, the oldest first
//
// It looks at what the process has open, and not at a configuration: the one
// that it was made for may have failed to load.
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (*adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.sessions", New: func() caddy.Module { return new(adminAPI) }}
}

// Routes returns the paths of the admin endpoint.
func (a *adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: "/sessions/locks", Handler: caddy.AdminHandlerFunc(a.locks)}}
}

// lockView is one lock as operators see it.
type lockView struct {
	Manager string  `json:"manager"`
	Session string  `json:"session"`
	Method  string  `json:"method"`
	Path    string  `json:"path"`
	Age     float64 `json:"age_seconds"`
	Waiting int     `json:"waiting"`
}

func (a *adminAPI) locks(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("method not allowed")}
	}
	var held []session.Lock
	databases.Range(func(_, value any) bool {
		if db, ok := value.(*database); ok {
			held = append(held, db.local.Locks.All()...)
		}
		return true
	})
	slices.SortFunc(held, func(a, b session.Lock) int { return cmp.Compare(a.Since.UnixNano(), b.Since.UnixNano()) })
	views := make([]lockView, 0, len(held))
	for _, l := range held {
		views = append(views, lockView{
			Manager: l.Key.Manager, Session: l.Key.ID.String(), Method: l.Holder.Method, Path: l.Holder.Path,
			Age: time.Since(l.Since).Round(time.Millisecond).Seconds(), Waiting: l.Waiting,
		})
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(map[string]any{"locks": views})
}

// Interface guard.
var _ caddy.AdminRouter = (*adminAPI)(nil)
