package caddytest

import (
	"net/http"
	"sync"
	"testing"
)

// gate is an app that tells when a request has arrived and answers when it is
// let go.
type gate struct {
	Arrived chan struct{}
	open    chan struct{}
	once    sync.Once
	handler http.HandlerFunc
}

func NewGate(t *testing.T, h http.HandlerFunc) *gate {
	g := &gate{Arrived: make(chan struct{}, 16), open: make(chan struct{}), handler: h}
	t.Cleanup(g.LetGo)
	return g
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.Arrived <- struct{}{}
	<-g.open
	g.handler(w, r)
}

func (g *gate) LetGo() { g.once.Do(func() { close(g.open) }) }
