package caddymodule_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/store"
)

// TestJarsThatCannotBeRead: a stored jar that was changed, or that a newer version
// wrote, is gone: counted, and no request fails. The next cookies are kept.
func TestJarsThatCannotBeRead(t *testing.T) {
	for name, spoil := range map[string]func([]byte){
		"a newer version":    func(b []byte) { b[0]++ },
		"a bit of the end":   func(b []byte) { b[len(b)-1] ^= 1 },
		"a bit of the index": func(b []byte) { b[bytes.Index(b, []byte("sid"))] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			s, a, st := caddytest.NewSite(t), newJarApp(t), caddytest.NewAbleStore()
			s.Load(s.Config(caddytest.Prepare(t, st), "metrics", "handle /metrics {\n metrics\n}\n"+strings.ReplaceAll(plainJar, "APP", a.address)))
			b := &jarBrowser{s.Visitor(), a}
			b.asks("GET", "/", pageHeader, "sid=1; HttpOnly")
			for info, err := range st.List(t.Context(), "shop", store.ID{}) {
				if err != nil {
					t.Fatal(err)
				}
				if _, err := st.Update(t.Context(), store.Key{Manager: "shop", ID: info.ID}, func(r store.Record) (store.Write, error) {
					r.Cookies = bytes.Clone(r.Cookies)
					spoil(r.Cookies)
					return store.Write{Record: r}, nil
				}); err != nil {
					t.Fatal(err)
				}
			}
			const series = `caddy_sessions_lost_jars_total{manager="shop"}`
			before := sample(b.Visitor, series)
			b.sends("/", "")
			if got := sample(b.Visitor, series) - before; got != 1 {
				t.Errorf("%d are counted", got)
			}
			b.asks("GET", "/", pageHeader, "sid=2; HttpOnly")
			b.sends("/", "sid=2")
		})
	}
}

// TestJarOfAReloadedConfiguration: a request that is in the app during a reload
// keeps its cookies.
func TestJarOfAReloadedConfiguration(t *testing.T) {
	s := caddytest.NewSite(t)
	a := newJarApp(t)
	gate := caddytest.NewGate(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Set-Cookie", "sid=1; HttpOnly") })
	config := s.Config("", "", "handle {\n session shop {\n cookies\n }\n reverse_proxy /slow "+caddytest.App(t, gate.ServeHTTP)+"\n reverse_proxy "+a.address+"\n}")
	s.Load(config)
	b := &jarBrowser{s.Visitor(), a}
	done := make(chan *http.Response)
	go func() {
		resp, err := http.Get(b.Base + "/slow")
		if err != nil {
			t.Error(err)
		}
		done <- resp
	}()
	<-gate.Arrived
	reloaded := make(chan error)
	go func() { reloaded <- caddytest.Load(config) }()
	gate.LetGo()
	resp := <-done
	if err := <-reloaded; err != nil {
		t.Fatal(err)
	}
	if resp == nil {
		return
	}
	resp.Body.Close()
	b.Jar.SetCookies(b.URL(), resp.Cookies())
	// Caddy resets new connections that wait at the listener of the former
	// configuration when that closes. A request on one that is used is repeated.
	for range 100 {
		if resp, err := b.Get(b.Base + "/"); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			break
		}
	}
	b.sends("/", "sid=1")
}

// TestJarByOtherCarriers: a client without cookies has a jar as well.
func TestJarByOtherCarriers(t *testing.T) {
	_, b := newJarSite(t, "handle {\n session shop {\n ticket header X-Session\n ticket bearer\n cookies\n }\n reverse_proxy APP\n}")
	for _, c := range []struct{ header, prefix, back string }{{"X-Session", "", "X-Session"}, {"Authorization", "Bearer ", "Session-Ticket"}} {
		resp, _ := b.asks("GET", "/", []string{c.header, strings.TrimSpace(c.prefix)}, "sid=1; HttpOnly")
		ticket := resp.Header.Get(c.back)
		if resp, given := b.asks("GET", "/", append(scriptHeader, c.header, c.prefix+ticket)); ticket == "" || given != nil || b.app.cookies() != "sid=1" {
			t.Errorf("%s: %v, the app got %q", c.header, resp.Header, b.app.cookies())
		}
	}
}

// TestJarAndErrorPages: a page of an error route that another app makes gets the
// browser's cookies, and sets its own; and one with a session has its own jar.
func TestJarAndErrorPages(t *testing.T) {
	for name, session := range map[string]string{"": "", "with a session": "session pages {\n cookies\n }\n"} {
		s, a, pages := caddytest.NewSite(t), newJarApp(t), newJarApp(t)
		s.Load(s.Config("", "metrics", "handle /gone {\n session shop {\n cookies\n }\n reverse_proxy 127.0.0.1:1\n}\nhandle {\n session shop {\n cookies\n }\n reverse_proxy "+a.address+"\n}\nhandle_errors {\n "+session+"reverse_proxy "+pages.address+"\n}"))
		b := &jarBrowser{s.Visitor(), a}
		b.asks("GET", "/", pageHeader, "sid=1; HttpOnly")
		pages.lines = []string{"page=1; HttpOnly"}
		_, given := b.asks("GET", "/gone", append(pageHeader, "Cookie", "own=1"))
		want, sent := []string{"page=1; HttpOnly"}, "own=1"
		if session != "" {
			want, sent = nil, ""
		}
		if strings.Join(given, "|") != strings.Join(want, "|") || pages.cookies() != sent {
			t.Errorf("%s: the browser got %q, the error page %q", name, given, pages.cookies())
		}
		b.sends("/", "sid=1")
	}
}
