package sessionproxy_test

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// TestJarOfRefusedData: an app that speaks both ways keeps its cookies when
// its data is refused, and the browser its ticket.
func TestJarOfRefusedData(t *testing.T) {
	v := &visitor{jarRig: newJarRig(t, jar.Options{}, nil)}
	refused := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "sid=1; HttpOnly")
		w.Header().Set("Session-Data", "no JSON")
	}
	_, got := v.asksApp("GET", "/", page, refused)
	if got.status != http.StatusBadGateway || v.ticket == "" || len(others(got)) != 0 {
		t.Fatalf("got %d %v", got.status, got.header)
	}
	sent, _ := v.asks("GET", "/", page)
	v.wantLine(sent, "sid=1")
	_, got = v.asksApp("GET", "/", script, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "sid=2; HttpOnly")
		w.Header().Set("Session-If-Version", `"7-0000000000000007"`)
		w.Header().Set("Session-Patch", `{"a":1}`)
	})
	if got.status != http.StatusConflict {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	sent, _ = v.asks("GET", "/", page)
	v.wantLine(sent, "sid=2")
	if rec := v.only(); string(rec.Data) != "{}" {
		t.Errorf("the data is %s", rec.Data)
	}
}

// TestJarHandsCookiesToTheNextAttempt: what an attempt that is dropped has set
// is what the next one is shown, and it is kept.
func TestJarHandsCookiesToTheNextAttempt(t *testing.T) {
	v := &visitor{jarRig: newJarRig(t, jar.Options{}, func(c *sessionproxy.Config, p *session.Policy) {
		p.Locking, c.Restart = session.Optimistic, sessionproxy.Restart{Times: 2, BodyLimit: 1024}
	})}
	v.asks("GET", "/", page, "sid=1; HttpOnly")
	in := http.Header{"Cookie": {v.ticket}}
	var seen []string
	attempts := 0
	v.run(func(w http.ResponseWriter, r *http.Request) error {
		seen = append(seen, strings.Join(r.Header["Cookie"], "|"))
		if attempts++; attempts == 1 {
			w.Header().Set("Set-Cookie", "csrf=drawn; HttpOnly")
			// Another request writes the same place meanwhile.
			inner := v.handler.Serve(discardWriter{make(http.Header)}, nested(r, in), func(w http.ResponseWriter, _ *http.Request) error {
				w.Header().Set("Session-Patch", `{"n":1}`)
				w.WriteHeader(http.StatusOK)
				return nil
			})
			if inner != nil {
				t.Error(inner)
			}
		}
		w.Header().Set("Session-Patch", `{"n":2}`)
		_, err := io.WriteString(w, "done")
		return err
	})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, v.server.URL+"/", nil)
	req.Header = in.Clone()
	if got := v.send(req); got.status != http.StatusOK || attempts != 2 {
		t.Fatalf("got %d after %d attempts: %s", got.status, attempts, got.body)
	}
	if !slices.Equal(seen, []string{"sid=1", "sid=1; csrf=drawn"}) {
		t.Errorf("the attempts were shown %q", seen)
	}
	sent, _ := v.asks("GET", "/", script)
	v.wantLine(sent, "sid=1; csrf=drawn")
}

// nested returns another request of the same browser.
func nested(r *http.Request, header http.Header) *http.Request {
	n := r.Clone(r.Context())
	n.Header = header.Clone()
	return n
}

// discardWriter is a response that goes nowhere.
type discardWriter struct{ header http.Header }

func (w discardWriter) Header() http.Header         { return w.header }
func (w discardWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w discardWriter) WriteHeader(int)             {}

// TestJarAndInformationalResponses: cookies in 1xx responses and in trailers
// reach neither the browser nor the jar; one that a handler before the session
// sets is for the browser.
func TestJarAndInformationalResponses(t *testing.T) {
	v := &visitor{jarRig: newJarRig(t, jar.Options{}, nil)}
	v.outer = http.Header{"Set-Cookie": {"lb=node1; HttpOnly"}}
	_, got := v.asksApp("GET", "/", page, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Set-Cookie", "early=1; HttpOnly")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Add("Set-Cookie", "sid=1; HttpOnly")
		_, _ = io.WriteString(w, "x")
		w.Header().Set(http.TrailerPrefix+"Set-Cookie", "late=1; HttpOnly")
	})
	if lines := others(got); len(lines) != 1 || lines[0] != "lb=node1; HttpOnly" || got.trailer["Set-Cookie"] != nil {
		t.Errorf("the browser got %q, trailers %q", got.header["Set-Cookie"], got.trailer)
	}
	sent, _ := v.asks("GET", "/", page)
	v.wantLine(sent, "sid=1")
	if v.counter("removed_headers_total", "place", "informational") != 1 || v.counter("removed_headers_total", "place", "trailer") != 1 {
		t.Error("they are not counted")
	}
}

// TestJarWithoutAStore: a request that goes on without a session has no jar,
// and a cookie that was meant for it does not reach the browser.
func TestJarWithoutAStore(t *testing.T) {
	for _, open := range []bool{false, true} {
		v := &visitor{jarRig: newJarRig(t, jar.Options{}, func(_ *sessionproxy.Config, p *session.Policy) { p.FailOpen = open })}
		v.asks("GET", "/", page, "sid=1; HttpOnly")
		v.breakStore()
		sent, got := v.asks("GET", "/", page, "sid=2; HttpOnly", "theme=dark")
		if !open {
			if got.status != http.StatusServiceUnavailable {
				t.Errorf("closed: %d", got.status)
			}
			continue
		}
		v.wantLine(sent, "")
		if lines := others(got); got.status != http.StatusOK || len(lines) != 1 || !strings.HasPrefix(lines[0], "theme=") {
			t.Errorf("open: %d %q", got.status, got.header["Set-Cookie"])
		}
		if v.counter("cookies_total", "kind", "dropped_no_session") != 1 {
			t.Error("the dropped cookie is not counted")
		}
	}
}

// TestJarOfAReadOnlyRequest: its cookies are dropped, and its response passes.
func TestJarOfAReadOnlyRequest(t *testing.T) {
	v := &visitor{jarRig: newJarRig(t, jar.Options{}, nil)}
	v.asks("GET", "/", page, "sid=1; HttpOnly")
	_, got := v.asks("GET", "/readonly", page, "sid=2; HttpOnly")
	if got.status != http.StatusOK || got.header["Set-Cookie"] != nil {
		t.Errorf("got %d %v", got.status, got.header)
	}
	sent, _ := v.asks("GET", "/", page)
	v.wantLine(sent, "sid=1")
}

func TestJarBegins(t *testing.T) {
	image := http.Header{"Sec-Fetch-Mode": {"no-cors"}, "Sec-Fetch-Dest": {"image"}}
	for name, tc := range map[string]struct {
		header http.Header
		by     bool // begin navigation
		lines  []string
		want   bool
	}{
		"a page that sets a cookie":                 {page, false, []string{"sid=1; HttpOnly"}, true},
		"a page that sets none":                     {page, false, nil, false},
		"a page that sets none, begin navigation":   {page, true, nil, true},
		"a script that sets none, begin navigation": {script, true, nil, false},
		"a page that deletes one":                   {page, false, []string{"sid=; Max-Age=0; HttpOnly"}, false},
		"an image that sets one":                    {image, false, []string{"sid=1; HttpOnly"}, false},
		"a script that sets one":                    {script, false, []string{"sid=1; HttpOnly"}, true},
		"no browser, which sets one":                {nil, false, []string{"sid=1; HttpOnly"}, true},
	} {
		v := &visitor{jarRig: newJarRig(t, jar.Options{BeginByNavigation: tc.by}, nil)}
		_, got := v.asks("GET", "/", tc.header, tc.lines...)
		if begun := v.ticket != ""; begun != tc.want || v.sessions() > 0 != tc.want || len(others(got)) != 0 {
			t.Errorf("%s: begun %v, %d sessions, the browser got %q", name, begun, v.sessions(), got.header["Set-Cookie"])
		}
	}
}

// TestJarOfACallback: what `login` matches replaces the ticket, also if the
// app keeps its cookie; and the old ticket shows nothing.
func TestJarOfACallback(t *testing.T) {
	v := &visitor{jarRig: newJarRig(t, jar.Options{}, nil)}
	v.asks("GET", "/", page, "sid=1; HttpOnly")
	planted := &visitor{jarRig: v.jarRig, ticket: v.ticket}
	v.asks("GET", "/callback", page)
	if v.ticket == planted.ticket {
		t.Fatal("the ticket was not replaced")
	}
	sent, _ := planted.asks("GET", "/", page)
	planted.wantLine(sent, "")
	sent, _ = v.asks("GET", "/", page)
	v.wantLine(sent, "sid=1")
}

// TestJarIsNoneOfAnErrorPage: what serves the request after the app has failed
// gets the browser's own cookies, and none of the app's.
func TestJarIsNoneOfAnErrorPage(t *testing.T) {
	v := &visitor{jarRig: newJarRig(t, jar.Options{}, nil)}
	v.asks("GET", "/", page, "sid=1; HttpOnly")
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header = http.Header{"Cookie": {v.ticket, "theme=dark"}}
	err := v.handler.Serve(discardWriter{make(http.Header)}, r, func(http.ResponseWriter, *http.Request) error { return io.ErrUnexpectedEOF })
	if err == nil || !slices.Equal(r.Header["Cookie"], []string{"theme=dark"}) {
		t.Errorf("%v; the error page gets %q", err, r.Header["Cookie"])
	}
}

// TestJarThatCannotBeRead counts as empty, and is told of.
func TestJarThatCannotBeRead(t *testing.T) {
	v := &visitor{jarRig: newJarRig(t, jar.Options{}, nil)}
	v.asks("GET", "/", page, "sid=1; HttpOnly")
	for info := range v.store.List(t.Context(), "shop", store.ID{}) {
		key := store.Key{Manager: "shop", ID: info.ID}
		rec, err := v.store.Load(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		rec.Cookies = bytes.Clone(rec.Cookies)
		rec.Cookies[len(rec.Cookies)-1] ^= 1
		rec.Version = rec.Version.Next()
		if err := v.store.Save(t.Context(), key, store.Write{Record: rec}, store.IfVersion(info.Version)); err != nil {
			t.Fatal(err)
		}
	}
	sent, got := v.asks("GET", "/", page)
	v.wantLine(sent, "")
	if got.status != http.StatusOK || v.lost == nil || v.counter("lost_jars_total") != 1 {
		t.Errorf("%d, %v", got.status, v.lost)
	}
	v.asks("GET", "/", page, "sid=2; HttpOnly")
	sent, _ = v.asks("GET", "/", page)
	v.wantLine(sent, "sid=2")
}
