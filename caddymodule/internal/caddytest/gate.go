package caddytest

import (
	"net/http"
	"sync"
	"testing"
)

// Gate is an app that tells when a request has arrived and answers when it is
// let go.
type Gate struct {
	Arrived chan struct{}
	open    chan struct{}
	once    sync.Once
	handler http.HandlerFunc
}

// NewGate returns a gate that is closed.
func NewGate(t *testing.T, h http.HandlerFunc) *Gate {
	g := &Gate{Arrived: make(chan struct{}, 16), open: make(chan struct{}), handler: h}
	t.Cleanup(g.LetGo)
	return g
}

func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.Arrived <- struct{}{}
	<-g.open
	g.handler(w, r)
}

// LetGo opens the gate for good.
func (g *Gate) LetGo() { g.once.Do(func() { close(g.open) }) }
