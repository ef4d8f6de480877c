package session_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/lock"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

func keyOf(h *session.Session) store.Key { return store.Key{Manager: "shop", ID: h.ID()} }

// Two requests open the session; the first commits, then the second.
func TestTwoRequestsAtOnce(t *testing.T) {
	for _, tc := range []struct {
		name          string
		locking       session.Locking
		first, second change.Changes
		want          string
		err           error
		overwrote     bool
	}{
		{"lossy, disjoint keys", session.Lossy, sessiontest.MergePatch(t, `{"a":1}`), sessiontest.MergePatch(t, `{"b":2}`), `{"z":0,"a":1,"b":2}`, nil, false},
		{"lossy, one key", session.Lossy, sessiontest.MergePatch(t, `{"a":1}`), sessiontest.MergePatch(t, `{"a":2}`), `{"z":0,"a":2}`, nil, true},
		{"lossy, the same change", session.Lossy, sessiontest.MergePatch(t, `{"a":1}`), sessiontest.MergePatch(t, `{"a":1}`), `{"z":0,"a":1}`, nil, false},
		{"lossy, nested disjoint keys", session.Lossy, sessiontest.MergePatch(t, `{"o":{"a":1}}`), sessiontest.MergePatch(t, `{"o":{"b":2}}`), `{"z":0,"o":{"a":1,"b":2}}`, nil, false},
		{"lossy, a replacement keeps what others added", session.Lossy, sessiontest.MergePatch(t, `{"a":1}`), replace(`{"b":2}`), `{"a":1,"b":2}`, nil, false},
		{"lossy, adding", session.Lossy, add(t, `{"z":1}`), add(t, `{"z":2}`), `{"z":3}`, nil, false},
		{"lossy, adding to what is no number any more", session.Lossy, sessiontest.MergePatch(t, `{"z":"x"}`), add(t, `{"z":2}`), `{"z":"x"}`, change.ErrConflict, false},
		{"optimistic, disjoint keys", session.Optimistic, sessiontest.MergePatch(t, `{"a":1}`), sessiontest.MergePatch(t, `{"b":2}`), `{"z":0,"a":1}`, change.ErrConflict, false},
		{"optimistic, a replacement", session.Optimistic, sessiontest.MergePatch(t, `{"a":1}`), replace(`{"b":2}`), `{"z":0,"a":1}`, change.ErrConflict, false},
		{"optimistic, adding never conflicts", session.Optimistic, add(t, `{"z":1}`), add(t, `{"z":2}`), `{"z":3}`, nil, false},
		{"optimistic, the other changed no data", session.Optimistic, change.Changes{Timeout: &change.Timeout{Idle: 60e9}}, sessiontest.MergePatch(t, `{"a":1}`), `{"z":0,"a":1}`, nil, false},
		{"optimistic, this one changes no data", session.Optimistic, sessiontest.MergePatch(t, `{"a":1}`), change.Changes{Timeout: &change.Timeout{Idle: 60e9}}, `{"z":0,"a":1}`, nil, false},
		{"optimistic, reading", session.Optimistic, sessiontest.MergePatch(t, `{"a":1}`), change.Changes{}, `{"z":0,"a":1}`, nil, false},
	} {
		for _, updater := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, updater %v", tc.name, updater), func(t *testing.T) {
				s := newSite(t, locking(tc.locking))
				if updater {
					s.Manager = s.manager(session.Fixed(s.Store.WithUpdater()), locking(tc.locking))
				}
				c := s.Begin(`{"z":0}`)
				first, second := s.Open(c), s.Open(c)
				s.Commit(first, tc.first)
				out, err := second.Commit(t.Context(), tc.second)
				if !errors.Is(err, tc.err) {
					t.Fatalf("got %v, want %v", err, tc.err)
				}
				if got := s.Data(c); got != tc.want {
					t.Fatalf("data is %s, want %s", got, tc.want)
				}
				if out.Overwrote != tc.overwrote {
					t.Fatalf("overwrote: %v", out.Overwrote)
				}
			})
		}
	}
}

func TestIfVersionHoldsUnderEveryPolicy(t *testing.T) {
	for _, policy := range []session.Locking{session.Lossy, session.Optimistic, session.Serialized} {
		t.Run(policy.String(), func(t *testing.T) {
			s := newSite(t, locking(policy))
			c := s.Begin(`{}`)
			first := s.Open(c)
			version := first.Meta().Version.String()
			conditional := func(ch change.Changes) change.Changes {
				ch.IfVersion = &version
				return ch
			}
			var late []change.Changes
			for _, ch := range []change.Changes{sessiontest.MergePatch(t, `{"b":2}`), add(t, `{"n":1}`), replace(`{"b":2}`)} {
				late = append(late, conditional(ch))
			}
			var early []*session.Session // with a lock each one would wait for the first
			if policy != session.Serialized {
				for range late {
					early = append(early, s.Open(c))
				}
			}
			s.Commit(first, conditional(sessiontest.MergePatch(t, `{"a":1}`)))
			for i, h := range early {
				s.refused(h, late[i], change.ErrIfVersion)
			}
			for _, ch := range late {
				s.refused(s.Open(c), ch, change.ErrIfVersion)
			}
			s.refused(s.Open(), conditional(sessiontest.MergePatch(t, `{"b":2}`)), change.ErrConflict)
			h := s.Open(c)
			version = h.Meta().Version.String()
			s.Commit(h, conditional(sessiontest.MergePatch(t, `{"c":3}`)))
			if got := s.Data(c); got != `{"a":1,"c":3}` {
				t.Errorf("data is %s", got)
			}
		})
	}
}

func TestNothingIsLost(t *testing.T) {
	const clients, rounds = 16, 10
	for _, tc := range []struct {
		name    string
		locking session.Locking
		updater bool
		change  func(client int, data []byte) change.Changes
		check   func(m map[string]int) bool
	}{
		{"lossy, different keys", session.Lossy, false, countOwnKey(t), eachHas(clients, rounds)},
		{"lossy, different keys, updater", session.Lossy, true, countOwnKey(t), eachHas(clients, rounds)},
		{"serialized, read and write one key", session.Serialized, false, countShared(t), sharedIs(clients * rounds)},
		{"optimistic, adding", session.Optimistic, false, func(int, []byte) change.Changes { return add(t, `{"n":1}`) }, sharedIs(clients * rounds)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, func(p *session.Policy) { p.Locking = tc.locking })
			if tc.updater {
				s.Manager = s.manager(session.Fixed(s.Store.WithUpdater()), locking(tc.locking))
			}
			c := s.Begin(`{}`)
			var wg sync.WaitGroup
			for client := range clients {
				wg.Go(func() {
					for range rounds {
						h, err := s.Manager.Open(t.Context(), session.Request{Credentials: []session.Credential{c}})
						if err == nil {
							_, err = h.Commit(t.Context(), tc.change(client, h.Data()))
						}
						if err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			var got map[string]int
			if err := json.Unmarshal([]byte(s.Data(c)), &got); err != nil || !tc.check(got) {
				t.Fatalf("data is %v (%v)", got, err)
			}
		})
	}
}

func countOwnKey(t *testing.T) func(int, []byte) change.Changes {
	return func(client int, data []byte) change.Changes {
		var m map[string]int
		_ = json.Unmarshal(data, &m)
		name := fmt.Sprint("k", client)
		return sessiontest.MergePatch(t, fmt.Sprintf(`{%q:%d}`, name, m[name]+1))
	}
}

func countShared(t *testing.T) func(int, []byte) change.Changes {
	return func(_ int, data []byte) change.Changes {
		var m map[string]int
		_ = json.Unmarshal(data, &m)
		return sessiontest.MergePatch(t, fmt.Sprintf(`{"n":%d}`, m["n"]+1))
	}
}

func eachHas(clients, n int) func(map[string]int) bool {
	return func(m map[string]int) bool {
		for i := range clients {
			if m[fmt.Sprint("k", i)] != n {
				return false
			}
		}
		return true
	}
}

func sharedIs(n int) func(map[string]int) bool {
	return func(m map[string]int) bool { return m["n"] == n }
}

func TestSerialized(t *testing.T) {
	t.Run("the lock goes with every way of ending", func(t *testing.T) {
		s := newSite(t, func(p *session.Policy) { p.Locking, p.Wait = session.Serialized, 0 })
		c := s.Begin(`{}`)
		s.Open(c).Rollback()
		s.Commit(s.Open(c), change.Changes{})
		s.Commit(s.Open(c), sessiontest.MergePatch(t, `{"a":1}`))
		s.refused(s.Open(c), add(t, `{"b":{"c":1},"a":9007199254740992}`), change.ErrBadWrite)
		out := s.Commit(s.Open(c), change.Changes{Regenerate: true})
		s.Commit(s.Open(c), change.Changes{}) // a replaced ticket
		s.Commit(s.Open(*out.Ticket), change.Changes{Destroy: true})
		s.Commit(s.Open(*out.Ticket), change.Changes{}) // an ended session
	})
	t.Run("busy", func(t *testing.T) {
		s := newSite(t, func(p *session.Policy) { p.Locking, p.Wait = session.Serialized, 0 })
		c := s.Begin(`{}`)
		s.Open(c)
		if _, err := s.Manager.Open(t.Context(), session.Request{Credentials: []session.Credential{c}}); !errors.Is(err, lock.ErrLocked) {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("the next one sees what the first wrote", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, locking(session.Serialized))
			c := s.Begin(`{}`)
			first := s.Open(c)
			seen := make(chan string)
			go func() { seen <- s.Data(c) }()
			synctest.Wait()
			s.Commit(first, sessiontest.MergePatch(t, `{"a":1}`))
			if got := <-seen; got != `{"a":1}` {
				t.Fatalf("saw %s", got)
			}
		})
	})
}

func TestPolicyLimits(t *testing.T) {
	for name, change := range map[string]func(*session.Policy){
		"more data than stores take": func(p *session.Policy) { p.MaxSize = store.MaxData + 1 },
		"no data":                    func(p *session.Policy) { p.MaxSize = 1 },
		"timeouts that overflow": func(p *session.Policy) {
			p.IdleTimeout, p.AbsoluteTimeout, p.MaxIdle, p.MaxAbsolute = 1<<62, 1<<62, 1<<62, 1<<62
		},
	} {
		p := session.DefaultPolicy()
		change(&p)
		if _, err := session.NewManager("shop", p, session.Options{Provider: session.Fixed(nil), NewCredential: sessiontest.Credential}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
