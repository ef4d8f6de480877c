package session_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

func TestJarBegins(t *testing.T) {
	for _, tc := range []struct {
		name   string
		req    jar.Request
		lines  []string
		begins bool
	}{
		{"a page with a cookie", page, []string{"sid=1"}, true},
		{"a script with a cookie", script, []string{"sid=1"}, true},
		{"an image with a cookie", embedded, []string{"sid=1"}, false},
		{"a deletion", page, []string{"sid=; Max-Age=0"}, false},
		{"set and deleted", page, []string{"sid=1", "sid=; Max-Age=0"}, false},
		{"no cookie", page, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onJarSites(t, nil, func(t *testing.T, s *jarSite) {
				v := s.open(tc.req, nil)
				if given, ok := v.Jar(); given.Len(s.clock.Now()) != 0 || !ok {
					t.Fatalf("a stranger has a jar: %v, %v", given, ok)
				}
				out := v.answer(tc.lines...)
				if out.Created != tc.begins || (out.Ticket != nil) != tc.begins {
					t.Fatalf("got %+v", out)
				}
				if tc.begins {
					s.shows(*out.Ticket, tc.lines[0])
					if rec := s.record(*out.Ticket); string(rec.Data) != "{}" || strings.Contains(string(rec.Cookies), "sid=1") {
						t.Fatalf("stored %s and %q", rec.Data, rec.Cookies)
					}
				}
			})
		})
	}
	t.Run("a page without cookies, if the response may begin a session", func(t *testing.T) {
		s := newJarSite(t, openMemory, nil)
		out := s.open(page, nil).commit(change.Changes{Cookies: &change.Cookies{Begin: true}})
		if !out.Created {
			t.Fatalf("got %+v", out)
		}
	})
}

func TestJarIsWrittenWhenItChanges(t *testing.T) {
	onJarSites(t, nil, func(t *testing.T, s *jarSite) {
		cred := s.begin("sid=1", "pref=a; Max-Age=1000")
		for _, tc := range []struct {
			name   string
			lines  []string
			writes bool
			shown  string
		}{
			{"the same", []string{"sid=1"}, false, "sid=1; pref=a"},
			{"the same expiry", []string{"pref=a; Max-Age=1000"}, false, "sid=1; pref=a"},
			{"a little later", []string{"pref=a; Max-Age=1020"}, false, "sid=1; pref=a"},
			{"much later", []string{"pref=a; Max-Age=2000"}, true, "sid=1; pref=a"},
			{"absent, deleted", []string{"other=; Max-Age=0"}, false, "sid=1; pref=a"},
			{"another value", []string{"sid=2"}, true, "sid=2; pref=a"},
			{"a further one", []string{"more=x"}, true, "sid=2; pref=a; more=x"},
			{"one deleted", []string{"pref=; Max-Age=0"}, true, "sid=2; more=x"},
		} {
			before := s.record(cred)
			v := s.open(script, &cred)
			out := v.answer(tc.lines...)
			after := s.record(cred)
			if out.Saved != tc.writes || (before.Version != after.Version) != tc.writes || !after.Written.Equal(before.Written) {
				t.Fatalf("%s: got %+v, %v became %v", tc.name, out, before.Version, after.Version)
			}
			s.shows(cred, tc.shown)
		}
		before := s.record(cred)
		for range 1000 {
			s.open(page, &cred).answer("sid=2", "more=x")
		}
		if after := s.record(cred); after.Version != before.Version {
			t.Fatal("a repeated cookie was written")
		}
	})
}

func TestJarEndsTheSession(t *testing.T) {
	remove := "sid=; Max-Age=0"
	for _, tc := range []struct {
		name  string
		also  change.Changes // of the response that begins the session
		lines []string
		end   bool // Clear-Site-Data
		ends  bool
	}{
		{"the last cookie", change.Changes{}, []string{remove}, false, true},
		{"not the last", change.Changes{}, []string{"other=1", remove}, false, false},
		{"data is left", replace(`{"a":1}`), []string{remove}, false, false},
		{"a principal is left", change.Changes{Principal: new("alice")}, []string{remove}, false, false},
		{"all, with data", replace(`{"a":1}`), nil, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onJarSites(t, nil, func(t *testing.T, s *jarSite) {
				v := s.open(page, nil)
				tc.also.Cookies = v.cookies("sid=1")
				cred := *v.commit(tc.also).Ticket
				v = s.open(page, &cred)
				c := v.cookies(tc.lines...)
				c.End = tc.end
				out := v.commit(change.Changes{Cookies: c, CanSetTicket: true})
				if out.Destroyed != tc.ends || out.ClearTicket != tc.ends {
					t.Fatalf("got %+v", out)
				}
				if tc.ends {
					s.isGone(cred)
					if fresh := s.open(page, &cred).answer("sid=3"); !fresh.Created || fresh.Ticket.ID == cred.ID {
						t.Fatalf("the next cookie begins no fresh session: %+v", fresh)
					}
				}
			})
		})
	}
	for _, tc := range []struct {
		name            string
		before          []string
		meanwhile, then string
		ends            bool
	}{
		{"though another response has written", nil, "sid=1; Max-Age=5000", remove, true},
		{"since another response has taken out the others", []string{"other=1"}, "other=; Max-Age=0", remove, true},
		{"not after another response has set one", nil, "other=1", remove, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onJarSites(t, nil, func(t *testing.T, s *jarSite) {
				cred := s.begin(append(tc.before, "sid=1")...)
				slow := s.open(page, &cred)
				s.open(script, &cred).answer(tc.meanwhile)
				if out := slow.answer(tc.then); out.Destroyed != tc.ends || out.ClearTicket != tc.ends {
					t.Fatalf("got %+v", out)
				}
				if tc.ends {
					s.isGone(cred)
				} else {
					s.shows(cred, "other=1")
				}
			})
		})
	}
}

// TestJarAfterTheEnd: cookies of a response whose session has ended meanwhile
// are dropped, and the next cookie begins a session as for a stranger.
func TestJarAfterTheEnd(t *testing.T) {
	for _, locking := range []session.Locking{session.Lossy, session.Optimistic} {
		onJarSites(t, func(p *session.Policy) { p.Locking = locking }, func(t *testing.T, s *jarSite) {
			for name, end := range map[string]func(session.Credential){
				"revoked": func(c session.Credential) {
					key := store.Key{Manager: "shop", ID: c.ID}
					if _, err := (session.Operator{Store: s.store, Node: session.NewNode(s.store)}).Revoke(t.Context(), key); err != nil {
						t.Fatal(err)
					}
				},
				"logged out": func(c session.Credential) { s.open(form, &c).commit(change.Changes{Destroy: true}) },
				"timeout":    func(session.Credential) { s.clock.advance(time.Hour) },
			} {
				cred := s.begin("sid=1")
				slow, slowWriter := s.open(script, &cred), s.open(script, &cred)
				end(cred)
				if out := slow.answer("sid=2"); dropped(out) != 1 || out.Ticket != nil || out.Created || out.ClearTicket {
					t.Fatalf("%s: got %+v", name, out)
				}
				c := replace(`{"a":1}`)
				c.Cookies = slowWriter.cookies("sid=3")
				if out := slowWriter.refused(c, session.ErrGone); dropped(out) != 1 {
					t.Fatalf("%s: got %+v", name, out)
				}
				s.isGone(cred)
				v := s.open(script, &cred)
				if v.State() != session.Expired || v.shown() != "" {
					t.Fatalf("%s: %s sees %q", name, v.State(), v.shown())
				}
				if out := v.answer("sid=4"); !out.Created || out.Ticket.ID == cred.ID {
					t.Fatalf("%s: got %+v", name, out)
				}
			}
		})
	}
}

func TestJarIsOff(t *testing.T) {
	s := newJarSite(t, openMemory, func(p *session.Policy) { p.CookieJar = false })
	v := s.open(page, nil)
	if _, ok := v.Jar(); ok {
		t.Fatal("there is a jar")
	}
	if out := s.open(page, nil).answer("sid=1"); out.Created {
		t.Fatalf("got %+v", out)
	}
	c := replace(`{"a":1}`)
	c.Cookies = v.cookies("sid=1")
	out := v.commit(c)
	if rec := s.record(*out.Ticket); rec.Cookies != nil || out.Cookies != nil {
		t.Fatalf("got %+v, %q", out, rec.Cookies)
	}
}

func TestJarWithoutStore(t *testing.T) {
	s := newJarSite(t, openMemory, func(p *session.Policy) { p.FailOpen = true })
	cred := s.begin("sid=1")
	s.store.Store = failing{s.store.Store}
	v := s.open(page, &cred)
	if _, ok := v.Jar(); ok || v.State() != session.Unavailable {
		t.Fatalf("state %s, jar %v", v.State(), ok)
	}
	if out := v.answer("sid=2"); out.Ticket != nil || out.Created {
		t.Fatalf("got %+v", out)
	}
}

// TestJarWhenTheStoreFailsMeanwhile: without FailOpen the response fails.
func TestJarWhenTheStoreFailsMeanwhile(t *testing.T) {
	for _, open := range []bool{false, true} {
		s := newJarSite(t, openMemory, func(p *session.Policy) { p.FailOpen = open })
		cred := s.begin("sid=1")
		v := s.open(page, &cred)
		s.store.fails = true
		out, err := v.Commit(t.Context(), change.Changes{Cookies: v.cookies("sid=2")})
		if errors.Is(err, session.ErrUnavailable) == open || open && dropped(out) != 1 {
			t.Fatalf("open %v: got %+v, %v", open, out, err)
		}
	}
}
