package sessionproxy

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
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
	url string // without capability
	*capabilities
}

// capabilities are what all Endpoints of one listener share.
type capabilities struct {
	mu    sync.RWMutex
	hosts map[string]struct{} // valid values of Host; nil: any. Protected by mu
	next  atomic.Uint64
	block cipher.Block
	open  [16]openTransactions
	idle  func() // called when the last capability has ended
	calls *prometheus.CounterVec
	count atomic.Int64
}

type openTransactions struct {
	mu     sync.Mutex
	byNumb map[uint64]*capability
}

// capability is what a URL stands for.
type capability struct {
	number uint64
	x      *transaction
	h      *Handler
}

// EndpointConfig configures an endpoint. The zero value of each option but URL
// is one that works.
type EndpointConfig struct {
	// URL is where apps reach the endpoint. Required.
	URL string
	// Hosts are the valid values of the Host header; none means any, as on a
	// Unix socket.
	Hosts []string
	// Metrics counts calls that are refused; nil counts none that can be seen.
	Metrics *Metrics
	// Idle is called each time that the last capability has ended, when not nil.
	Idle func()
}

// NewEndpoint returns an endpoint that has no capabilities yet.
func NewEndpoint(config EndpointConfig) *Endpoint {
	metrics := config.Metrics
	if metrics == nil {
		metrics = NewMetrics()
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)          // never fails: crypto/rand ends the process instead
	block, _ := aes.NewCipher(secret) // fails only for a key of another length
	e := &Endpoint{url: config.URL, capabilities: &capabilities{block: block, idle: config.Idle, calls: metrics.refusedCalls}}
	for i := range e.open {
		e.open[i].byNumb = make(map[uint64]*capability)
	}
	e.Allow(config.Hosts...)
	return e
}

// WithURL returns the same endpoint for apps that reach it at another URL: each
// answers the calls for both.
func (e *Endpoint) WithURL(url string) *Endpoint {
	return &Endpoint{url: url, capabilities: e.capabilities}
}

// Allow adds valid values of the Host header.
func (e *capabilities) Allow(hosts ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, host := range hosts {
		if e.hosts == nil {
			e.hosts = make(map[string]struct{})
		}
		e.hosts[strings.ToLower(host)] = struct{}{}
	}
}

// allows reports whether the Host header may have that value.
func (e *capabilities) allows(host string) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	_, ok := e.hosts[strings.ToLower(host)]
	return ok || e.hosts == nil
}

// Len returns how many requests have a capability.
func (e *capabilities) Len() int { return int(e.count.Load()) }

// A capability's text is one block of AES, of zeros and a number, by a key that
// only this process has. To others it is 128 random bits; and one that has
// ended can be told from one that was guessed, without keeping it: of guesses,
// one in 2⁶⁴ begins with so many zeros.
const (
	capabilityLen   = 22
	capabilityZeros = 8
)

var capabilityText = base64.RawURLEncoding.Strict()

// issue opens the endpoint for one request, and returns its URL.
func (e *Endpoint) issue(c *capability) string {
	c.number = e.next.Add(1)
	raw := make([]byte, aes.BlockSize)
	binary.BigEndian.PutUint64(raw[capabilityZeros:], c.number)
	e.block.Encrypt(raw, raw)
	var text [capabilityLen]byte
	capabilityText.Encode(text[:], raw)
	s := e.shard(c.number)
	e.count.Add(1)
	s.mu.Lock()
	s.byNumb[c.number] = c
	s.mu.Unlock()
	return e.url + "/" + string(text[:])
}

// revoke ends a capability.
func (e *capabilities) revoke(c *capability) {
	s := e.shard(c.number)
	s.mu.Lock()
	delete(s.byNumb, c.number)
	s.mu.Unlock()
	if e.count.Add(-1) == 0 && e.idle != nil {
		e.idle()
	}
}

func (e *capabilities) shard(number uint64) *openTransactions {
	return &e.open[number%uint64(len(e.open))]
}

// find returns what a capability's text stands for; genuine says that this
// process issued it.
func (e *capabilities) find(text string) (c *capability, genuine bool) {
	raw, err := capabilityText.DecodeString(text)
	if err != nil || len(text) != capabilityLen || len(raw) != aes.BlockSize { // the decoder skips line breaks
		return nil, false
	}
	e.block.Decrypt(raw, raw)
	if binary.BigEndian.Uint64(raw) != 0 {
		return nil, false
	}
	number := binary.BigEndian.Uint64(raw[capabilityZeros:])
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
	if !e.allows(r.Host) {
		return "the Host header names another server"
	}
	return ""
}

// callProblem is one without a type of its own.
func callProblem(status int, title string) *Problem {
	return &Problem{Status: status, Type: TypeMisplaced, Title: title}
}
