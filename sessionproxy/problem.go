package sessionproxy

import (
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"time"
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
	p.SetHeaders(w.Header())
	return ProblemDocument{Type: p.Type, Title: p.Title, Status: p.Status, Detail: p.detailFor(r), Session: p.SessionID}.Write(w, r)
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
