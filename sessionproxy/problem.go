package sessionproxy

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/lock"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// Problem types, as in the problem document's "type" member (RFC 9457).
const (
	TypeBadWrite    = "urn:sessionproxy:bad-write"
	TypeTooLarge    = "urn:sessionproxy:too-large"
	TypeReadOnly    = "urn:sessionproxy:read-only"
	TypeConflict    = "urn:sessionproxy:conflict"
	TypeGone        = "urn:sessionproxy:gone"
	TypeLocked      = "urn:sessionproxy:locked"
	TypeUnavailable = "urn:sessionproxy:unavailable"
	TypeLimit       = "urn:sessionproxy:principal-limit"
	TypeMisplaced   = "about:blank"
)

// Problem is a response of the proxy's own, instead of the app's. The stored
// session is as it was. It is an error, so that a server can offer it to its
// error pages, and it can write itself.
type Problem struct {
	Status int
	Type   string
	Title  string
	// SessionID names the session; it is no credential.
	SessionID string
	// RetryAfter asks the client to wait that long, when positive.
	RetryAfter time.Duration

	cause error
}

// Error tells the cause, for the log. It holds no ticket and no data.
func (p *Problem) Error() string {
	if p.cause == nil {
		return p.Title
	}
	return p.Title + ": " + p.cause.Error()
}

// Detail tells what is wrong with what the app has sent, and what to send
// instead: it names headers and the reason, and no value. It is empty for other
// problems. The app's author is to see it, and not every visitor.
func (p *Problem) Detail() string {
	switch p.Type {
	case TypeBadWrite, TypeTooLarge, TypeReadOnly:
		if p.cause != nil {
			return p.cause.Error()
		}
	}
	return ""
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.cause }

// SetHeaders sets what must go with the response, whatever writes its body.
func (p *Problem) SetHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.RetryAfter.Seconds()))))
	}
}

// Write answers with the problem document.
func (p *Problem) Write(w http.ResponseWriter, r *http.Request) error {
	body, err := json.Marshal(struct {
		Type    string `json:"type"`
		Title   string `json:"title"`
		Status  int    `json:"status"`
		Detail  string `json:"detail,omitempty"`
		Session string `json:"session,omitempty"`
	}{p.Type, p.Title, p.Status, p.detailFor(r), p.SessionID})
	if err != nil {
		return err
	}
	h := w.Header()
	p.SetHeaders(h)
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	if r.Method == http.MethodHead {
		return nil
	}
	_, err = w.Write(body)
	return err
}

// detailFor returns the detail for a client on this machine: a developer, and no
// visitor whom another proxy here has brought. Such a proxy says so in a header,
// or speaks HTTP/1.0, as nginx does unless it is told otherwise.
func (p *Problem) detailFor(r *http.Request) string {
	if !r.ProtoAtLeast(1, 1) {
		return ""
	}
	for _, name := range [...]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		if _, ok := r.Header[name]; ok {
			return ""
		}
	}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !peer.Addr().Unmap().IsLoopback() {
		return ""
	}
	return p.Detail()
}

// problems says how each of the session's errors is told to the client.
var problems = []struct {
	err    error
	status int
	typ    string
	title  string
	retry  time.Duration
}{
	{errBadWrite, http.StatusBadGateway, TypeBadWrite, "the app's session write is malformed", 0},
	{change.ErrBadWrite, http.StatusBadGateway, TypeBadWrite, "the app's session write does not fit the data", 0},
	{change.ErrTooLarge, http.StatusBadGateway, TypeTooLarge, "the app's session data is too large", 0},
	{session.ErrReadOnly, http.StatusBadGateway, TypeReadOnly, "the app wrote to a session that is read-only here", 0},
	{change.ErrConflict, http.StatusConflict, TypeConflict, "the session was changed by another request", 0},
	{session.ErrGone, http.StatusConflict, TypeGone, "the session ended while the request ran", 0},
	{session.ErrPrincipalLimit, http.StatusConflict, TypeLimit, "who signs in has too many sessions already", 0},
	{lock.ErrLocked, http.StatusServiceUnavailable, TypeLocked, "the session is busy with other requests", time.Second},
	{session.ErrUnavailable, http.StatusServiceUnavailable, TypeUnavailable, "the session store is unavailable", 5 * time.Second},
}

// newProblem finds the problem for an error of the session or of a write. An
// error that it does not know is a store failure: fail closed.
func newProblem(err error, id string) *Problem {
	last := problems[len(problems)-1]
	for _, p := range problems {
		if errors.Is(err, p.err) {
			last = p
			break
		}
	}
	return &Problem{Status: last.status, Type: last.typ, Title: last.title, RetryAfter: last.retry, SessionID: id, cause: err}
}
