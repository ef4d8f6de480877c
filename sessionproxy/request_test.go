package sessionproxy_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
)

func TestAppIsShownItsSession(t *testing.T) {
	r := newRig(t, nil)
	t.Run("without one", func(t *testing.T) {
		h := r.seen(nil)
		if !regexp.MustCompile(`^[A-Za-z0-9_-]{22}$`).MatchString(h.Get("Session-Id")) || h.Get("Session-State") != "new" || h.Get("Session-Data") != "{}" {
			t.Fatalf("got %v", h)
		}
		meta := metaOf(t, h)
		if meta["version"] != "" || meta["manager"] != "shop" || meta["size"] != 2.0 || meta["attempt"] != 1.0 || meta["read_only"] != false {
			t.Fatalf("got %v", meta)
		}
		for _, name := range []string{"created", "accessed", "written", "expires", "principal"} {
			if _, there := meta[name]; there {
				t.Errorf("%s is there", name)
			}
		}
	})
	t.Run("with one", func(t *testing.T) {
		in := r.begin(`{"name":"Zoë \u0007 \u007f"}`)
		h := r.seen(in)
		if h.Get("Session-State") != "active" || h.Get("Session-Data") != `{"name":"Zo\u00eb \u0007 \u007f"}` {
			t.Fatalf("got %v", h)
		}
		meta := metaOf(t, h)
		if meta["version"] == "" || meta["created"] != float64(r.now.Unix()) || meta["expires"] != float64(r.now.Unix()+1800) {
			t.Fatalf("got %v", meta)
		}
		if _, there := h["Cookie"]; there {
			t.Fatalf("the ticket reached the app: %v", h)
		}
	})
	t.Run("read-only", func(t *testing.T) {
		in := r.begin(`{}`)
		var seen http.Header
		r.do("GET", "/readonly", in, func(_ http.ResponseWriter, req *http.Request) { seen = req.Header.Clone() })
		if metaOf(t, seen)["read_only"] != true {
			t.Fatalf("got %v", seen)
		}
	})
	t.Run("data over the inline limit is absent, never cut", func(t *testing.T) {
		in := r.begin(`{"a":"` + strings.Repeat("x", 5000) + `"}`)
		h := r.seen(in)
		if _, there := h["Session-Data"]; there || metaOf(t, h)["size"] != 5008.0 {
			t.Fatalf("got %v", h)
		}
	})
}

func metaOf(t *testing.T, h http.Header) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(h.Get("Session-Meta")), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestClientCannotSpeakForTheProxy(t *testing.T) {
	r := newRig(t, nil)
	in := r.begin(`{"role":"guest"}`)
	for _, tc := range []struct{ name, header, value string }{
		{"data", "Session-Data", `{"role":"staff"}`},
		{"in other case", "sEsSiOn-dAtA", `{"role":"staff"}`},
		{"an alias with underscore", "Session_Data", `{"role":"staff"}`},
		{"an alias with dot", "Session.Data", `{"role":"staff"}`},
		{"an alias of gateways that keep letters and digits alone", "Session~Data", `{"role":"staff"}`},
		{"id", "Session-Id", "AAAAAAAAAAAAAAAAAAAAAA"},
		{"state", "Session-State", "active"},
		{"meta", "Session-Meta", `{"principal":"root"}`},
		{"endpoint", "Session-Endpoint", "http://127.0.0.1:1/"},
		{"a write header", "Session-Patch", `{"role":"staff"}`},
		{"a name of the future", "Session-Whatever", "x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := r.counter("removed_headers_total", "place", "request")
			h := in.Clone()
			h[tc.header] = []string{tc.value, tc.value}
			seen := r.seen(h)
			for name, values := range seen {
				for _, v := range values {
					if v == tc.value && name != "Session-State" {
						t.Fatalf("%s: %s came through", name, v)
					}
				}
			}
			if seen.Get("Session-Data") != `{"role":"guest"}` {
				t.Fatalf("got %v", seen)
			}
			if r.counter("removed_headers_total", "place", "request") == before {
				t.Fatal("not counted")
			}
		})
	}
	t.Run("by a token of Connection", func(t *testing.T) {
		h := in.Clone()
		h["Connection"] = []string{"keep-alive, Session-Data", "session-id,X-Other"}
		if got := r.seen(h).Get("Connection"); got != "keep-alive, X-Other" {
			t.Fatalf("Connection: %q", got)
		}
	})
	t.Run("other headers are as they were", func(t *testing.T) {
		h := in.Clone()
		h["Sessions"] = []string{"a"}
		h["X-Session-Id"] = []string{"b"}
		if seen := r.seen(h); seen.Get("Sessions") != "a" || seen.Get("X-Session-Id") != "b" {
			t.Fatalf("got %v", seen)
		}
	})
	t.Run("by a trailer", func(t *testing.T) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.server.URL, struct{ *strings.Reader }{strings.NewReader("body")})
		if err != nil {
			t.Fatal(err)
		}
		req.Header = in.Clone()
		req.Trailer = http.Header{"Session-Data": {`{"role":"staff"}`}, "X-Sum": {"1"}}
		r.run(func(_ http.ResponseWriter, got *http.Request) error {
			if len(got.Trailer) > 0 || got.Header.Get("Trailer") != "" {
				t.Errorf("trailers came through: %v", got.Trailer)
			}
			return nil
		})
		r.send(req)
	})
}

func TestTickets(t *testing.T) {
	r := newRig(t, nil)
	in := r.begin(`{"mine":1}`)
	genuine := strings.TrimPrefix(in.Get("Cookie"), cookieName+"=")
	foreign, err := ticket.NewRing(ticket.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	forged := flipped(genuine)
	other := r.begin(`{"other":1}`).Get("Cookie")
	for _, tc := range []struct {
		name, cookie, state, kind string
		loads                     int
	}{
		{"genuine", in.Get("Cookie"), "active", "", 1},
		{"genuine, twice", in.Get("Cookie") + "; " + in.Get("Cookie"), "active", "", 1},
		{"among others", "a=b; " + in.Get("Cookie") + "; c=d", "active", "", 1},
		{"genuine beside a forged one", cookieName + "=" + forged + "; " + in.Get("Cookie"), "active", "forged", 1},
		{"two genuine, both current", other + "; " + in.Get("Cookie"), "new", "ambiguous", 2},
		{"one bit flipped", cookieName + "=" + forged, "new", "forged", 0},
		{"of another ring", cookieName + "=" + foreign.Sign("shop", ticket.New()), "new", "forged", 0},
		{"of another manager", cookieName + "=" + r.ring.Sign("cart", ticket.New()), "new", "forged", 0},
		{"truncated", cookieName + "=" + genuine[:40], "new", "malformed", 0},
		{"oversized", cookieName + "=" + genuine + strings.Repeat("A", 3000), "new", "malformed", 0},
		{"empty", cookieName + "=", "new", "malformed", 0},
		{"a session id", cookieName + "=AAAAAAAAAAAAAAAAAAAAAA", "new", "malformed", 0},
		{"genuine behind two hundred", manyCookies(200) + in.Get("Cookie"), "active", "malformed", 1},
		{"a thousand", strings.TrimSuffix(manyCookies(1000), "; "), "new", "ambiguous", 0},
		{"of an unknown session", cookieName + "=" + r.ring.Sign("shop", ticket.New()), "expired", "", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			loads := r.store.Calls("load")
			before := r.counter("refused_tickets_total", "kind", tc.kind)
			seen := r.seen(http.Header{"Cookie": {tc.cookie}})
			if got := seen.Get("Session-State"); got != tc.state {
				t.Fatalf("state is %s", got)
			}
			if got := r.store.Calls("load") - loads; got != tc.loads {
				t.Fatalf("the store was asked %d times, want %d", got, tc.loads)
			}
			if tc.kind != "" && r.counter("refused_tickets_total", "kind", tc.kind) == before {
				t.Fatal("not counted")
			}
			if strings.Contains(seen.Get("Cookie"), cookieName) {
				t.Fatalf("Cookie: %s", seen.Get("Cookie"))
			}
		})
	}
	t.Run("another manager's ticket never reaches the app", func(t *testing.T) {
		other := r.ring.Sign("other", ticket.New())
		for _, pair := range []string{"other_ticket=%s", "o=\"%s\"", "%s", "old name=x %s y", "Session=%s=", "a[%s]=b", "=%s", `a="x`, "__Host-%s"} {
			pair = strings.ReplaceAll(pair, "%s", other)
			seen := r.seen(http.Header{"Cookie": {"a=b; " + pair + "; c=d"}, "X-Mine": {"1"}, "X-Odd": {"v " + other}})
			if got := seen.Get("Cookie"); strings.Contains(got, other) || !strings.HasPrefix(got, "a=b;") || !strings.HasSuffix(got, "; c=d") {
				t.Errorf("%s: Cookie: %s", pair, got)
			}
			if seen.Get("X-Odd") != "" || seen.Get("X-Mine") != "1" {
				t.Errorf("headers %v", seen)
			}
		}
	})
	t.Run("what another ring signed, and other names, reach the app", func(t *testing.T) {
		foreign, err := ticket.NewRing(ticket.NewKey())
		if err != nil {
			t.Fatal(err)
		}
		line := "a=b; other_ticket=" + foreign.Sign("other", ticket.New()) + "; blog_session=eyJ9; c=d"
		if got := r.seen(http.Header{"Cookie": {line}}).Get("Cookie"); got != line {
			t.Fatalf("Cookie: %s", got)
		}
	})
}

func manyCookies(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(cookieName + "=x" + strings.Repeat("y", i%7) + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + "; ")
	}
	return b.String()
}

func TestStoreFailureAtTheOpening(t *testing.T) {
	for _, tc := range []struct {
		name string
		open bool
	}{{"closed", false}, {"open", true}} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, func(_ *sessionproxy.Config, p *session.Policy) { p.FailOpen = tc.open })
			in := r.begin(`{"role":"staff"}`)
			r.breakStore()
			if tc.open {
				seen := r.seen(in)
				if seen.Get("Session-State") != "unavailable" || seen.Get("Session-Data") != "{}" {
					t.Fatalf("got %v", seen)
				}
				got := r.do("GET", "/", in, writes("Session-Patch", `{"a":1}`))
				r.refuses(got, http.StatusServiceUnavailable, sessionproxy.TypeUnavailable)
				return
			}
			reached := false
			got := r.do("GET", "/", in, func(http.ResponseWriter, *http.Request) { reached = true })
			r.refuses(got, http.StatusServiceUnavailable, sessionproxy.TypeUnavailable)
			if reached || got.header.Get("Retry-After") == "" || strings.Contains(got.body, "secret") {
				t.Fatalf("reached %v, got %+v", reached, got)
			}
		})
	}
}
