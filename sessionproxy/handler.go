package sessionproxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessionproxy/sessionproxy/sessionproxy/lock"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
	"github.com/sessionproxy/sessionproxy/store"
)

// Config is what a Handler is made of. Manager, Ring, Carriers, Secure and
// Metrics are required.
type Config struct {
	Manager *session.Manager
	// Ring returns the key ring that signs and verifies tickets.
	Ring func() (*ticket.Ring, error)
	// Carriers carry the ticket, 1 to 8 of them. A request is read from all.
	// A new ticket goes back by the carrier of the old one, and by the first
	// to a client that said nothing.
	Carriers []ticket.Carrier
	// Secure reports whether the client's connection is protected.
	Secure func(*http.Request) bool
	// ReadOnly reports whether a request is opened read-only.
	ReadOnly func(*http.Request) bool
	// Forward says what the app gets in request headers.
	Forward Forward
	// Endpoint gives the app a second view of its request's session; nil for none.
	Endpoint *Endpoint
	// Restart says when a request is made again after a conflict.
	Restart Restart
	// BindHost binds tickets to the host that they were issued for.
	BindHost bool
	// EndStreams cuts off WebSockets, event streams and other bodies without
	// an announced length whose session ends.
	EndStreams bool
	// Passive reports whether a request does not count as activity; nil means none.
	Passive func(*http.Request) bool
	// InlineLimit is the most data that is forwarded in a header, in bytes.
	InlineLimit int
	// CommitAny commits whatever the status; otherwise 500 and above roll back.
	CommitAny bool
	// Observe is called with each opened session, before the app.
	Observe func(*http.Request, View)
	// Refused is called for tickets and headers that are refused, by kind: one of
	// the words RefusedForged and so on. nil means no observer.
	Refused func(kind string)
	// CookieRemoved is called when a Set-Cookie of the app was removed because
	// its name is that of a ticket cookie; nil means no observer.
	CookieRemoved func(name string)
	// Misspelt is called for each header of an app's response whose name
	// begins with Session- and means nothing, or has X- before a name that does.
	Misspelt func(name string)
	// EndsAndWrites is called when a response asks for the end of its session
	// and for writes, which the end makes void.
	EndsAndWrites func()
	// Withheld is called when data is too large for its header, and the app is
	// not one that reads the endpoint: see Handler.withholds.
	Withheld func(size int)
	// Cookies keeps the app's own cookies in the session; nil for none.
	Cookies *Cookies
	Metrics *Metrics
}

// Forward says what of its session an app gets in request headers.
type Forward int

// The values of Forward.
const (
	ForwardData     Forward = iota // id, state, metadata, and the data if it is small enough
	ForwardEndpoint                // no data: the app asks the endpoint
	ForwardID                      // id and state alone
)

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
	names        ticket.Names // of the carriers: no app sees any of them, nor sets one
	createAlways bool
	vary         []string // request headers that carry tickets
	rotates      bool     // tickets are replaced by timer
}

// NewHandler returns a Handler for the configuration.
func NewHandler(c Config) (*Handler, error) {
	if c.Manager == nil || c.Ring == nil || len(c.Carriers) == 0 || c.Secure == nil || c.Metrics == nil {
		return nil, errors.New("making session handler: manager, ring, carriers, secure and metrics are required")
	}
	if len(c.Carriers) > maxCarriers {
		return nil, fmt.Errorf("making session handler: %d carriers, at most %d are possible", len(c.Carriers), maxCarriers)
	}
	policy := c.Manager.Policy()
	h := &Handler{
		Config: c, metrics: c.Metrics.of(c.Manager, c.Refused),
		createAlways: policy.CreateAlways, rotates: policy.RotateEvery > 0,
	}
	for _, carrier := range c.Carriers {
		h.names = h.names.With(carrier.Names())
		if own, ok := carrier.(*ticket.Header); ok {
			h.vary = append(h.vary, own.Name)
		}
	}
	return h, nil
}

// opening is what a request's session is opened with.
type opening struct {
	request   session.Request
	secure    bool
	scope     string // of the tickets
	presented presented
	restarts  bool               // a conflict is answered by errAgain
	cancel    context.CancelFunc // ends the request's work, if it may have to end early
	cookies   *requestJar        // of the request; nil without a jar
}

// Serve opens the session, passes the request on and commits before the
// response headers. It returns a *Problem when the app's response was
// replaced; nothing has been written then. Any other error is that of next,
// or the context's when the client left before the session was open.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, next Next) error {
	h.count(h.metrics.inbound, stripReserved(r))
	o := opening{secure: h.Secure(r), scope: h.scope(r)}
	var err error
	o.presented, err = h.extract(r, o.secure)
	o.request.Credentials = o.presented.creds
	if err != nil {
		return h.refuse(newProblem(err, ""))
	}
	o.request.ReadOnly = h.ReadOnly != nil && h.ReadOnly(r)
	o.request.Passive = h.Passive != nil && h.Passive(r)
	o.request.LockLate = isBeside(r)
	o.request.Holder = lock.Holder{Method: r.Method, Path: r.URL.Path}
	if h.Cookies != nil {
		o.cookies = h.Cookies.newJar(r, o.secure)
		o.request.Form = o.cookies.form(r)
	}
	switch {
	case h.Restart.Times > 0 && !o.request.ReadOnly && h.Restart.allows(r):
		return h.serveRestarting(w, r, next, o)
	case h.EndStreams: // any response may turn out to be a stream
		return h.cancellable(w, r, next, o)
	}
	return h.attempt(w, r, next, o)
}

// attempt serves the request once.
func (h *Handler) attempt(w http.ResponseWriter, r *http.Request, next Next, o opening) (err error) {
	s, err := h.Manager.Open(r.Context(), o.request)
	if err != nil {
		if r.Context().Err() != nil {
			return err
		}
		return h.refuse(newProblem(err, ""))
	}
	h.metrics.opened(string(s.State()))
	rw := newWriter(w, r, h, s, &o)
	h.metrics.injected.Add(float64(rw.inject(r.Header, s)))
	if rw.cookies != nil {
		rw.giveCookies(r.Header, s)
	}
	if h.Endpoint != nil && h.Forward != ForwardID {
		rw.values.endpoint[0] = h.Endpoint.issue(&rw.capability)
		defer h.Endpoint.revoke(&rw.capability)
		r.Header[HeaderEndpoint] = rw.values.endpoint[:]
		app, t := next, &tries{x: &rw.x}
		next = func(w http.ResponseWriter, r *http.Request) error { return t.tried(w, r, app) }
	}
	if h.Observe != nil {
		h.Observe(r, s)
	}
	defer func() {
		rw.cleanup()
		if !rw.decided { // there is no response of the app: what was committed early still needs its ticket
			_ = rw.setTicket(rw.Header(), rw.x.rollBack(r.Context(), staged))
		}
		if err == nil && rw.forwarding() {
			return
		}
		// Error pages get the same request: they are no app of this session.
		stripReserved(r)
		if rw.cookies != nil {
			rw.cookies.giveBack(r.Header)
		}
		if !rw.forwarding() {
			// The app's response was cut off on purpose; the proxy in
			// between says so by this panic, which ends here.
			if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // a panic value, not a wrapped error
				panic(p)
			}
			if err = errAgain; !rw.again {
				err = h.refuse(rw.problem)
			}
		}
	}()
	if err := next(rw, r); err != nil {
		return err
	}
	rw.finish() //nolint:contextcheck // a commit outlives its client: commitContext
	return nil
}

// StripRequest removes from a request whatever claims to be a session: the
// reserved headers, and the tickets of the ring. It is for routes that have no
// session.
func StripRequest(r *http.Request, ring func() (*ticket.Ring, error)) (removed int) {
	removed = stripReserved(r)
	keys, err := ring()
	if err != nil {
		keys = nil // then what looks like a ticket is one
	}
	ticket.StripTickets(r.Header, keys)
	return removed
}

func (h *Handler) refuse(p *Problem) *Problem {
	h.metrics.problem(p.Type)
	return p
}

// CountSecond counts a request that is refused because it has met another
// session handler before.
func (h *Handler) CountSecond() { h.metrics.problem("second-session") }

func (h *Handler) count(c prometheus.Counter, n int) {
	if n > 0 {
		c.Add(float64(n))
	}
}

// commitContext outlives the client: what the app answered is stored even if
// the client has gone.
// It may have to wait for the session's lock before.
func (h *Handler) commitContext(r *http.Request) (context.Context, context.CancelFunc) {
	limit := commitTimeout
	if policy := h.Manager.Policy(); policy.Locking == session.Serialized {
		limit += policy.Wait
	}
	return context.WithTimeout(context.WithoutCancel(r.Context()), limit)
}
