package session_test

import (
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// TestJarOfALateTab: a ticket that a login has replaced sees the past, and
// writes nothing; after the window it is an expired one.
func TestJarOfALateTab(t *testing.T) {
	onJarSites(t, nil, func(t *testing.T, s *jarSite) {
		old := s.begin("sid=1")
		current := *s.open(form, &old).answer("sid=alice").Ticket
		before := s.record(current)
		for _, req := range []jar.Request{script, page, scriptPost, embedded} {
			v := s.open(req, &old)
			if v.shown() != "sid=1" || v.State() != session.Expired {
				t.Fatalf("a late tab sees %q, %s", v.shown(), v.State())
			}
			out := v.answer("sid=2")
			if out.Ticket != nil || out.Created || out.ClearTicket || dropped(out) != 1 {
				t.Fatalf("got %+v", out)
			}
			v = s.open(req, &old)
			c := v.cookies("sid=; Max-Age=0")
			c.End = true
			if out := v.commit(change.Changes{Cookies: c}); out.Ticket != nil || out.Destroyed || out.ClearTicket {
				t.Fatalf("a late tab's logout: got %+v", out)
			}
		}
		if after := s.record(current); after.Version != before.Version {
			t.Fatal("a late tab has written")
		}
		s.clock.advance(10 * time.Second)
		out := s.open(script, &old).answer("sid=3")
		if !out.Created || out.Ticket.ID == current.ID {
			t.Fatalf("an expired ticket begins no fresh session: %+v", out)
		}
		s.shows(*out.Ticket, "sid=3")
		s.shows(current, "sid=alice")
	})
}

// TestJarPastIsOfOneTicket: a ticket that was planted before an earlier login
// is not shown what that login has put into the jar.
func TestJarPastIsOfOneTicket(t *testing.T) {
	onJarSites(t, nil, func(t *testing.T, s *jarSite) {
		planted := s.begin("sid=1")
		signedIn := *s.open(form, &planted).answer("sid=alice").Ticket
		s.shows(planted, "sid=1")
		s.clock.advance(2 * time.Second)
		after := *s.open(scriptPost, &signedIn).answer("sid=alice2").Ticket
		s.shows(planted, "")
		s.shows(signedIn, "sid=alice")
		s.shows(after, "sid=alice2")
		if out := s.open(form, &planted).answer("sid=9"); out.Created {
			t.Fatalf("an older ticket begins a session: %+v", out)
		}
		s.clock.advance(time.Minute)
		s.open(scriptPost, &after).answer("sid=alice3")
		s.shows(planted, "")
		s.shows(signedIn, "")
	})
}

// TestJarFormSentTwice: the browser has thrown away the first answer to a form,
// and the ticket in it.
func TestJarFormSentTwice(t *testing.T) {
	onJarSites(t, nil, func(t *testing.T, s *jarSite) {
		old := s.begin("lang=de", "sid=1")
		first := *s.open(form, &old).answer("sid=alice").Ticket
		v := s.open(form, &old)
		if v.shown() != "lang=de; sid=1" {
			t.Fatalf("shown %q", v.shown())
		}
		out := v.answer("sid=alice2")
		if !out.Created || out.Ticket == nil || out.Ticket.ID == old.ID {
			t.Fatalf("got %+v", out)
		}
		s.shows(*out.Ticket, "lang=de; sid=alice2")
		s.shows(first, "lang=de; sid=alice")
		late := form
		late.AppPath = "/comment"
		if out := s.open(late, &old).answer("sid=1b"); out.Created || dropped(out) != 1 {
			t.Fatalf("another form: got %+v", out)
		}
		if out := s.open(form, &old).answer(); out.Created {
			t.Fatalf("a form without a cookie: got %+v", out)
		}
		if out := s.open(form, &old).answer("lang=; Max-Age=0"); out.Created {
			t.Fatalf("a form that deletes a cookie: got %+v", out)
		}
	})
}

// TestJarFormSentTwiceAtOnce: both were on their way when the first answer
// replaced the ticket. Unless the operator said what a login is: of an app that
// keeps its id at a login this would be given away.
func TestJarFormSentTwiceAtOnce(t *testing.T) {
	for _, refused := range []bool{false, true} {
		for _, byRequest := range []bool{false, true} {
			onJarSites(t, locking(session.Optimistic), func(t *testing.T, s *jarSite) {
				old := s.begin("lang=de", "sid=1")
				one, two, other := s.open(form, &old), s.open(form, &old), s.open(scriptPost, &old)
				c := one.cookies("sid=alice")
				c.Login = byRequest
				first := *one.commit(change.Changes{Cookies: c, CanSetTicket: true}).Ticket
				if out := other.answer("sid=2"); out.Created || dropped(out) != 1 {
					t.Fatalf("a script: got %+v", out)
				}
				changes := change.Changes{Cookies: two.cookies("sid=alice2"), CanSetTicket: true}
				if refused {
					changes.Ops = replace(`{"a":1}`).Ops
				}
				out, err := two.Commit(t.Context(), changes)
				if (err != nil) != refused {
					t.Fatal(err)
				}
				s.shows(first, "lang=de; sid=alice")
				if out.Created == byRequest {
					t.Fatalf("got %+v", out)
				}
				if out.Created {
					s.shows(*out.Ticket, "lang=de; sid=alice2")
				}
			})
		}
	}
}

// TestJarFormSentTwiceWithoutCookies: the session was begun by a page that set
// none, and so is what the second form begins.
func TestJarFormSentTwiceWithoutCookies(t *testing.T) {
	for _, late := range []bool{false, true} {
		onJarSites(t, nil, func(t *testing.T, s *jarSite) {
			begin := change.Changes{CanSetTicket: true, Cookies: &change.Cookies{Begin: true}}
			old := *s.open(page, nil).commit(begin).Ticket
			one, two := s.open(form, &old), s.open(form, &old)
			first := *one.answer("sid=alice").Ticket
			if late {
				two = s.open(form, &old)
			}
			if two.shown() != "" {
				t.Fatalf("shown %q", two.shown())
			}
			out := two.answer("sid=alice2")
			if !out.Created || out.Ticket == nil {
				t.Fatalf("late %v: got %+v", late, out)
			}
			s.shows(*out.Ticket, "sid=alice2")
			s.shows(first, "sid=alice")
			if out := s.open(scriptPost, &old).answer("sid=3"); out.Created || dropped(out) != 1 {
				t.Fatalf("a script: got %+v", out)
			}
		})
	}
}

// TestJarLoginByRequestOfALateTab: a login that the operator has named begins a
// fresh session, like a sign-in, but never with what another login has been given.
func TestJarLoginByRequestOfALateTab(t *testing.T) {
	onJarSites(t, nil, func(t *testing.T, s *jarSite) {
		for _, late := range []bool{false, true} {
			old := s.begin("lang=de", "sid=1")
			v := s.open(page, &old)
			current := *s.open(page, &old).commit(change.Changes{CanSetTicket: true, Cookies: &change.Cookies{Login: true}}).Ticket
			if late {
				v = s.open(page, &old)
			}
			c := v.cookies("sid=alice")
			c.Login = true
			out := v.commit(change.Changes{CanSetTicket: true, Cookies: c})
			if !out.Created || out.Ticket.ID == current.ID {
				t.Fatalf("got %+v", out)
			}
			s.shows(*out.Ticket, "sid=alice")
			s.shows(current, "lang=de; sid=1")
			v = s.open(page, &old)
			if out := v.commit(change.Changes{Cookies: &change.Cookies{Login: true}}); out.Created || out.Ticket != nil {
				t.Fatalf("without a cookie: got %+v", out)
			}
		}
	})
}

// TestJarAfterALoginMeanwhile: the response to a request whose ticket was
// replaced while it ran writes nothing, whatever its rank.
func TestJarAfterALoginMeanwhile(t *testing.T) {
	for _, locking := range []session.Locking{session.Lossy, session.Optimistic} {
		onJarSites(t, func(p *session.Policy) { p.Locking = locking }, func(t *testing.T, s *jarSite) {
			for _, req := range []jar.Request{script, page, scriptPost, form} {
				old := s.begin("sid=1")
				req.AppPath = "/search"
				slow := s.open(req, &old)
				current := *s.open(form, &old).answer("sid=alice").Ticket
				if out := slow.answer("sid=2"); out.Ticket != nil || out.Created || dropped(out) != 1 {
					t.Fatalf("got %+v", out)
				}
				s.shows(current, "sid=alice")
			}
		})
	}
}
