package session_test

import (
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// TestJarOfRefusedData: data that is refused does not take the cookies with it.
func TestJarOfRefusedData(t *testing.T) {
	for _, tc := range []struct {
		name    string
		policy  func(*session.Policy)
		changes change.Changes
		staged  bool
		want    error
		kept    bool
	}{
		{"a conflict", locking(session.Optimistic), replace(`{"a":1}`), false, change.ErrConflict, true},
		{"too large", nil, replace(`{"a":"` + strings.Repeat("x", 64<<10) + `"}`), false, change.ErrTooLarge, true},
		{"another version", nil, change.Changes{IfVersion: new("1-0000000000000000")}, false, change.ErrConflict, true},
		{"too many sessions", func(p *session.Policy) { p.MaxPerPrincipal = 1 }, change.Changes{Principal: new("alice")}, false, session.ErrPrincipalLimit, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onJarSites(t, tc.policy, func(t *testing.T, s *jarSite) {
				s.open(page, nil).commit(change.Changes{Principal: new("alice")})
				cred := s.begin("sid=1")
				v := s.open(form, &cred)
				s.open(script, &cred).commit(replace(`{"other":1}`))
				c := tc.changes
				c.CanSetTicket, c.Cookies = true, v.cookies("sid=2")
				out := v.refused(c, tc.want)
				if out.Ticket == nil || !out.Rotated || !out.Saved {
					t.Fatalf("got %+v", out)
				}
				s.shows(*out.Ticket, "sid=2")
				if rec := s.record(*out.Ticket); string(rec.Data) != `{"other":1}` || rec.Principal != "" {
					t.Fatalf("stored %s, %q", rec.Data, rec.Principal)
				}
			})
		})
	}
	t.Run("handed to the next attempt", func(t *testing.T) {
		onJarSites(t, locking(session.Optimistic), func(t *testing.T, s *jarSite) {
			cred := s.begin("sid=1")
			v := s.open(form, &cred)
			s.open(script, &cred).commit(replace(`{"other":1}`))
			c := replace(`{"a":1}`)
			c.CanSetTicket, c.Cookies = true, v.cookies("sid=2")
			c.Cookies.Handed = true
			if out := v.refused(c, change.ErrConflict); out.Ticket != nil || out.Saved {
				t.Fatalf("got %+v", out)
			}
			s.shows(cred, "sid=1")
			// The next attempt sets another cookie, and both are committed.
			v = s.open(form, &cred)
			given, _ := v.Jar()
			shown := given.With(c.Cookies.Wishes, s.clock.Now())
			later := s.rules.Sort(shown, &v.req, []string{"more=x; HttpOnly"}).Wishes
			next := replace(`{"a":1}`)
			next.CanSetTicket, next.Cookies = true, &change.Cookies{Wishes: c.Cookies.Wishes.Then(later)}
			out := v.commit(next)
			s.shows(*out.Ticket, "sid=2; more=x")
			// What is no reason for another attempt does not wait for one.
			v = s.open(form, out.Ticket)
			c = change.Changes{IfVersion: new("1-0000000000000000"), CanSetTicket: true, Cookies: v.cookies("sid=3")}
			c.Cookies.Handed = true
			out = v.refused(c, change.ErrConflict)
			s.shows(*out.Ticket, "sid=3; more=x")
		})
	})
	t.Run("begins a session", func(t *testing.T) {
		s := newJarSite(t, openMemory, nil)
		v := s.open(page, nil)
		c := replace(`{"a":"` + strings.Repeat("x", 64<<10) + `"}`)
		c.Cookies = v.cookies("sid=1")
		out := v.refused(c, change.ErrTooLarge)
		if !out.Created {
			t.Fatalf("got %+v", out)
		}
		s.shows(*out.Ticket, "sid=1")
	})
}

// TestJarOfARollback: a response that rolls back commits its cookies.
func TestJarOfARollback(t *testing.T) {
	onJarSites(t, func(p *session.Policy) { p.CreateAlways = true }, func(t *testing.T, s *jarSite) {
		v := s.open(page, nil)
		c := replace(`{"a":1}`)
		c.Rollback, c.Cookies, c.CanSetTicket = true, v.cookies("sid=1"), true
		out := v.commit(c)
		if !out.Created {
			t.Fatalf("got %+v", out)
		}
		s.shows(*out.Ticket, "sid=1")
		if rec := s.record(*out.Ticket); string(rec.Data) != "{}" {
			t.Fatalf("stored %s", rec.Data)
		}
		v = s.open(page, nil)
		if out := v.commit(change.Changes{Rollback: true, Cookies: v.cookies()}); out.Created {
			t.Fatalf("a rollback without cookies begins a session: %+v", out)
		}
	})
}

func TestJarAndDataAreOneSave(t *testing.T) {
	s := newJarSite(t, openMemory, nil)
	cred := s.begin("sid=1")
	before := s.store.saves
	v := s.open(script, &cred)
	c := replace(`{"a":1}`)
	c.Cookies = v.cookies("sid=2")
	out := v.commit(c)
	rec := s.record(cred)
	if s.store.saves != before+1 || string(rec.Data) != `{"a":1}` || !out.Saved {
		t.Fatalf("%d saves, data %s", s.store.saves-before, rec.Data)
	}
	s.shows(cred, "sid=2")
}

// TestJarNeverConflicts: cookies are merged into what is stored by then, under
// every policy, and are no reason for a conflict of others' data.
func TestJarNeverConflicts(t *testing.T) {
	for _, tc := range []struct {
		name   string
		policy func(*session.Policy)
		late   bool
	}{
		{"lossy", locking(session.Lossy), false},
		{"optimistic", locking(session.Optimistic), false},
		{"optimistic, merging", func(p *session.Policy) { p.Locking, p.Merge = session.Optimistic, true }, false},
		{"serialized, locked late", locking(session.Serialized), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onJarSites(t, tc.policy, func(t *testing.T, s *jarSite) {
				cred := s.begin("sid=1")
				open := func() *visit { return s.openAs(script, session.Request{LockLate: tc.late}, &cred) }
				a, b, writer := open(), open(), open()
				if out := a.answer("a=1"); !out.Saved {
					t.Fatalf("got %+v", out)
				}
				if out := b.answer("b=1"); !out.Saved {
					t.Fatalf("got %+v", out)
				}
				writer.commit(replace(`{"a":1}`))
				s.shows(cred, "sid=1; a=1; b=1")
				if rec := s.record(cred); string(rec.Data) != `{"a":1}` {
					t.Fatalf("stored %s", rec.Data)
				}
			})
		})
	}
}

func TestJarOfAReadOnlyRequest(t *testing.T) {
	s := newJarSite(t, openMemory, nil)
	cred := s.begin("sid=1")
	v := s.openAs(page, session.Request{ReadOnly: true}, &cred)
	if v.shown() != "sid=1" {
		t.Fatalf("shown %q", v.shown())
	}
	if out := v.answer("sid=2"); dropped(out) != 1 || out.Saved || out.Ticket != nil {
		t.Fatalf("got %+v", out)
	}
	s.shows(cred, "sid=1")
}

// TestJarAfterAnEarlyCommit: what the endpoint has committed before the
// response makes no difference to the cookies in it.
func TestJarAfterAnEarlyCommit(t *testing.T) {
	onJarSites(t, nil, func(t *testing.T, s *jarSite) {
		cred := s.begin("sid=1")
		v := s.open(form, &cred)
		v.commit(replace(`{"a":1}`))
		s.open(script, &cred).answer("other=1")
		again, err := v.Reopen(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		v.Session = again
		out := v.answer("sid=2")
		s.shows(*out.Ticket, "sid=2; other=1")
		v = s.open(page, nil)
		v.commit(replace(`{"a":1}`))
		if v.Session, err = v.Reopen(t.Context()); err != nil {
			t.Fatal(err)
		}
		if out = v.answer("sid=1"); out.Created || !out.Saved || !out.Rotated {
			t.Fatalf("got %+v", out)
		}
		s.shows(*out.Ticket, "sid=1")
	})
}
