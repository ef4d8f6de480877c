package caddymodule

import (
	"net/http"
	"sync"
	"testing"
)

// gate is an app that tells when a request has arrived and answers when it is
// let go.
type gate struct {
	arrived chan struct{}
	open    chan struct{}
	once    sync.Once
	handler http.HandlerFunc
}

func newGate(t *testing.T, h http.HandlerFunc) *gate {
	g := &gate{arrived: make(chan struct{}, 16), open: make(chan struct{}), handler: h}
	t.Cleanup(g.letGo)
	return g
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.arrived <- struct{}{}
	<-g.open
	g.handler(w, r)
}

func (g *gate) letGo() { g.once.Do(func() { close(g.open) }) }
