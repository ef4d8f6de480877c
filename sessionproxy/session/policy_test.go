package session_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

func keyOf(h *session.Session) store.Key { return store.Key{Manager: "shop", ID: h.ID()} }

// Two requests open the session; the first commits, then the second.
func TestTwoRequestsAtOnce(t *testing.T) {
	for _, tc := range []struct {
		name          string
		locking       session.Locking
		first, second session.Changes
		want          string
		err           error
		overwrote     bool
	}{
		{"lossy, disjoint keys", session.Lossy, patch(t, `{"a":1}`), patch(t, `{"b":2}`), `{"z":0,"a":1,"b":2}`, nil, false},
		{"lossy, one key", session.Lossy, patch(t, `{"a":1}`), patch(t, `{"a":2}`), `{"z":0,"a":2}`, nil, true},
		{"lossy, the same change", session.Lossy, patch(t, `{"a":1}`), patch(t, `{"a":1}`), `{"z":0,"a":1}`, nil, false},
		{"lossy, nested disjoint keys", session.Lossy, patch(t, `{"o":{"a":1}}`), patch(t, `{"o":{"b":2}}`), `{"z":0,"o":{"a":1,"b":2}}`, nil, false},
		{"lossy, a replacement keeps what others added", session.Lossy, patch(t, `{"a":1}`), replace(`{"b":2}`), `{"a":1,"b":2}`, nil, false},
		{"lossy, adding", session.Lossy, add(t, `{"z":1}`), add(t, `{"z":2}`), `{"z":3}`, nil, false},
		{"lossy, adding to what is no number any more", session.Lossy, patch(t, `{"z":"x"}`), add(t, `{"z":2}`), `{"z":"x"}`, session.ErrConflict, false},
		{"optimistic, disjoint keys", session.Optimistic, patch(t, `{"a":1}`), patch(t, `{"b":2}`), `{"z":0,"a":1}`, session.ErrConflict, false},
		{"optimistic, a replacement", session.Optimistic, patch(t, `{"a":1}`), replace(`{"b":2}`), `{"z":0,"a":1}`, session.ErrConflict, false},
		{"optimistic, adding never conflicts", session.Optimistic, add(t, `{"z":1}`), add(t, `{"z":2}`), `{"z":3}`, nil, false},
		{"optimistic, the other changed no data", session.Optimistic, session.Changes{Timeout: &session.Timeout{Idle: 60e9}}, patch(t, `{"a":1}`), `{"z":0,"a":1}`, nil, false},
		{"optimistic, this one changes no data", session.Optimistic, patch(t, `{"a":1}`), session.Changes{Timeout: &session.Timeout{Idle: 60e9}}, `{"z":0,"a":1}`, nil, false},
		{"optimistic, reading", session.Optimistic, patch(t, `{"a":1}`), session.Changes{}, `{"z":0,"a":1}`, nil, false},
	} {
		for _, updater := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, updater %v", tc.name, updater), func(t *testing.T) {
				s := newSite(t, locking(tc.locking))
				if updater {
					s.m = s.manager(session.Fixed(s.store.WithUpdater()), locking(tc.locking))
				}
				c := s.begin(`{"z":0}`)
				first, second := s.open(c), s.open(c)
				s.commit(first, tc.first)
				out, err := second.Commit(t.Context(), tc.second)
				if !errors.Is(err, tc.err) {
					t.Fatalf("got %v, want %v", err, tc.err)
				}
				if got := s.data(c); got != tc.want {
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
	for _, policy := range []session.Locking{session.Lossy, session.Optimistic} {
		t.Run(policy.String(), func(t *testing.T) {
			s := newSite(t, locking(policy))
			c := s.begin(`{}`)
			first, second, third := s.open(c), s.open(c), s.open(c)
			version := first.Meta().Version.String()
			conditional := func(text string) session.Changes {
				ch := patch(t, text)
				ch.IfVersion = &version
				return ch
			}
			s.commit(first, conditional(`{"a":1}`))
			s.refused(second, conditional(`{"b":2}`), session.ErrConflict)
			added := add(t, `{"n":1}`)
			added.IfVersion = &version
			s.refused(third, added, session.ErrConflict)
			s.refused(s.open(c), conditional(`{"b":2}`), session.ErrConflict)
			s.refused(s.open(), conditional(`{"b":2}`), session.ErrConflict)
		})
	}
}

func TestNothingIsLost(t *testing.T) {
	const clients, rounds = 16, 10
	for _, tc := range []struct {
		name    string
		locking session.Locking
		updater bool
		change  func(client int, data []byte) session.Changes
		check   func(m map[string]int) bool
	}{
		{"lossy, different keys", session.Lossy, false, countOwnKey(t), eachHas(clients, rounds)},
		{"lossy, different keys, updater", session.Lossy, true, countOwnKey(t), eachHas(clients, rounds)},
		{"serialized, read and write one key", session.Serialized, false, countShared(t), sharedIs(clients * rounds)},
		{"optimistic, adding", session.Optimistic, false, func(int, []byte) session.Changes { return add(t, `{"n":1}`) }, sharedIs(clients * rounds)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, func(p *session.Policy) { p.Locking = tc.locking })
			if tc.updater {
				s.m = s.manager(session.Fixed(s.store.WithUpdater()), locking(tc.locking))
			}
			c := s.begin(`{}`)
			var wg sync.WaitGroup
			for client := range clients {
				wg.Go(func() {
					for range rounds {
						h, err := s.m.Open(t.Context(), session.Request{Credentials: []session.Credential{c}})
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
			if err := json.Unmarshal([]byte(s.data(c)), &got); err != nil || !tc.check(got) {
				t.Fatalf("data is %v (%v)", got, err)
			}
		})
	}
}

func countOwnKey(t *testing.T) func(int, []byte) session.Changes {
	return func(client int, data []byte) session.Changes {
		var m map[string]int
		_ = json.Unmarshal(data, &m)
		name := fmt.Sprint("k", client)
		return patch(t, fmt.Sprintf(`{%q:%d}`, name, m[name]+1))
	}
}

func countShared(t *testing.T) func(int, []byte) session.Changes {
	return func(_ int, data []byte) session.Changes {
		var m map[string]int
		_ = json.Unmarshal(data, &m)
		return patch(t, fmt.Sprintf(`{"n":%d}`, m["n"]+1))
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
		c := s.begin(`{}`)
		s.open(c).Rollback()
		s.commit(s.open(c), session.Changes{})
		s.commit(s.open(c), patch(t, `{"a":1}`))
		s.refused(s.open(c), add(t, `{"b":{"c":1},"a":9007199254740992}`), session.ErrBadWrite)
		out := s.commit(s.open(c), session.Changes{Regenerate: true})
		s.commit(s.open(c), session.Changes{}) // a replaced ticket
		s.commit(s.open(*out.Ticket), session.Changes{Destroy: true})
		s.commit(s.open(*out.Ticket), session.Changes{}) // an ended session
	})
	t.Run("busy", func(t *testing.T) {
		s := newSite(t, func(p *session.Policy) { p.Locking, p.Wait = session.Serialized, 0 })
		c := s.begin(`{}`)
		s.open(c)
		if _, err := s.m.Open(t.Context(), session.Request{Credentials: []session.Credential{c}}); !errors.Is(err, session.ErrLocked) {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("the next one sees what the first wrote", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, locking(session.Serialized))
			c := s.begin(`{}`)
			first := s.open(c)
			seen := make(chan string)
			go func() { seen <- s.data(c) }()
			synctest.Wait()
			s.commit(first, patch(t, `{"a":1}`))
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
		if _, err := session.NewManager("shop", p, session.Options{Backend: session.Fixed(nil), Mint: mint}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
