package session_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// signOut is the form that signs out.
var signOut = jar.Request{Navigation: true, Unsafe: true, AppPath: "/logout"}

// TestJarSignOutBesideASave: a script saves, which changes the cookie and so
// replaces the ticket, while the form that signs out runs, or just before it
// comes. What the form deletes goes all the same.
func TestJarSignOutBesideASave(t *testing.T) {
	save := func(v *visit) session.Outcome { return v.answer("sid=alice.2") }
	for _, tc := range []struct {
		name    string
		begin   []string
		save    func(v *visit) session.Outcome
		req     jar.Request
		lines   []string
		clear   bool // Clear-Site-Data
		want    string
		past    string // what the old ticket is shown afterwards
		ends    bool
		dropped int // -1: it depends on what the form was given
	}{
		{name: "the last cookie", begin: []string{"sid=alice"}, save: save, req: signOut, lines: []string{"sid=; Max-Age=0"}, ends: true},
		{name: "one of two", begin: []string{"sid=alice", "lang=de"}, save: save, req: signOut, lines: []string{"sid=; Max-Age=0"}, want: "lang=de", past: "lang=de"},
		{name: "and sets another", begin: []string{"sid=alice"}, save: func(v *visit) session.Outcome { return v.answer("sid=alice.2", "draft=7") }, req: signOut, lines: []string{"sid=; Max-Age=0", "flash=bye"}, want: "draft=7", dropped: 1},
		{name: "that the save has left alone", begin: []string{"sid=alice", "lang=de"}, save: func(v *visit) session.Outcome { return v.answer("lang=en") }, req: signOut, lines: []string{"sid=; Max-Age=0"}, want: "lang=en", past: "lang=de"},
		{name: "that the save has deleted", begin: []string{"sid=alice"}, save: func(v *visit) session.Outcome { return v.answer("sid=; Max-Age=0", "lang=en") }, req: signOut, lines: []string{"sid=; Max-Age=0"}, want: "lang=en"},
		{name: "all by Clear-Site-Data", begin: []string{"sid=alice", "lang=de"}, save: save, req: signOut, clear: true, ends: true},
		{name: "all that it was given", begin: []string{"sid=alice"}, save: func(v *visit) session.Outcome { return v.answer("draft=7") }, req: signOut, clear: true, want: "draft=7"},
		{name: "beside data", begin: []string{"sid=alice"}, save: func(v *visit) session.Outcome {
			c := replace(`{"a":1}`)
			c.Cookies, c.CanSetTicket = v.cookies("sid=alice.2"), true
			return v.commit(c)
		}, req: signOut, lines: []string{"sid=; Max-Age=0"}},
		{name: "beside a principal", begin: []string{"sid=alice"}, save: func(v *visit) session.Outcome {
			return v.commit(change.Changes{Principal: new("alice"), CanSetTicket: true})
		}, req: signOut, lines: []string{"sid=; Max-Age=0"}},
		{name: "the one that remembers", begin: []string{"sid=alice", "remember=me; Max-Age=1209600"}, save: save, req: signOut, lines: []string{"remember=; Max-Age=0"}, want: "sid=alice.2", past: "sid=alice"},
		{name: "a new value is no deletion", begin: []string{"sid=alice"}, save: save, req: signOut, lines: []string{"sid=anon"}, want: "sid=alice.2", past: "sid=alice", dropped: 1},
		{name: "nor is another path", begin: []string{"sid=alice"}, save: save, req: signOut, lines: []string{"sid=; Max-Age=0", "sid=anon; Path=/x"}, want: "sid=alice.2", past: "sid=alice", dropped: 2},
		{name: "a script", begin: []string{"sid=alice"}, save: save, req: script, lines: []string{"sid=; Max-Age=0"}, want: "sid=alice.2", past: "sid=alice", dropped: 1},
		{name: "a script's POST", begin: []string{"sid=alice"}, save: save, req: scriptPost, lines: []string{"sid=; Max-Age=0"}, want: "sid=alice.2", past: "sid=alice", dropped: 1},
		{name: "a script's Clear-Site-Data", begin: []string{"sid=alice"}, save: save, req: scriptPost, clear: true, want: "sid=alice.2", past: "sid=alice"},
		{name: "a page", begin: []string{"sid=alice"}, save: save, req: page, lines: []string{"sid=; Max-Age=0"}, want: "sid=alice.2", past: "sid=alice", dropped: 1},
		{name: "after a login that was named", begin: []string{"sid=alice"}, save: func(v *visit) session.Outcome {
			c := v.cookies("sid=bob")
			c.Login = true
			return v.commit(change.Changes{CanSetTicket: true, Cookies: c})
		}, req: signOut, lines: []string{"sid=; Max-Age=0"}, want: "sid=bob", dropped: -1},
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, late %v", tc.name, late), func(t *testing.T) {
				onJarSites(t, locking(session.Optimistic), func(t *testing.T, s *jarSite) {
					old := s.begin(tc.begin...)
					saving, out := s.open(scriptPost, &old), s.open(tc.req, &old)
					current := *tc.save(saving).Ticket
					if late {
						out = s.open(tc.req, &old)
					}
					s.clock.advance(2 * time.Second)
					c := out.cookies(tc.lines...)
					c.End = tc.clear
					got := out.commit(change.Changes{CanSetTicket: true, Cookies: c})
					if got.Ticket != nil || got.Created || got.Rotated || got.ClearTicket != tc.ends || got.Destroyed != tc.ends {
						t.Fatalf("got %+v", got)
					}
					if got.Destroyed {
						s.isGone(current)
						s.shows(old, "")
						return
					}
					if n := dropped(got); n != tc.dropped && tc.dropped >= 0 {
						t.Fatalf("%d dropped, want %d", n, tc.dropped)
					}
					s.shows(current, tc.want)
					s.shows(old, tc.past)
					if s.open(script, &current).State() != session.Active {
						t.Fatal("the session has ended")
					}
				})
			})
		}
	}
}

// TestJarSignOutOfAnOlderTicket deletes nothing: it may have been planted.
func TestJarSignOutOfAnOlderTicket(t *testing.T) {
	onJarSites(t, nil, func(t *testing.T, s *jarSite) {
		planted := s.begin("sid=1")
		running := s.open(signOut, &planted)
		old := *s.open(form, &planted).answer("sid=alice").Ticket
		current := *s.open(scriptPost, &old).answer("sid=alice.2").Ticket
		for _, v := range []*visit{running, s.open(signOut, &planted)} {
			if out := v.answer("sid=; Max-Age=0"); out.Saved || out.Destroyed {
				t.Fatalf("got %+v", out)
			}
		}
		s.shows(current, "sid=alice.2")
		slow := s.open(signOut, &old)
		s.clock.advance(10 * time.Second)
		if out := slow.answer("sid=; Max-Age=0"); out.Saved || out.Destroyed || dropped(out) != 1 {
			t.Fatalf("after the window: got %+v", out)
		}
		s.shows(current, "sid=alice.2")
	})
}

// TestJarSignOutBesideOtherWrites: the deletions of a late tab are carried out
// whatever becomes of what else its response writes.
func TestJarSignOutBesideOtherWrites(t *testing.T) {
	for _, tc := range []struct {
		name string
		c    change.Changes
		want error
	}{
		{"data", replace(`{"a":1}`), session.ErrReplaced},
		{"a rollback", change.Changes{Rollback: true}, nil},
		{"destroy", change.Changes{Destroy: true}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onJarSites(t, nil, func(t *testing.T, s *jarSite) {
				old := s.begin("sid=alice", "lang=de")
				current := *s.open(scriptPost, &old).answer("sid=alice.2").Ticket
				v := s.open(signOut, &old)
				c := tc.c
				c.Cookies = v.cookies("sid=; Max-Age=0")
				out := v.refused(c, tc.want)
				if out.Ticket != nil || out.Destroyed || out.ClearTicket != c.Destroy {
					t.Fatalf("got %+v", out)
				}
				s.shows(current, "lang=de")
			})
		})
	}
	t.Run("after an early commit", func(t *testing.T) {
		onJarSites(t, nil, func(t *testing.T, s *jarSite) {
			old := s.begin("sid=alice", "lang=de")
			v := s.open(signOut, &old)
			v.commit(replace(`{"a":1}`))
			current := *s.open(scriptPost, &old).answer("sid=alice.2").Ticket
			if _, err := v.Reopen(t.Context()); err == nil {
				t.Fatal("a replaced ticket is opened again")
			}
			late, err := v.Late()
			if err != nil {
				t.Fatal(err)
			}
			if out, err := late.Commit(t.Context(), change.Changes{Cookies: v.cookies("sid=; Max-Age=0")}); err != nil || out.Ticket != nil {
				t.Fatalf("got %+v, %v", out, err)
			}
			s.shows(current, "lang=de")
		})
	})
	t.Run("the store is down", func(t *testing.T) {
		s := newJarSite(t, openMemory, nil)
		old := s.begin("sid=alice")
		s.open(scriptPost, &old).answer("sid=alice.2")
		v := s.open(signOut, &old)
		s.store.Store = failing{s.store.Store}
		v.refused(change.Changes{Cookies: v.cookies("sid=; Max-Age=0")}, session.ErrUnavailable)
	})
}

// TestJarSignOutSentTwice: what was sent twice begins a session of its own, if it
// sets anything, and leaves the other as it is.
func TestJarSignOutSentTwice(t *testing.T) {
	for _, late := range []bool{false, true} {
		onJarSites(t, nil, func(t *testing.T, s *jarSite) {
			old := s.begin("sid=alice", "lang=de")
			first, second := s.open(form, &old), s.open(form, &old)
			current := *first.answer("sid=alice.2").Ticket
			if late {
				second = s.open(form, &old)
			}
			out := second.answer("lang=; Max-Age=0", "sid=alice.3")
			if !out.Created {
				t.Fatalf("got %+v", out)
			}
			s.shows(*out.Ticket, "sid=alice.3")
			s.shows(current, "sid=alice.2; lang=de")
		})
	}
}
