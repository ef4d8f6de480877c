package sessionproxy

import (
	"context"
	"errors"
	"net/http"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
	"github.com/sessionproxy/sessionproxy/store"
)

// Config is what a Handler is made of. All but ReadOnly and Observe is required.
type Config struct {
	Manager *session.Manager
	// Ring returns the key ring that signs and verifies tickets.
	Ring func() (*ticket.Ring, error)
	// Cookie carries the ticket.
	Cookie *ticket.Cookie
	// Names returns the names of all ticket cookies, those of other managers
	// included: no app may see any of them, nor set one.
	Names func() ticket.Names
	// Secure reports whether the client's connection is protected.
	Secure func(*http.Request) bool
	// ReadOnly reports whether a request is opened read-only.
	ReadOnly func(*http.Request) bool
	// InlineLimit is the most data that is forwarded in a header, in bytes.
	InlineLimit int
	// CommitAny commits whatever the status; otherwise 500 and above roll back.
	CommitAny bool
	// Observe is called with each opened session, before the app.
	Observe func(*http.Request, View)
	Metrics *Metrics
}

// View is what others on the request's way may see of its session. Its
// values are those at the opening, and stay valid after the request.
type View interface {
	ID() store.ID
	State() session.State
	Data() []byte
	Meta() session.Meta
}

// Next is the rest of the chain: the app, in the end.
type Next func(http.ResponseWriter, *http.Request) error

// Handler gives the requests that pass through it a session. Safe for
// concurrent use.
type Handler struct {
	Config
	metrics      *managerMetrics
	createAlways bool
}

// NewHandler returns a Handler for the configuration.
func NewHandler(c Config) (*Handler, error) {
	if c.Manager == nil || c.Ring == nil || c.Cookie == nil || c.Names == nil || c.Secure == nil || c.Metrics == nil {
		return nil, errors.New("making session handler: manager, ring, cookie, names, secure and metrics are required")
	}
	return &Handler{Config: c, metrics: c.Metrics.of(c.Manager.ID()), createAlways: c.Manager.Policy().CreateAlways}, nil
}

// Serve opens the session, passes the request on and commits before the
// response headers. It returns a *Problem when the app's response was
// replaced; nothing has been written then. Any other error is that of next,
// or the context's when the client left before the session was open.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, next Next) (err error) {
	h.count(h.metrics.inbound, stripReserved(r))
	secure := h.Secure(r)
	creds, presented, err := h.credentials(r, secure)
	ticket.Strip(r.Header, h.Names())
	if err != nil {
		return h.refuse(newProblem(err, ""))
	}
	readOnly := h.ReadOnly != nil && h.ReadOnly(r)
	s, err := h.Manager.Open(r.Context(), session.Request{Credentials: creds, ReadOnly: readOnly})
	if err != nil {
		if r.Context().Err() != nil {
			return err
		}
		return h.refuse(newProblem(err, ""))
	}
	h.metrics.opened(string(s.State()))
	h.inject(r.Header, s)
	if h.Observe != nil {
		h.Observe(r, s)
	}

	rw := newWriter(w, r, h, s, secure, presented)
	defer func() {
		rw.leave()
		if err == nil && rw.problem == nil {
			return
		}
		// Error pages get the same request: they are no app of this session.
		stripReserved(r)
		if rw.problem != nil {
			// The app's response was cut off on purpose; the proxy in
			// between says so by this panic, which ends here.
			if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // a panic value, not a wrapped error
				panic(p)
			}
			err = h.refuse(rw.problem)
		}
	}()
	if err := next(rw, r); err != nil {
		return err
	}
	rw.finish() //nolint:contextcheck // a commit outlives its client: commitContext
	return nil
}

// StripRequest removes from a request whatever claims to be a session: the
// reserved headers, and the tickets. It is for routes that have no session.
func StripRequest(r *http.Request, names ticket.Names) (removed int) {
	removed = stripReserved(r)
	ticket.Strip(r.Header, names)
	return removed
}

func (h *Handler) refuse(p *Problem) *Problem {
	h.metrics.problem(p.Type)
	return p
}

func (h *Handler) count(c interface{ Add(float64) }, n int) {
	if n > 0 {
		c.Add(float64(n))
	}
}

// inject sets the request headers for the app.
func (h *Handler) inject(header http.Header, s *session.Session) {
	values := [...]string{s.ID().String(), string(s.State()), metaValue(s.Meta()), ""}
	header[HeaderID] = values[0:1:1]
	header[HeaderState] = values[1:2:2]
	header[HeaderMeta] = values[2:3:3]
	if data := s.Data(); len(data) <= h.InlineLimit {
		values[3] = string(data)
		header[HeaderData] = values[3:4:4]
	}
}

// commitContext outlives the client: what the app answered is stored even if
// nobody is there to read the answer.
func commitContext(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), commitTimeout)
}
