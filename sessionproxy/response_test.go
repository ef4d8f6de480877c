package sessionproxy_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// Whatever the way in which a response begins, the write is there before it.
func TestCommitComesBeforeTheHeaders(t *testing.T) {
	for _, tc := range []struct {
		name string
		app  func(http.ResponseWriter)
	}{
		{"WriteHeader", func(w http.ResponseWriter) { w.WriteHeader(http.StatusAccepted) }},
		{"Write", func(w http.ResponseWriter) { _, _ = w.Write([]byte("x")) }},
		{"ReadFrom", func(w http.ResponseWriter) { _, _ = io.Copy(w, strings.NewReader("x")) }},
		{"Flush", func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }},
		{"the old Flusher", func(w http.ResponseWriter) { w.(http.Flusher).Flush() }},
		{"nobody writes", func(http.ResponseWriter) {}},
		{"redirect", func(w http.ResponseWriter) { w.WriteHeader(http.StatusSeeOther) }},
		{"not found", func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }},
		{"1xx first", func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints); w.WriteHeader(http.StatusOK) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, nil)
			var saved int
			got := r.do("GET", "/", nil, func(w http.ResponseWriter, _ *http.Request) {
				if tc.name == "1xx first" {
					w.WriteHeader(http.StatusProcessing) // bears no write header
				}
				w.Header().Set("Session-Patch", `{"a":1}`)
				if tc.name == "1xx first" {
					w.WriteHeader(http.StatusEarlyHints) // takes it away
					w.Header().Set("Session-Patch", `{"a":1}`)
					w.WriteHeader(http.StatusOK)
				} else {
					tc.app(w)
				}
				saved = r.store.Len()
			})
			if tc.name != "nobody writes" && saved != 1 {
				t.Fatal("the headers were sent before the commit")
			}
			if got.cookie == nil || got.header.Get("Session-Patch") != "" || got.header.Get("Cache-Control") != "no-store" {
				t.Fatalf("got %+v", got)
			}
			if data := r.data(http.Header{"Cookie": {cookieName + "=" + got.cookie.Value}}); data != `{"a":1}` {
				t.Fatalf("data is %s", data)
			}
		})
	}
}

func TestRefusedWrites(t *testing.T) {
	long := `"` + strings.Repeat("x", 300) + `"`
	for _, tc := range []struct {
		name, header, value string
		typ                 string
	}{
		{"no JSON", "Session-Patch", `{a}`, sessionproxy.TypeBadWrite},
		{"empty", "Session-Data", ``, sessionproxy.TypeBadWrite},
		{"no object", "Session-Patch", `[1]`, sessionproxy.TypeBadWrite},
		{"duplicate names", "Session-Patch", `{"a":1,"\u0061":2}`, sessionproxy.TypeBadWrite},
		{"a lone surrogate", "Session-Patch", `{"a":"\ud800"}`, sessionproxy.TypeBadWrite},
		{"not UTF-8", "Session-Patch", "{\"a\":\"\xff\"}", sessionproxy.TypeBadWrite},
		{"a huge number", "Session-Patch", `{"a":1E400}`, sessionproxy.TypeBadWrite},
		{"NaN", "Session-Patch", `{"a":NaN}`, sessionproxy.TypeBadWrite},
		{"too deep", "Session-Patch", strings.Repeat(`{"a":`, 33) + `1` + strings.Repeat(`}`, 33), sessionproxy.TypeBadWrite},
		{"a reserved key", "Session-Patch", `{"$a":1}`, sessionproxy.TypeBadWrite},
		{"a reserved key, replaced", "Session-Data", `{"$a":1}`, sessionproxy.TypeBadWrite},
		{"two replacements", "Session-Data", `{}, {}`, sessionproxy.TypeBadWrite},
		{"adding a fraction", "Session-Add", `{"n":1.5}`, sessionproxy.TypeBadWrite},
		{"adding to a text", "Session-Add", `{"s":1}`, sessionproxy.TypeBadWrite},
		{"adding beyond exactness", "Session-Add", `{"n":9007199254740992}`, sessionproxy.TypeBadWrite},
		{"an unknown action", "Session-Action", `touch, explode`, sessionproxy.TypeBadWrite},
		{"no action", "Session-Action", `,`, sessionproxy.TypeBadWrite},
		{"a principal that is no text", "Session-Principal", `42`, sessionproxy.TypeBadWrite},
		{"an empty principal", "Session-Principal", `""`, sessionproxy.TypeBadWrite},
		{"a long principal", "Session-Principal", long, sessionproxy.TypeBadWrite},
		{"a principal with a newline", "Session-Principal", `"a\nb"`, sessionproxy.TypeBadWrite},
		{"two principals", "Session-Principal", `"a", "b"`, sessionproxy.TypeBadWrite},
		{"no timeout", "Session-Timeout", `{}`, sessionproxy.TypeBadWrite},
		{"a negative timeout", "Session-Timeout", `{"idle":-1}`, sessionproxy.TypeBadWrite},
		{"a timeout of zero", "Session-Timeout", `{"idle":0}`, sessionproxy.TypeBadWrite},
		{"a fraction of a second", "Session-Timeout", `{"idle":1.5}`, sessionproxy.TypeBadWrite},
		{"an unknown timeout", "Session-Timeout", `{"Idle":60}`, sessionproxy.TypeBadWrite},
		{"absolute below idle", "Session-Timeout", `{"idle":60,"absolute":59}`, sessionproxy.TypeBadWrite},
		{"a version that is no text", "Session-If-Version", `1`, sessionproxy.TypeBadWrite},
		{"another version", "Session-If-Version", `"1-0000000000000000"`, sessionproxy.TypeConflict},
		{"one of nothing", "Session-If-Version", `""`, sessionproxy.TypeConflict},
		{"too large", "Session-Patch", `{"a":"` + strings.Repeat("x", 70_000) + `"}`, sessionproxy.TypeTooLarge},
		{"too large with what is there", "Session-Patch", `{"b":"` + strings.Repeat("x", 65_510) + `"}`, sessionproxy.TypeTooLarge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, nil)
			in := r.begin(`{"s":"text","n":1}`)
			got := r.do("GET", "/", in, writes("Session-Patch", `{"also":1}`, "X-App", "1", "Set-Cookie", "app=1", tc.header, tc.value))
			status := http.StatusBadGateway
			if tc.typ == sessionproxy.TypeConflict {
				status = http.StatusConflict
			}
			r.refuses(got, status, tc.typ)
			if data := r.data(in); data != `{"s":"text","n":1}` {
				t.Fatalf("data became %s", data)
			}
			if r.counter("problems_total", "type", tc.typ) != 1 {
				t.Fatal("not counted")
			}
		})
	}
	t.Run("a write on a read-only request", func(t *testing.T) {
		r := newRig(t, nil)
		r.refuses(r.do("GET", "/readonly", nil, writes("Session-Patch", `{"a":1}`)), http.StatusBadGateway, sessionproxy.TypeReadOnly)
	})
	t.Run("outer headers stay", func(t *testing.T) {
		r := newRig(t, nil)
		r.outer = http.Header{"X-Outer": {"kept"}}
		got := r.do("GET", "/", nil, writes("Session-Patch", `!`))
		r.refuses(got, http.StatusBadGateway, sessionproxy.TypeBadWrite)
		if got.header.Get("X-Outer") != "kept" {
			t.Fatalf("got %v", got.header)
		}
	})
}

func TestManyValuesAreOneList(t *testing.T) {
	r := newRig(t, nil)
	in := r.begin(`{}`)
	r.do("GET", "/", in, writes("Session-Patch", `{"a":1}, {"b":"x,y"}`, "Session-Patch", ` {"c":[1,2]} `, "Session-Add", `{"n":1},{"n":2}`))
	if got := r.data(in); got != `{"a":1,"b":"x,y","c":[1,2],"n":3}` {
		t.Fatalf("data is %s", got)
	}
}

func TestWhatRollsBack(t *testing.T) {
	abort := func(http.ResponseWriter) error { panic(http.ErrAbortHandler) }
	for _, tc := range []struct {
		name  string
		app   func(http.ResponseWriter) error
		dies  bool
		saves bool
		any   bool
	}{
		{"500", func(w http.ResponseWriter) error { w.WriteHeader(http.StatusInternalServerError); return nil }, false, false, false},
		{"503", func(w http.ResponseWriter) error { w.WriteHeader(http.StatusServiceUnavailable); return nil }, false, false, false},
		{"500 with commit_on any", func(w http.ResponseWriter) error { w.WriteHeader(http.StatusInternalServerError); return nil }, false, true, true},
		{"499 of the app's own", func(w http.ResponseWriter) error { w.WriteHeader(499); return nil }, false, true, false},
		{"an error", func(http.ResponseWriter) error { return errors.New("no upstream") }, false, false, false},
		{"a panic before the headers", abort, true, false, false},
		{"a panic after the headers", func(w http.ResponseWriter) error {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, true, true, false},
		{"hijacking before any header", func(w http.ResponseWriter) error {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.Close()
			}
			return err
		}, true, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, func(c *sessionproxy.Config, p *session.Policy) {
				c.CommitAny = tc.any
				p.Locking, p.Wait = session.Serialized, 0
			})
			in := r.begin(`{"n":1}`)
			r.run(func(w http.ResponseWriter, _ *http.Request) error {
				w.Header().Set("Session-Patch", `{"n":2}`)
				return tc.app(w)
			})
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = in.Clone()
			resp, err := r.server.Client().Do(req)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.Header.Get("Session-Patch") != "" {
					t.Error("the write header came through")
				}
			}
			if (err != nil) != tc.dies {
				t.Fatalf("got %v", err)
			}
			want := `{"n":1}`
			if tc.saves {
				want = `{"n":2}`
			}
			if got := r.data(in); got != want { // also shows that the lock was released
				t.Fatalf("data is %s, want %s", got, want)
			}
		})
	}
}

func TestWhatNeverReachesTheClient(t *testing.T) {
	var told []string
	r := newRig(t, func(c *sessionproxy.Config, _ *session.Policy) {
		c.CookieRemoved = func(name string) { told = append(told, name) }
	})
	names := []string{"Session-Id", "Session-State", "Session-Meta", "Session-Endpoint", "Session-Ticket"}
	t.Run("in headers", func(t *testing.T) {
		got := r.do("GET", "/", nil, func(w http.ResponseWriter, req *http.Request) {
			for _, name := range names {
				w.Header().Set(name, "leak")
			}
			w.Header().Add("Set-Cookie", cookieName+"=planted; Path=/")
			w.Header().Add("Set-Cookie", "app=fine")
		})
		for _, name := range names {
			if got.header.Get(name) != "" {
				t.Errorf("%s came through", name)
			}
		}
		if c := got.header["Set-Cookie"]; len(c) != 1 || c[0] != "app=fine" {
			t.Fatalf("Set-Cookie: %v", c)
		}
		if r.counter("removed_headers_total", "place", "set_cookie") != 1 || !slices.Equal(told, []string{cookieName}) {
			t.Fatalf("not counted, or not told: %q", told)
		}
	})
	t.Run("in trailers", func(t *testing.T) {
		got := r.do("GET", "/", nil, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "Session-Data, X-Sum, Set-Cookie")
			_, _ = io.WriteString(w, "body")
			_ = http.NewResponseController(w).Flush()
			w.Header().Set("Session-Data", `{"a":"leak"}`)
			w.Header().Set(http.TrailerPrefix+"Session-Patch", `{"a":"leak"}`)
			w.Header().Set("X-Sum", "1")
			w.Header().Set("Set-Cookie", cookieName+"=planted")
			w.Header().Set(http.TrailerPrefix+"Set-Cookie", cookieName+"=planted")
		})
		if len(got.trailer) != 1 || got.trailer.Get("X-Sum") != "1" {
			t.Fatalf("trailers: %v", got.trailer)
		}
		if got.cookie != nil || r.counter("removed_headers_total", "place", "trailer") == 0 {
			t.Fatal("a trailer wrote, or was not counted")
		}
	})
	t.Run("on an error page", func(t *testing.T) {
		var left *http.Request
		r.run(func(w http.ResponseWriter, req *http.Request) error {
			left = req
			w.Header().Set("Session-Patch", `{"a":1}`)
			return errors.New("no upstream")
		})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := r.send(req)
		for name := range left.Header {
			if strings.HasPrefix(name, "Session-") {
				t.Errorf("an error page is shown %s", name)
			}
		}
		if got.header.Get("Session-Patch") != "" || got.cookie != nil {
			t.Fatalf("got %v", got.header)
		}
	})
}
