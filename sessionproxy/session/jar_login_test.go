package session_test

import (
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

func TestJarLogin(t *testing.T) {
	for _, tc := range []struct {
		name  string
		req   jar.Request
		lines []string
		login bool
	}{
		{"a form that changes a cookie", form, []string{"sid=2"}, true},
		{"a form that adds one", form, []string{"user=alice"}, true},
		{"a script's POST that changes one", scriptPost, []string{"sid=2"}, true},
		{"a form that repeats one", form, []string{"sid=1"}, false},
		{"a page that changes one", page, []string{"sid=2"}, true},
		{"a script's GET that changes one", script, []string{"sid=2"}, false},
		{"an image that changes one", embedded, []string{"sid=2"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onJarSites(t, nil, func(t *testing.T, s *jarSite) {
				old := s.begin("sid=1")
				s.clock.advance(time.Minute)
				out := s.open(tc.req, &old).answer(tc.lines...)
				if out.Rotated != tc.login || (out.Ticket != nil) != tc.login {
					t.Fatalf("got %+v", out)
				}
				if !tc.login {
					return
				}
				want := "sid=2"
				if tc.lines[0] == "user=alice" {
					want = "sid=1; user=alice"
				}
				s.shows(*out.Ticket, want)
				s.shows(old, "sid=1") // a late tab
				s.clock.advance(9 * time.Second)
				s.shows(old, "sid=1")
				s.clock.advance(time.Second)
				s.shows(old, "")
				s.shows(*out.Ticket, want)
			})
		})
	}
}

func TestJarNavigationsReplaceOnceInAWhile(t *testing.T) {
	onJarSites(t, nil, func(t *testing.T, s *jarSite) {
		cred := s.begin("flash=0")
		follow := func(value string) bool {
			out := s.open(page, &cred).answer("flash=" + value)
			if out.Rotated {
				cred = *out.Ticket
			}
			s.shows(cred, "flash="+value)
			return out.Rotated
		}
		if !follow("1") {
			t.Fatal("the first change replaces no ticket")
		}
		if follow("2") {
			t.Fatal("a second replacement within the window")
		}
		s.clock.advance(10 * time.Second)
		if !follow("3") {
			t.Fatal("no replacement after the window")
		}
		for _, value := range []string{"4", "5", "6", "7"} {
			s.clock.advance(time.Minute)
			if rotated := follow(value); rotated != (value == "4") {
				t.Fatalf("value %s: replaced %v", value, rotated)
			}
		}
		if out := s.open(form, &cred).answer("flash=8"); !out.Rotated {
			t.Fatal("a form replaces no ticket because its cookie changes often")
		}
	})
}

// TestJarLoginByRequest: what the operator says is a login replaces the
// ticket, and leaves no past.
func TestJarLoginByRequest(t *testing.T) {
	onJarSites(t, nil, func(t *testing.T, s *jarSite) {
		old := s.begin("sid=1")
		s.clock.advance(time.Hour / 4)
		v := s.open(page, &old)
		out := v.commit(change.Changes{CanSetTicket: true, Cookies: &change.Cookies{Login: true}})
		if !out.Rotated || out.Ticket == nil {
			t.Fatalf("got %+v", out)
		}
		rec := s.record(*out.Ticket)
		if want := s.clock.Now().Add(12 * time.Hour); !rec.Absolute.Equal(want) {
			t.Fatalf("the session ends at %v, want %v", rec.Absolute, want)
		}
		s.shows(*out.Ticket, "sid=1")
		s.shows(old, "")
		if out := s.open(form, &old).answer("sid=2"); out.Created || dropped(out) != 1 {
			t.Fatalf("got %+v", out)
		}
		if out := s.open(page, nil).commit(change.Changes{Cookies: &change.Cookies{Login: true}}); out.Created {
			t.Fatalf("a login without cookies begins a session: %+v", out)
		}
	})
}

// TestJarAndPrincipal: a sign-in by the protocol leaves a past as well, and
// one of a late tab goes on from it.
func TestJarAndPrincipal(t *testing.T) {
	onJarSites(t, nil, func(t *testing.T, s *jarSite) {
		old := s.begin("sid=1")
		in := change.Changes{Principal: new("alice"), CanSetTicket: true}
		current := *s.open(form, &old).commit(in).Ticket
		s.shows(current, "sid=1")
		s.shows(old, "sid=1")
		v := s.open(scriptPost, &old)
		in.Cookies = v.cookies("sid=2")
		out := v.commit(in)
		if !out.Created {
			t.Fatalf("got %+v", out)
		}
		s.shows(*out.Ticket, "sid=2")
		s.shows(current, "sid=1")
	})
}

func TestJarRotatedByTimer(t *testing.T) {
	onJarSites(t, func(p *session.Policy) { p.RotateEvery = time.Minute }, func(t *testing.T, s *jarSite) {
		old := s.begin("sid=1")
		s.clock.advance(time.Minute)
		out := s.open(script, &old).answer("sid=2")
		if !out.Rotated || !out.Saved {
			t.Fatalf("got %+v", out)
		}
		s.shows(old, "sid=2") // the previous ticket is good until the new one arrives
		s.shows(*out.Ticket, "sid=2")
	})
}
