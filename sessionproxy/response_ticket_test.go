package sessionproxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
)

func TestAReplacedResponseIsCutOff(t *testing.T) {
	for _, tc := range []struct {
		name, contentType string
		takes             int // bytes that are taken in quietly
	}{
		{"an ordinary one", "text/html", 1 << 20},
		{"an event stream", "text/event-stream; charset=utf-8", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, nil)
			got := r.do("GET", "/", nil, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Session-Patch", `broken`)
				w.Header().Set("Content-Type", tc.contentType)
				w.WriteHeader(http.StatusOK)
				n, err := io.Copy(w, strings.NewReader(strings.Repeat("x", 1<<20)))
				if int(n) != tc.takes || (err == nil) != (tc.takes > 0) {
					t.Errorf("%d bytes were taken in, %v", n, err)
				}
				if err := http.NewResponseController(w).Flush(); err != nil {
					t.Error(err)
				}
				if _, err := w.Write([]byte("from the app")); err == nil {
					t.Error("writing goes on for ever")
				}
				if _, _, err := http.NewResponseController(w).Hijack(); err == nil {
					t.Error("the connection was handed over")
				}
				panic(http.ErrAbortHandler) // as a proxy does whose copy failed
			})
			r.refuses(got, http.StatusBadGateway, sessionproxy.TypeBadWrite)
		})
	}
}

func TestCookies(t *testing.T) {
	t.Run("none without a write", func(t *testing.T) {
		r := newRig(t, nil)
		if got := r.do("GET", "/", nil, writes()); got.cookie != nil || got.header.Get("Cache-Control") != "" {
			t.Fatalf("got %+v", got)
		}
	})
	t.Run("none for a patch of an existing session", func(t *testing.T) {
		r := newRig(t, nil)
		if got := r.do("GET", "/", r.begin(`{}`), writes("Session-Patch", `{"a":1}`)); got.cookie != nil {
			t.Fatalf("got %+v", got)
		}
	})
	t.Run("a new one at login, and the old one is refused", func(t *testing.T) {
		r := newRig(t, nil)
		in := r.begin(`{"a":1}`)
		got := r.do("GET", "/", in, writes("Session-Principal", `"alice"`))
		if got.cookie == nil || strings.Contains(in.Get("Cookie"), got.cookie.Value) {
			t.Fatalf("got %+v", got)
		}
		old := r.seen(in)
		if old.Get("Session-State") != "expired" || old.Get("Session-Data") != "{}" {
			t.Fatalf("the old ticket sees %v", old)
		}
		late := r.do("GET", "/", in, writes("Session-Patch", `{"a":2}`))
		r.refuses(late, http.StatusConflict, sessionproxy.TypeGone)
		if c := late.header["Set-Cookie"]; c != nil {
			t.Fatalf("a late tab replaced the new cookie: %v", c)
		}
		if out := r.do("GET", "/", in, writes("Session-Action", "destroy")); out.status != http.StatusOK || out.cookie == nil || out.cookie.Value != "" {
			t.Fatalf("a sign-out with the old ticket got %+v", out)
		}
		if got := r.data(http.Header{"Cookie": {cookieName + "=" + got.cookie.Value}}); got != `{"a":1}` {
			t.Fatalf("data is %s", got)
		}
	})
	t.Run("cleared at logout", func(t *testing.T) {
		r := newRig(t, nil)
		in := r.begin(`{"a":1}`)
		got := r.do("GET", "/", in, writes("Session-Action", "destroy"))
		if got.cookie == nil || got.cookie.MaxAge >= 0 || got.cookie.Value != "" || r.store.Len() != 0 {
			t.Fatalf("got %+v", got)
		}
	})
	t.Run("not cleared for a visitor who presented none", func(t *testing.T) {
		r := newRig(t, nil)
		if got := r.do("GET", "/", nil, writes("Session-Action", "destroy")); got.header["Set-Cookie"] != nil {
			t.Fatalf("got %+v", got)
		}
	})
	t.Run("persist renews now and then", func(t *testing.T) {
		r := newRig(t, func(c *sessionproxy.Config, _ *session.Policy) { c.Carriers[0].(*ticket.Cookie).Persist = true })
		in := r.begin(`{}`)
		renewed := 0
		for range 60 { // an hour of a click a minute
			r.now = r.now.Add(60e9)
			if got := r.do("GET", "/", in, writes()); got.cookie != nil {
				renewed++
				if got.cookie.MaxAge < 1800 || got.cookie.MaxAge > 1900 {
					t.Fatalf("Max-Age %d", got.cookie.MaxAge)
				}
			}
		}
		if renewed < 30 || renewed > 41 {
			t.Fatalf("renewed %d times", renewed)
		}
	})
}
