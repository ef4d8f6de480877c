package sessionproxy_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
)

const headerName = "X-Session"

// Carriers by the words of the configuration.
var carriersOf = map[string]func() ticket.Carrier{
	"cookie": func() ticket.Carrier { return &ticket.Cookie{Name: cookieName} },
	"header": func() ticket.Carrier { return &ticket.Header{Name: headerName} },
	"bearer": func() ticket.Carrier { return ticket.Bearer{} },
}

// newCarrierRig has the carriers.
func newCarrierRig(t *testing.T, words ...string) *rig {
	return newRig(t, func(c *sessionproxy.Config, _ *session.Policy) {
		c.Carriers = nil
		for _, w := range words {
			c.Carriers = append(c.Carriers, carriersOf[w]())
		}
	})
}

// present returns the header that presents a ticket.
func present(word, text string) http.Header {
	switch word {
	case "header":
		return http.Header{headerName: {text}}
	case "bearer":
		return http.Header{"Authorization": {"Bearer " + text}}
	}
	return http.Header{"Cookie": {cookieName + "=" + text}}
}

// given returns the ticket that a response brings by the carrier: "-" if it is
// void, and "" if there is none.
func given(word string, got reply) string {
	name := map[string]string{"header": headerName, "bearer": "Session-Ticket"}[word]
	switch values, there := got.header[name]; {
	case word == "cookie" && got.cookie != nil && got.cookie.MaxAge < 0, there && values[0] == "":
		return "-"
	case word == "cookie" && got.cookie != nil:
		return got.cookie.Value
	case there && len(values) == 1:
		return values[0]
	case there:
		return "several"
	}
	return ""
}

// expectBy checks that the response brings a ticket, or its end, by that
// carrier and by no other.
func expectBy(t *testing.T, got reply, word string) string {
	t.Helper()
	for other := range carriersOf {
		if other != word && given(other, got) != "" {
			t.Fatalf("by %s came %q", other, given(other, got))
		}
	}
	if word == "" {
		return ""
	}
	if given(word, got) == "" || got.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("by %s came nothing, or it may be stored: %v", word, got.header)
	}
	return given(word, got)
}

func TestLifeByEachCarrier(t *testing.T) {
	for word := range carriersOf {
		t.Run(word, func(t *testing.T) {
			r := newCarrierRig(t, word)
			got := r.do("GET", "/", nil, writes("Session-Data", `{"n":1}`))
			first := expectBy(t, got, word)
			in := present(word, first)
			if h := r.seen(in); h.Get("Session-State") != "active" || h.Get("Session-Data") != `{"n":1}` || len(h[headerName])+len(h["Authorization"])+len(h["Cookie"]) > 0 {
				t.Fatalf("the app saw %v", h)
			}
			expectBy(t, r.do("GET", "/", in, writes("Session-Patch", `{"n":2}`)), "")
			// No handler writes the header: the response ends before its headers have gone.
			second := expectBy(t, r.do("GET", "/", in, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Session-Principal", `"alice"`)
			}), word)
			if h := r.seen(in); h.Get("Session-State") != "expired" || second == first {
				t.Fatalf("the old ticket is %s", h.Get("Session-State"))
			}
			in = present(word, second)
			if got := r.data(in); got != `{"n":2}` {
				t.Fatalf("data is %s", got)
			}
			if end := expectBy(t, r.do("GET", "/", in, writes("Session-Action", "destroy")), word); end != "-" {
				t.Fatalf("got %q", end)
			}
			if r.store.Len() != 0 || r.seen(in).Get("Session-State") != "expired" {
				t.Fatal("the session lives")
			}
			if n := r.counter("removed_headers_total"); n != 0 {
				t.Fatalf("%v removed headers are counted, and nobody sent any", n)
			}
		})
	}
}

func TestTicketsInHeaders(t *testing.T) {
	for _, word := range []string{"header", "bearer"} {
		r := newCarrierRig(t, word)
		begin := func(data string) string {
			return given(word, r.do("GET", "/", nil, writes("Session-Data", data)))
		}
		own, other := begin(`{"mine":1}`), begin(`{"other":1}`)
		foreign, err := ticket.NewRing(ticket.NewKey())
		if err != nil {
			t.Fatal(err)
		}
		forged := flip(own)
		lines := func(texts ...string) http.Header {
			h := make(http.Header)
			for _, text := range texts {
				for name, values := range present(word, text) {
					h[name] = append(h[name], values...)
				}
			}
			return h
		}
		foreignKind := "forged"
		if word == "bearer" { // not ours at all
			foreignKind = ""
		}
		malformedKind := map[string]string{"header": "malformed"}[word]
		for _, tc := range []struct {
			name, state, kind string
			header            http.Header
			loads             int
			passes            bool // a foreign token, which the app gets
		}{
			{"none", "new", "", nil, 0, false},
			{"genuine", "active", "", lines(own), 1, false},
			{"genuine, twice", "active", "", lines(own, own), 1, false},
			{"with blanks", "active", "", lines("  " + own + "\t "), 1, false},
			{"in a list", "active", "", list(lines(own, own)), 1, false},
			{"genuine beside a forged one", "active", "forged", lines(forged, own), 1, false},
			{"two genuine, both current", "new", "ambiguous", lines(own, other), 2, false},
			{"one bit flipped", "new", "forged", lines(forged), 0, false},
			{"of another ring", "new", foreignKind, lines(foreign.Sign("shop", ticket.New())), 0, word == "bearer"},
			{"of another manager", "new", "forged", lines(r.ring.Sign("cart", ticket.New())), 0, false},
			{"of an unknown session", "expired", "", lines(r.ring.Sign("shop", ticket.New())), 1, false},
			{"truncated", "new", malformedKind, lines(own[:40]), 0, word == "bearer"},
			{"oversized", "new", malformedKind, lines(own + strings.Repeat("A", 3000)), 0, false},
			{"a session id", "new", malformedKind, lines("AAAAAAAAAAAAAAAAAAAAAA"), 0, word == "bearer"},
			{"empty", "new", "", lines(""), 0, word == "bearer"},
			{"a thousand", "new", "ambiguous", lines(thousand(r.ring)...), 0, false},
			{"an alias with underscore", "new", "", http.Header{"X_session": {own}}, 0, false},
			{"an alias with dot", "new", "", http.Header{"X.session": {own}}, 0, false},
			{"the header of another manager", "new", "", http.Header{"X-Other": {own}}, 0, false},
			{"the response's header", "new", "", http.Header{"Session-Ticket": {own}}, 0, false},
		} {
			t.Run(word+", "+tc.name, func(t *testing.T) {
				loads := r.store.Calls("load")
				before, all := r.counter("refused_tickets_total", "kind", tc.kind), r.counter("refused_tickets_total")
				seen := r.seen(tc.header)
				if got := seen.Get("Session-State"); got != tc.state {
					t.Fatalf("state is %s", got)
				}
				if got := r.store.Calls("load") - loads; got != tc.loads {
					t.Fatalf("the store was asked %d times, want %d", got, tc.loads)
				}
				switch {
				case tc.kind != "" && r.counter("refused_tickets_total", "kind", tc.kind) == before:
					t.Fatal("not counted")
				case tc.kind == "" && r.counter("refused_tickets_total") != all:
					t.Fatal("counted")
				}
				_, there := seen["Authorization"]
				if there != tc.passes || tc.passes && !slices.Equal(seen["Authorization"], trimmed(tc.header["Authorization"])) {
					t.Fatalf("Authorization: %q", seen["Authorization"])
				}
				for name := range seen {
					if strings.HasPrefix(name, "X") {
						t.Fatalf("%s came through", name)
					}
				}
			})
		}
	}
}

// trimmed is what net/http makes of a field on its way.
func trimmed(lines []string) (out []string) {
	for _, line := range lines {
		out = append(out, strings.TrimSpace(line))
	}
	return out
}

// list makes one line of several.
func list(h http.Header) http.Header {
	for name, lines := range h {
		h[name] = []string{strings.Join(lines, ",")}
	}
	return h
}

// flip changes one bit of a ticket's nonce, and stays in the alphabet.
func flip(text string) string {
	b := []byte(text)
	if b[40] != 'A' {
		b[40] = 'A'
	} else {
		b[40] = 'B'
	}
	return string(b)
}

// thousand returns genuine tickets of no session.
func thousand(ring *ticket.Ring) (texts []string) {
	for range 1000 {
		texts = append(texts, ring.Sign("shop", ticket.New()))
	}
	return texts
}

// No manager has to have the bearer for its tickets to be kept from apps, and
// other credentials pass as they are.
func TestAuthorizationOfOthers(t *testing.T) {
	r := newCarrierRig(t, "cookie")
	own := r.ring.Sign("removed-manager", ticket.New())
	if seen := r.seen(http.Header{"Authorization": {"Bearer " + own}}); seen.Get("Authorization") != "" {
		t.Fatalf("the app saw %q", seen.Get("Authorization"))
	}
	for _, value := range []string{"Basic YWxpY2U6c2VjcmV0", "bearer eyJhbGciOiJub25lIn0.e30.", `Digest username="a,b"`} {
		if seen := r.seen(http.Header{"Authorization": {value}}); seen.Get("Authorization") != value {
			t.Fatalf("%q became %q", value, seen.Get("Authorization"))
		}
	}
}

func TestConnectionAndTrailersNameNoTicketHeader(t *testing.T) {
	r := newCarrierRig(t, "header")
	h := http.Header{"Connection": {"keep-alive, x-session", "X-Session,X-App"}}
	if got := r.seen(h).Get("Connection"); got != "keep-alive, X-App" {
		t.Fatalf("Connection: %q", got)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.server.URL, struct{ *strings.Reader }{strings.NewReader("body")})
	if err != nil {
		t.Fatal(err)
	}
	own := given("header", r.do("GET", "/", nil, writes("Session-Data", `{}`)))
	req.Trailer = http.Header{headerName: {own}, "X-Other": {own}}
	r.run(func(_ http.ResponseWriter, got *http.Request) error {
		if len(got.Trailer) > 0 || got.Header.Get("Trailer") != "" || got.Header.Get("Session-State") != "new" {
			t.Errorf("the app saw %v %v", got.Header, got.Trailer)
		}
		return nil
	})
	r.send(req)
}
