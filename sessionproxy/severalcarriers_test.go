package sessionproxy_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
)

// An app can plant no ticket: not in the final response, before, or after it.
func TestAppsSetNoTicketHeader(t *testing.T) {
	r := newCarrierRig(t, "header", "bearer")
	planted := r.ring.Sign("shop", ticket.New())
	var early http.Header
	got := r.do("GET", "/", nil, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		for _, name := range []string{headerName, "X-Other", "Session-Ticket"} {
			h.Set(name, planted)
		}
		h.Set("Trailer", "X-Session, Session-Ticket, X-Sum")
		w.WriteHeader(http.StatusEarlyHints)
		early = h.Clone()
		for _, name := range []string{headerName, "X-Other", "Session-Ticket"} {
			h.Set(name, planted)
		}
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte("x"))
		h.Set(headerName, planted)
		h.Set(http.TrailerPrefix+"X-Other", planted)
		h.Set("X-Sum", "1")
	})
	for _, h := range []http.Header{early, got.header, got.trailer} {
		for name, values := range h {
			if slices.Contains(values, planted) {
				t.Errorf("%s: a planted ticket came through", name)
			}
		}
	}
	if early == nil || len(got.trailer) != 1 || got.trailer.Get("X-Sum") != "1" {
		t.Errorf("trailers: %v", got.trailer)
	}
	if r.counter("removed_headers_total", "place", "ticket_header") != 2 || r.counter("removed_headers_total", "place", "informational") < 3 {
		t.Error("not counted")
	}
}

// A new ticket goes back where the old one came from, and never where a
// script could read what a cookie hides.
func TestSeveralCarriers(t *testing.T) {
	r := newCarrierRig(t, "cookie", "header", "bearer")
	login := writes("Session-Principal", `"alice"`)
	logout := writes("Session-Action", "destroy")
	begin := func() string { return given("cookie", r.do("GET", "/", nil, writes("Session-Data", `{}`))) }
	both := func(a, b http.Header) http.Header {
		h := a.Clone()
		for name, values := range b {
			h[name] = append(h[name], values...)
		}
		return h
	}
	dead := r.ring.Sign("shop", ticket.New())
	forged := flip(begin())
	for _, tc := range []struct {
		name   string
		header func() http.Header
		by     string // of the answer to a login
		clears []string
	}{
		{"nothing presented", func() http.Header { return nil }, "cookie", nil},
		{"asked for by header", func() http.Header { return present("header", "") }, "header", []string{"header"}},
		{"asked for by bearer", func() http.Header { return http.Header{"Authorization": {"Bearer"}} }, "bearer", []string{"bearer"}},
		{"a foreign bearer", func() http.Header { return present("bearer", "x.y.z") }, "cookie", nil},
		{"genuine cookie", func() http.Header { return present("cookie", begin()) }, "cookie", []string{"cookie"}},
		{"genuine header", func() http.Header { return present("header", begin()) }, "header", []string{"header"}},
		{"genuine bearer", func() http.Header { return present("bearer", begin()) }, "bearer", []string{"bearer"}},
		{"genuine cookie, asked for by header", func() http.Header { return both(present("cookie", begin()), present("header", "")) }, "cookie", []string{"cookie", "header"}},
		{"genuine cookie, dead header", func() http.Header { return both(present("cookie", begin()), present("header", dead)) }, "cookie", []string{"cookie", "header"}},
		{"dead cookie, genuine bearer", func() http.Header { return both(present("cookie", dead), present("bearer", begin())) }, "bearer", []string{"cookie", "bearer"}},
		{"forged cookie, genuine header", func() http.Header { return both(present("cookie", forged), present("header", begin())) }, "header", []string{"cookie", "header"}},
		{"forged header", func() http.Header { return present("header", forged) }, "header", []string{"header"}},
		{"dead header, forged cookie", func() http.Header { return both(present("cookie", forged), present("header", dead)) }, "header", []string{"cookie", "header"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := expectBy(t, r.do("GET", "/", tc.header(), login), tc.by)
			if seen := r.seen(present(tc.by, text)); seen.Get("Session-State") != "active" {
				t.Fatalf("state is %s", seen.Get("Session-State"))
			}
			got := r.do("GET", "/", tc.header(), logout)
			for word := range carriersOf {
				want := ""
				if slices.Contains(tc.clears, word) {
					want = "-"
				}
				if given(word, got) != want {
					t.Errorf("by %s came %q", word, given(word, got))
				}
			}
		})
	}
	t.Run("one ticket by two carriers", func(t *testing.T) {
		text := begin()
		h := both(present("cookie", text), present("bearer", text))
		loads := r.store.Calls("load")
		if seen := r.seen(h); seen.Get("Session-State") != "active" || r.store.Calls("load")-loads != 1 {
			t.Fatalf("state is %s", seen.Get("Session-State"))
		}
		got := r.do("GET", "/", h, login)
		if a, b := given("cookie", got), given("bearer", got); a == "" || a != b || given("header", got) != "" {
			t.Fatalf("by cookie %q, by bearer %q", a, b)
		}
	})
	t.Run("two sessions", func(t *testing.T) {
		h := both(present("cookie", begin()), present("header", begin()))
		before := r.counter("refused_tickets_total", "kind", "ambiguous")
		if seen := r.seen(h); seen.Get("Session-State") != "new" || r.counter("refused_tickets_total", "kind", "ambiguous") != before+1 {
			t.Fatalf("state is %s", seen.Get("Session-State"))
		}
	})
}

// A cache does not know that the answer depends on the header.
func TestVary(t *testing.T) {
	r := newCarrierRig(t, "cookie", "header", "bearer")
	got := r.do("GET", "/", nil, writes("Vary", "Accept"))
	if v := got.header["Vary"]; !slices.Equal(v, []string{"Accept", headerName}) {
		t.Fatalf("Vary: %q", v)
	}
	if v := newCarrierRig(t, "cookie", "bearer").do("GET", "/", nil, writes()).header["Vary"]; v != nil {
		t.Fatalf("Vary: %q", v)
	}
}

// A store in trouble, or keys that cannot be read, give no visitor a session.
func TestBearerWithoutKeys(t *testing.T) {
	r := newCarrierRig(t, "bearer")
	own := r.ring.Sign("shop", ticket.New())
	r.handler.Ring = func() (*ticket.Ring, error) { return nil, errStore }
	r.refuses(r.do("GET", "/", present("bearer", own), writes()), http.StatusServiceUnavailable, sessionproxy.TypeUnavailable)
	// A token that is none of ours needs no keys.
	if seen := r.seen(present("bearer", "x.y.z")); seen.Get("Session-State") != "new" || seen.Get("Authorization") != "Bearer x.y.z" {
		t.Fatalf("got %v", seen)
	}
	req, err := http.NewRequest(http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = present("bearer", own)
	if sessionproxy.StripRequest(req, r.handler.Ring); len(req.Header) != 0 {
		t.Fatalf("left %v", req.Header)
	}
}

func TestHandlerRefusesCarriers(t *testing.T) {
	m, err := session.NewManager("shop", session.DefaultPolicy(), session.Options{Provider: session.Fixed(nil), NewCredential: sessionproxy.CredentialSource("shop")})
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int{"none": 0, "too many": 9} {
		c := sessionproxy.Config{
			Manager: m, Metrics: sessionproxy.NewMetrics(), Secure: func(*http.Request) bool { return true },
			Ring:     func() (*ticket.Ring, error) { return nil, errStore },
			Carriers: make([]ticket.Carrier, n),
		}
		if _, err := sessionproxy.NewHandler(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
