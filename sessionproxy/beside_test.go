package sessionproxy_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
)

// beside serves one request that bears a header more.
func (c *turnRig) beside(method, name, value string, app func(w http.ResponseWriter, r *http.Request)) (status chan int) {
	status = make(chan int, 2)
	go func() {
		r := httptest.NewRequestWithContext(c.t.Context(), method, "/beside", nil)
		r.Header = c.in.Clone()
		r.Header.Set(name, value)
		w := httptest.NewRecorder()
		err := c.handler.Serve(w, r, func(w http.ResponseWriter, r *http.Request) error { app(w, r); return nil })
		var p *sessionproxy.Problem
		if errors.As(err, &p) {
			status <- p.Status
			return
		}
		status <- w.Code
	}()
	synctest.Wait()
	return status
}

func reads(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }

// More images than the queue takes are answered while a page has the lock.
func TestWhatAPageEmbedsWaitsForNothing(t *testing.T) {
	inTurn(t, time.Minute, 2, func(t *testing.T, c *turnRig) {
		release, page := c.hold("/page", "1")
		for range 60 {
			if got := <-c.beside("GET", "Sec-Fetch-Dest", "image", reads); got != 200 {
				t.Fatalf("an image: %d", got)
			}
		}
		for _, dest := range []string{"style", "script", "font", "audio", "video", "track"} {
			if got := <-c.beside("HEAD", "Sec-Fetch-Dest", dest, reads); got != 200 {
				t.Errorf("%s: %d", dest, got)
			}
		}
		c.waiting(0)
		release()
		if got := <-page; got != 200 {
			t.Errorf("the page: %d", got)
		}
	})
}

// An event stream whose headers come late keeps no other request waiting.
func TestALateEventStreamBlocksNothing(t *testing.T) {
	inTurn(t, time.Minute, 2, func(t *testing.T, c *turnRig) {
		over := make(chan struct{})
		stream := c.beside("GET", "Accept", "text/event-stream", func(w http.ResponseWriter, _ *http.Request) {
			<-over
			w.WriteHeader(http.StatusOK)
		})
		release, page := c.hold("/page", "1")
		c.waiting(0)
		release()
		if got := <-page; got != 200 {
			t.Errorf("the page: %d", got)
		}
		close(over)
		if got := <-stream; got != 200 {
			t.Errorf("the stream: %d", got)
		}
		c.data(`{"n":1}`)
	})
}

// These wait like any request.
func TestWhatIsNotBesideAPageWaits(t *testing.T) {
	for _, tc := range []struct{ name, method, header, value string }{
		{"a page", "GET", "Sec-Fetch-Dest", "document"},
		{"what a script fetches", "GET", "Sec-Fetch-Dest", "empty"},
		{"a form that says it is an image", "POST", "Sec-Fetch-Dest", "image"},
		{"a client that takes event streams among others", "POST", "Accept", "application/json, text/event-stream"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inTurn(t, time.Minute, 2, func(t *testing.T, c *turnRig) {
				release, page := c.hold("/page", "1")
				other := c.beside(tc.method, tc.header, tc.value, reads)
				c.waiting(1)
				release()
				if first, second := <-page, <-other; first != 200 || second != 200 {
					t.Errorf("answers %d and %d", first, second)
				}
			})
		})
	}
}

// What stands beside a page and writes after all waits at its commit, and
// never undoes what the page has written: also not by the same number.
func TestAWriteBesideAPage(t *testing.T) {
	for _, tc := range []struct {
		name, header, write string
		status              int
		data                string
	}{
		{"another key", "Session-Patch", `{"seen":true}`, 200, `{"n":1,"seen":true}`},
		{"an addition to the same number", "Session-Add", `{"n":5}`, 200, `{"n":6}`},
		{"the same key", "Session-Patch", `{"n":7}`, 409, `{"n":1}`},
		{"the same key and value", "Session-Patch", `{"n":1}`, 409, `{"n":1}`},
		{"all the data", "Session-Data", `{"n":0,"seen":true}`, 200, `{"n":1,"seen":true}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inTurn(t, time.Minute, 2, func(t *testing.T, c *turnRig) {
				release, page := c.hold("/page", "1")
				beside := c.beside("GET", "Sec-Fetch-Dest", "image", func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set(tc.header, tc.write)
				})
				c.waiting(1)
				c.data(`{"n":0}`)
				release()
				if got := <-page; got != 200 {
					t.Errorf("the page: %d", got)
				}
				if got := <-beside; got != tc.status {
					t.Errorf("the write beside it: %d, want %d", got, tc.status)
				}
				c.data(tc.data)
				c.waiting(0)
			})
		})
	}
}

// What is staged at the endpoint, and committed before the headers, too.
func TestAnEarlyCommitBesideAPage(t *testing.T) {
	inTurn(t, time.Minute, 2, func(t *testing.T, c *turnRig) {
		release, page := c.hold("/page", "1")
		early := make(chan answer, 1)
		beside := c.beside("GET", "Accept", "text/event-stream", func(_ http.ResponseWriter, r *http.Request) {
			ep := endpointOf(r)
			if got := c.ask(c.t.Context(), "PUT", ep+"/data/n", "9"); got.status != 200 {
				t.Errorf("staging: %d %s", got.status, got.body)
			}
			early <- c.ask(c.t.Context(), "POST", ep+"/commit", "")
		})
		c.waiting(1)
		release()
		if got := <-early; got.status != 409 || !strings.Contains(got.body, "conflict") {
			t.Errorf("the early commit: %d %s", got.status, got.body)
		}
		if first, second := <-page, <-beside; first != 200 || second != 200 {
			t.Errorf("answers %d and %d", first, second)
		}
		c.data(`{"n":1}`)
	})
}

// A commit waits no longer than the policy says, behind no longer a queue.
func TestAWriteBesideAPageGivesUp(t *testing.T) {
	writes := func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Session-Patch", `{"seen":true}`) }
	inTurn(t, time.Minute, 1, func(t *testing.T, c *turnRig) {
		release, page := c.hold("/page", "1")
		began := time.Now()
		first := c.beside("GET", "Sec-Fetch-Dest", "image", writes)
		if got := <-c.beside("GET", "Sec-Fetch-Dest", "image", writes); got != 503 || time.Since(began) != 0 {
			t.Errorf("behind a full queue: %d after %v", got, time.Since(began))
		}
		if got := <-first; got != 503 || time.Since(began) != time.Minute {
			t.Errorf("after the wait: %d after %v", got, time.Since(began))
		}
		release()
		if got := <-page; got != 200 {
			t.Errorf("the page: %d", got)
		}
		c.data(`{"n":1}`)
	})
}
