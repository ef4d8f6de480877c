package sessionproxy

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// HeaderEndpoint tells the app the URL of its request's endpoint.
const HeaderEndpoint = "Session-Endpoint"

// Endpoint serves the second view of sessions: an app reads and writes the
// session of the request that it is serving, by a URL that is good for that
// request alone. It is an http.Handler for a listener that only apps reach.
// Safe for concurrent use.
type Endpoint struct {
	url   string              // without capability
	hosts map[string]struct{} // valid values of Host; nil: any
	next  atomic.Uint64
	macs  sync.Pool // of hash.Hash, keyed
	open  [16]openExchanges
	idle  func() // called when the last capability has ended
	calls *prometheus.CounterVec
	count atomic.Int64
}

type openExchanges struct {
	mu     sync.Mutex
	byNumb map[uint64]*capability
}

// capability is what a URL stands for.
type capability struct {
	number uint64
	x      *exchange
	h      *Handler
}

// NewEndpoint returns an endpoint that apps reach at url. hosts are the valid
// values of the Host header; none means any, as on a Unix socket. idle is
// called each time that the last capability has ended, when not nil.
func NewEndpoint(url string, hosts []string, metrics *Metrics, idle func()) *Endpoint {
	secret := make([]byte, sha256.Size)
	_, _ = rand.Read(secret) // never fails: crypto/rand ends the process instead
	e := &Endpoint{url: url, idle: idle, calls: metrics.foreign}
	e.macs.New = func() any { return hmac.New(sha256.New, secret) }
	for i := range e.open {
		e.open[i].byNumb = make(map[uint64]*capability)
	}
	if len(hosts) > 0 {
		e.hosts = make(map[string]struct{})
		for _, host := range hosts {
			e.hosts[strings.ToLower(host)] = struct{}{}
		}
	}
	return e
}

// Len returns how many requests have a capability.
func (e *Endpoint) Len() int { return int(e.count.Load()) }

// A capability's text is a number, and a MAC of it that only this process can
// make: so one that has ended can be told from one that was guessed, without
// keeping it.
const (
	capabilityMAC = 16
	capabilityRaw = 8 + capabilityMAC
)

var capabilityText = base64.RawURLEncoding.Strict()

func (e *Endpoint) mac(dst []byte, number []byte) []byte {
	m := e.macs.Get().(hash.Hash)
	defer e.macs.Put(m)
	m.Reset()
	m.Write(number)
	return append(dst, m.Sum(nil)[:capabilityMAC]...)
}

// issue opens the endpoint for one request, and returns its URL.
func (e *Endpoint) issue(c *capability) string {
	c.number = e.next.Add(1)
	raw := binary.BigEndian.AppendUint64(make([]byte, 0, capabilityRaw), c.number)
	raw = e.mac(raw, raw)
	url := make([]byte, 0, len(e.url)+1+32)
	url = append(append(url, e.url...), '/')
	url = capabilityText.AppendEncode(url, raw)
	s := e.shard(c.number)
	e.count.Add(1)
	s.mu.Lock()
	s.byNumb[c.number] = c
	s.mu.Unlock()
	return string(url)
}

// revoke ends a capability.
func (e *Endpoint) revoke(c *capability) {
	s := e.shard(c.number)
	s.mu.Lock()
	delete(s.byNumb, c.number)
	s.mu.Unlock()
	if e.count.Add(-1) == 0 && e.idle != nil {
		e.idle()
	}
}

func (e *Endpoint) shard(number uint64) *openExchanges { return &e.open[number%uint64(len(e.open))] }

// find returns what a capability's text stands for; genuine says that this
// process issued it.
func (e *Endpoint) find(text string) (c *capability, genuine bool) {
	raw, err := capabilityText.DecodeString(text)
	if err != nil || len(raw) != capabilityRaw || capabilityText.EncodeToString(raw) != text {
		return nil, false
	}
	var sum [capabilityMAC]byte
	if !hmac.Equal(e.mac(sum[:0], raw[:8]), raw[8:]) {
		return nil, false
	}
	number := binary.BigEndian.Uint64(raw)
	s := e.shard(number)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byNumb[number], true
}

// ServeHTTP answers one call of an app.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if p := e.answer(w, r); p != nil {
		// The connection is gone if this fails, and with it the caller.
		_ = p.Write(w, r)
	}
}

func (e *Endpoint) answer(w http.ResponseWriter, r *http.Request) *Problem {
	if reason := e.foreign(r); reason != "" {
		e.calls.WithLabelValues("foreign").Inc()
		return callProblem(http.StatusForbidden, reason)
	}
	text, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	c, genuine := e.find(text)
	switch {
	case !genuine:
		e.calls.WithLabelValues("unknown").Inc()
		return callProblem(http.StatusNotFound, "there is no such endpoint")
	case c == nil:
		e.calls.WithLabelValues("ended").Inc()
		return &Problem{Status: http.StatusGone, Type: TypeGone, Title: "the request of this endpoint has ended"}
	}
	return c.call(w, r, rest)
}

// foreign says why a call is not from an app: pages in browsers send other
// headers, and reach us under other names.
func (e *Endpoint) foreign(r *http.Request) string {
	if _, ok := r.Header["Origin"]; ok {
		return "calls from web pages are refused"
	}
	if _, ok := r.Header["Sec-Fetch-Site"]; ok {
		return "calls from browsers are refused"
	}
	if e.hosts != nil {
		if _, ok := e.hosts[strings.ToLower(r.Host)]; !ok {
			return "the Host header names another server"
		}
	}
	return ""
}

// callProblem is one without a type of its own.
func callProblem(status int, title string) *Problem {
	return &Problem{Status: status, Type: TypeMisplaced, Title: title}
}
