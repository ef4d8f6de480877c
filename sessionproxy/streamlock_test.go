package sessionproxy_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/lock"
	"github.com/sessionproxy/sessionproxy/store"
)

// A write in a stream does not get in the way of the holder of the lock, and is
// served in its turn; nothing else that its request does waits with it.
func TestAWriteInAStreamWaitsForItsTurn(t *testing.T) {
	inTurn(t, time.Minute, 8, func(t *testing.T, c *turnRig) {
		ep, end, stream := c.stream()
		release, first := c.hold("/first", "1")
		releaseSecond, second := c.hold("/second", "2")
		c.waiting(1)
		write := c.call(t.Context(), "PUT", ep+"/data/late", "7")
		c.waiting(2)
		for path, want := range map[string]string{"/data": `{"n":0}`, "": `"state":"active"`} {
			if got := c.ask(t.Context(), "GET", ep+path, ""); got.status != 200 || !strings.Contains(got.body, want) {
				t.Errorf("reading beside it: %d %s", got.status, got.body)
			}
		}
		for _, verb := range []string{"/touch", "/commit", "/rollback", "/refresh"} {
			if got := c.ask(t.Context(), "POST", ep+verb, ""); got.status != 204 {
				t.Errorf("%s: %d %s", verb, got.status, got.body)
			}
		}
		release()
		if got := <-first; got != 200 {
			t.Errorf("who had the lock: %d", got)
		}
		c.waiting(1)
		c.data(`{"n":1}`)
		releaseSecond()
		if got := <-second; got != 200 {
			t.Errorf("who came first: %d", got)
		}
		if got := <-write; got.status != 200 || got.body != "7" {
			t.Errorf("the write: %d %s", got.status, got.body)
		}
		c.data(`{"n":2,"late":7}`)
		c.waiting(0)
		end()
		if got := <-stream; got != 200 {
			t.Errorf("the stream: %d", got)
		}
	})
}

// While it commits, operators see whose it is.
func TestAWriteInAStreamHoldsTheLock(t *testing.T) {
	inTurn(t, time.Minute, 8, func(t *testing.T, c *turnRig) {
		ep, end, stream := c.stream()
		reached, open := make(chan struct{}), make(chan struct{})
		var gated atomic.Bool
		c.store.Before = func(op string, _ store.Key) error {
			if op == "save" && gated.CompareAndSwap(false, true) {
				close(reached)
				<-open
			}
			return nil
		}
		write := c.call(t.Context(), "POST", ep+"/add", `{"n":1}`)
		<-reached
		if all := c.locks.All(); len(all) != 1 || all[0].Holder != (lock.Holder{Method: "GET", Path: "/stream"}) {
			t.Errorf("locks %+v", all)
		}
		release, other := c.hold("/other", "9")
		c.waiting(1)
		close(open)
		if got := <-write; got.status != 200 || got.body != `{"n":1}` {
			t.Errorf("%d %s", got.status, got.body)
		}
		release()
		if got := <-other; got != 200 {
			t.Errorf("the other request: %d", got)
		}
		c.data(`{"n":9}`)
		end()
		<-stream
	})
}

func TestAWriteInAStreamGivesUp(t *testing.T) {
	const wait = 5 * time.Minute // longer than the server's own limits
	locked := func(t *testing.T, got answer) {
		t.Helper()
		if got.status != 503 || problemOf(got) != sessionproxy.TypeLocked || got.header.Get("Retry-After") == "" {
			t.Errorf("got %d %v %s", got.status, got.header, got.body)
		}
	}
	for _, tc := range []struct {
		name string
		test func(c *turnRig, ep string, end func(), release func())
	}{
		{"after the wait", func(c *turnRig, ep string, end, release func()) {
			begin := time.Now()
			locked(c.t, c.ask(c.t.Context(), "PUT", ep+"/data/late", "1"))
			if took := time.Since(begin); took != wait {
				c.t.Errorf("it took %v", took)
			}
			release()
			end()
		}},
		{"when too many wait", func(c *turnRig, ep string, end, release func()) {
			first := c.call(c.t.Context(), "PUT", ep+"/data/first", "1")
			locked(c.t, c.ask(c.t.Context(), "DELETE", ep, ""))
			release()
			if got := <-first; got.status != 200 {
				c.t.Errorf("the one that waits: %d %s", got.status, got.body)
			}
			end()
		}},
		{"when its caller leaves", func(c *turnRig, ep string, end, release func()) {
			ctx, leave := context.WithCancel(c.t.Context())
			got := c.call(ctx, "PUT", ep+"/data/late", "1")
			c.waiting(1)
			leave()
			<-got
			c.waiting(0)
			release()
			end()
		}},
		{"when its request ends", func(c *turnRig, ep string, end, release func()) {
			got := c.call(c.t.Context(), "PUT", ep+"/data/late", "1")
			c.waiting(1)
			begin := time.Now()
			end()
			if got := <-got; got.status != 410 || problemOf(got) != sessionproxy.TypeGone {
				c.t.Errorf("got %d %s", got.status, got.body)
			}
			c.waiting(0)
			if took := time.Since(begin); took != 0 {
				c.t.Errorf("the request's end took %v", took)
			}
			release()
		}},
		{"not before the wait, however long", func(c *turnRig, ep string, end, release func()) {
			got := c.call(c.t.Context(), "PUT", ep+"/data/late", "1")
			<-time.After(wait - time.Second)
			release()
			if got := <-got; got.status != 200 {
				c.t.Errorf("got %d %s", got.status, got.body)
			}
			c.data(`{"n":1,"late":1}`)
			end()
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inTurn(t, wait, 1, func(t *testing.T, c *turnRig) {
				ep, end, stream := c.stream()
				release, holder := c.hold("/holder", "1")
				tc.test(c, ep, end, release)
				if got := <-holder; got != 200 {
					t.Errorf("the holder: %d", got)
				}
				if got := <-stream; got != 200 {
					t.Errorf("the stream: %d", got)
				}
				c.waiting(0)
			})
		})
	}
}

// Many streams and requests of one session, each adding to what it has read:
// none is lost, and none waits for ever.
func TestStreamsAndRequestsTakeTurns(t *testing.T) {
	inTurn(t, time.Hour, 64, func(t *testing.T, c *turnRig) {
		const streams, requests, each = 3, 4, 10
		done := make(chan struct{})
		var ends []func()
		for range streams {
			ep, end, _ := c.stream()
			ends = append(ends, end)
			go func() {
				for range each {
					if got := c.ask(c.t.Context(), "PATCH", ep+"/data", `[{"op":"copy","from":"/n","path":"/m"}]`); got.status != 200 {
						t.Errorf("%d %s", got.status, got.body)
					}
					if got := c.ask(c.t.Context(), "POST", ep+"/add", `{"n":1}`); got.status != 200 {
						t.Errorf("%d %s", got.status, got.body)
					}
				}
				done <- struct{}{}
			}()
		}
		for range requests {
			go func() {
				for range each {
					status := c.request("/", func(w http.ResponseWriter, r *http.Request) {
						n := strings.TrimPrefix(r.Header.Get("Session-Data"), `{"n":`)
						n, _, _ = strings.Cut(n, ",")
						w.Header().Set("Session-Patch", `{"n":`+increment(strings.TrimSuffix(n, "}"))+`}`)
					})
					if got := <-status; got != 200 {
						t.Errorf("a request: %d", got)
					}
				}
				done <- struct{}{}
			}()
		}
		for range streams + requests {
			<-done
		}
		for _, end := range ends {
			end()
		}
		for key := range c.keys() {
			if rec, err := c.store.Load(t.Context(), key); err != nil || !strings.HasPrefix(string(rec.Data), `{"n":70`) {
				t.Errorf("%s, %v", rec.Data, err)
			}
		}
	})
}
