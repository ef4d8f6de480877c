package sessionproxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
)

// TestAReplacedResponseWritesNothingMore: its app may still run, but is of no
// request any more.
func TestAReplacedResponseWritesNothingMore(t *testing.T) {
	e := newEndpointRig(t, nil)
	in := e.begin(`{"a":1}`)
	got := e.do("GET", "/", in, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Session-Patch", "{")
		w.WriteHeader(http.StatusOK)
		if got := e.call("PUT", endpointOf(r)+"/data/leak", `1`); got.status != http.StatusGone {
			t.Errorf("a call after the response was replaced: %d %s", got.status, got.body)
		}
	})
	e.refuses(got, http.StatusBadGateway, sessionproxy.TypeBadWrite)
	if data := e.data(in); data != `{"a":1}` {
		t.Fatalf("data is %s", data)
	}
}

// What the app sends behind the body of a dropped response, as trailers come
// from a proxy, is dropped as well; the ticket of an early commit is not.
func TestWhatFollowsADroppedResponse(t *testing.T) {
	follow := func(w http.ResponseWriter) {
		_, _ = io.WriteString(w, "from the app")
		for name, value := range map[string]string{
			"Session-Patch": `{"secret":1}`, "Session-Ticket": "x", "X-App": "x", http.TrailerPrefix + "X-App-Late": "x", "Set-Cookie": cookieName + "=evil",
		} {
			w.Header().Add(name, value)
		}
	}
	t.Run("replaced", func(t *testing.T) {
		e := newEndpointRig(t, nil)
		e.run(func(w http.ResponseWriter, r *http.Request) error {
			e.call("PUT", endpointOf(r)+"/data/a", `1`)
			e.call("POST", endpointOf(r)+"/commit", "")
			w.Header().Set("Session-Patch", "{")
			follow(w)
			return nil
		})
		resp, err := http.Get(e.server.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusBadGateway {
			t.Fatalf("status %d", resp.StatusCode)
		}
		if cookies := resp.Cookies(); len(cookies) != 1 || e.data(http.Header{"Cookie": {cookies[0].String()}}) != `{"a":1}` {
			t.Errorf("the ticket of the early commit has become %v", cookies)
		}
		for name := range resp.Header {
			if strings.HasPrefix(name, "Session-") || strings.HasPrefix(name, "X-App") {
				t.Errorf("%s came through", name)
			}
		}
	})
	t.Run("made again", func(t *testing.T) {
		e := newEndpointRig(t, restarting(1, false))
		in := e.begin(`{"n":0}`)
		attempts := 0
		got := e.do("GET", "/", in, func(w http.ResponseWriter, _ *http.Request) {
			if attempts++; attempts > 1 {
				return
			}
			e.meddle(in, `{"n":1}`)
			w.Header().Set("Session-Patch", `{"n":2}`)
			follow(w)
		})
		if attempts != 2 || got.status != 200 || got.cookie != nil || got.header.Get("X-App") != "" || len(got.trailer) > 0 {
			t.Fatalf("%d attempts, %+v", attempts, got)
		}
	})
}
