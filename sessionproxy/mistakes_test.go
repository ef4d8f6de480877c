package sessionproxy_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

func TestAProblemKeepsWhatLetsScriptsReadIt(t *testing.T) {
	r := newRig(t, nil)
	got := r.do("GET", "/", nil, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "https://spa.test")
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Vary", "Origin")
		h.Set("X-App", "gone")
		h.Set("Session-Patch", "{")
	})
	if got.status != http.StatusBadGateway || got.header.Get("X-App") != "" {
		t.Fatalf("the response was not replaced: %d %v", got.status, got.header)
	}
	if got.header.Get("Access-Control-Allow-Origin") != "https://spa.test" ||
		got.header.Get("Access-Control-Allow-Credentials") != "true" || got.header.Get("Vary") != "Origin" {
		t.Fatalf("got %v", got.header)
	}
}

func TestMisspeltNames(t *testing.T) {
	var told []string
	r := newRig(t, func(c *sessionproxy.Config, _ *session.Policy) {
		c.Misspelt = func(name string) { told = append(told, name) }
	})
	got := r.do("GET", "/", nil, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		for _, name := range []string{"Session-Pach", "Session_Patch", "Session-Patch", "X-Session-Patch", "X-Session", "Session-Id", "Sessions"} {
			h[name] = []string{"{}"}
		}
	})
	slices.Sort(told)
	if !slices.Equal(told, []string{"Session-Pach", "Session_Patch", "X-Session-Patch"}) {
		t.Fatalf("told of %q", told)
	}
	for _, name := range []string{"Session-Pach", "Session_Patch", "Session-Id"} {
		if _, ok := got.header[http.CanonicalHeaderKey(name)]; ok {
			t.Errorf("%s came through", name)
		}
	}
	if got.header.Get("X-Session") == "" || got.header.Get("Sessions") == "" {
		t.Errorf("a header of the app's own was removed: %v", got.header)
	}
	if n := r.counter("removed_headers_total", "place", "response"); n != 3 {
		t.Errorf("counted %v", n)
	}
}

func TestAnEmptyArrayIsAnEmptyObject(t *testing.T) {
	for value, status := range map[string]int{"[]": 200, "[ ]": 200, "[1]": 502, "[[]]": 502, "[": 502} {
		r := newRig(t, nil)
		got := r.do("GET", "/", nil, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Session-Data", value) })
		if got.status != status {
			t.Errorf("%s: %d", value, got.status)
		}
		if begun := got.header.Get("Set-Cookie") != ""; begun != (status == 200) {
			t.Errorf("%s: a session was begun: %t", value, begun)
		}
	}
}

func TestWritesBesideDestroy(t *testing.T) {
	told := 0
	r := newRig(t, func(c *sessionproxy.Config, _ *session.Policy) { c.EndsAndWrites = func() { told++ } })
	for _, headers := range []map[string]string{
		{"Session-Action": "destroy"},
		{"Session-Action": "destroy", "Session-Patch": `{"a":1}`},
		{"Session-Action": "destroy, rollback", "Session-Patch": `{"a":1}`},
	} {
		r.do("GET", "/", nil, func(w http.ResponseWriter, _ *http.Request) {
			for name, value := range headers {
				w.Header().Set(name, value)
			}
		})
	}
	if n := r.counter("void_writes_total"); told != 1 || n != 1 {
		t.Fatalf("told %d times, counted %v", told, n)
	}
}
