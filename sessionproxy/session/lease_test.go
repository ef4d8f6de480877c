package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/lock"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// fleet is several processes, as far as a session can tell: managers with
// locks of their own, on one store. It lives in a bubble.
type fleet struct {
	t      *testing.T
	store  *memstore.Leasing
	places []*session.Manager
	dead   []atomic.Bool // this process's calls about leases do not get through
	mute   atomic.Bool
	cred   session.Credential
}

// cutOff is the store as one process sees it.
type cutOff struct {
	*memstore.Leasing
	dead *atomic.Bool
	mute *atomic.Bool // what it takes is taken, but it is not told
}

func (c cutOff) Lease(ctx context.Context, key store.Key, holder uint64, ttl time.Duration) error {
	if c.dead.Load() {
		return store.ErrUnavailable
	}
	err := c.Leasing.Lease(ctx, key, holder, ttl)
	if err == nil && ttl > 0 && c.mute.Load() {
		return store.ErrUnknown
	}
	return err
}

func inFleet(t *testing.T, leases bool, change func(*session.Policy), test func(*testing.T, *fleet)) {
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{t: t, store: memstore.New(time.Now).WithLeases(), dead: make([]atomic.Bool, 2)}
		policy := session.DefaultPolicy()
		policy.Locking, policy.Wait, policy.Queue = session.Serialized, 30*time.Second, 100
		if change != nil {
			change(&policy)
		}
		for i := range f.dead {
			var st store.Store = f.store.Store
			if leases {
				st = cutOff{f.store, &f.dead[i], &f.mute}
			}
			m, err := session.NewManager("shop", policy, session.Options{Provider: session.Fixed(st), NewCredential: sessiontest.Credential})
			if err != nil {
				t.Fatal(err)
			}
			f.places = append(f.places, m)
		}
		h, err := f.places[0].Open(t.Context(), session.Request{})
		if err != nil {
			t.Fatal(err)
		}
		out, err := h.Commit(t.Context(), replace(`{"n":0}`))
		if err != nil {
			t.Fatal(err)
		}
		f.cred = *out.Ticket
		test(t, f)
	})
}

func (f *fleet) open(place int) (*session.Session, error) {
	return f.places[place].Open(f.t.Context(), session.Request{Credentials: []session.Credential{f.cred}})
}

func (f *fleet) mustOpen(place int) *session.Session {
	f.t.Helper()
	h, err := f.open(place)
	if err != nil {
		f.t.Fatal(err)
	}
	return h
}

// A lock that was lost, or never held in common, loses nothing: the version
// refuses the second commit.
func TestALostLockIsRefusedByTheVersion(t *testing.T) {
	inFleet(t, false, nil, func(t *testing.T, f *fleet) {
		one, two := f.mustOpen(0), f.mustOpen(1)
		if _, err := two.Commit(t.Context(), sessiontest.MergePatch(t, `{"n":2}`)); err != nil {
			t.Fatal(err)
		}
		if _, err := one.Commit(t.Context(), sessiontest.MergePatch(t, `{"n":1}`)); !errors.Is(err, change.ErrConflict) {
			t.Fatalf("got %v", err)
		}
	})
}

func TestProcessesTakeTurns(t *testing.T) {
	inFleet(t, true, nil, func(t *testing.T, f *fleet) {
		var wg sync.WaitGroup
		for place := range f.places {
			for range 4 {
				wg.Go(func() {
					for range 10 {
						h := f.mustOpen(place)
						n := 0
						if _, err := fmt.Sscanf(string(h.Data()), `{"n":%d}`, &n); err != nil {
							t.Errorf("%s: %v", h.Data(), err)
						}
						<-time.After(time.Millisecond)
						if _, err := h.Commit(t.Context(), sessiontest.MergePatch(t, fmt.Sprintf(`{"n":%d}`, n+1))); err != nil {
							t.Errorf("place %d: %v", place, err)
						}
					}
				})
			}
		}
		wg.Wait()
		h := f.mustOpen(0)
		defer h.Rollback()
		if string(h.Data()) != `{"n":80}` {
			t.Fatalf("data is %s", h.Data())
		}
	})
}

func TestLeases(t *testing.T) {
	for _, tc := range []struct {
		name string
		test func(t *testing.T, f *fleet)
	}{
		{"a rollback gives it back", func(t *testing.T, f *fleet) {
			f.mustOpen(0).Rollback()
			begin := time.Now()
			f.mustOpen(1).Rollback()
			if took := time.Since(begin); took != 0 {
				t.Errorf("it took %v", took)
			}
		}},
		{"it lasts as long as its request", func(t *testing.T, f *fleet) {
			h := f.mustOpen(0)
			begin := time.Now()
			if _, err := f.open(1); !errors.Is(err, lock.ErrLocked) || time.Since(begin) != 30*time.Second {
				t.Errorf("got %v after %v", err, time.Since(begin))
			}
			<-time.After(time.Hour / 4)
			if _, err := f.open(1); !errors.Is(err, lock.ErrLocked) {
				t.Errorf("got %v", err)
			}
			if _, err := h.Commit(t.Context(), sessiontest.MergePatch(t, `{"n":1}`)); err != nil {
				t.Errorf("its commit: %v", err)
			}
		}},
		{"and no longer", func(t *testing.T, f *fleet) {
			h := f.mustOpen(0)
			h.Rollback()
			before := f.store.Calls("lease")
			<-time.After(time.Hour)
			if after := f.store.Calls("lease"); after != before {
				t.Errorf("%d calls for a lease that was given back", after-before)
			}
		}},
		{"of a process that died", func(t *testing.T, f *fleet) {
			h := f.mustOpen(0)
			f.dead[0].Store(true)
			begin := time.Now()
			two := f.mustOpen(1)
			if took := time.Since(begin); took < 5*time.Second || took > 11*time.Second {
				t.Errorf("it took %v", took)
			}
			if _, err := two.Commit(t.Context(), sessiontest.MergePatch(t, `{"n":2}`)); err != nil {
				t.Errorf("the second holder: %v", err)
			}
			if _, err := h.Commit(t.Context(), sessiontest.MergePatch(t, `{"n":1}`)); !errors.Is(err, change.ErrConflict) {
				t.Errorf("the first holder: %v", err)
			}
			f.dead[0].Store(false)
			h = f.mustOpen(0)
			if string(h.Data()) != `{"n":2}` {
				t.Errorf("data is %s", h.Data())
			}
			h.Rollback()
		}},
		{"that was lost is not taken back", func(t *testing.T, f *fleet) {
			h := f.mustOpen(0)
			f.dead[0].Store(true)
			two := f.mustOpen(1)
			f.dead[0].Store(false)
			<-time.After(time.Minute)
			if _, err := two.Commit(t.Context(), sessiontest.MergePatch(t, `{"n":2}`)); err != nil {
				t.Errorf("who has it: %v", err)
			}
			<-time.After(time.Minute)
			begin := time.Now()
			f.mustOpen(1).Rollback()
			if took := time.Since(begin); took != 0 {
				t.Errorf("it took %v", took)
			}
			if _, err := h.Commit(t.Context(), add(t, `{"n":5}`)); err != nil {
				t.Errorf("an addition needs no lock: %v", err)
			}
		}},
		{"that cannot be asked for", func(t *testing.T, f *fleet) {
			f.dead[0].Store(true)
			if _, err := f.open(0); !errors.Is(err, session.ErrUnavailable) {
				t.Errorf("got %v", err)
			}
			f.dead[0].Store(false)
			f.mustOpen(0).Rollback()
		}},
		{"of which nobody knows whether it was given", func(t *testing.T, f *fleet) {
			f.mute.Store(true)
			if _, err := f.open(0); !errors.Is(err, session.ErrUnavailable) {
				t.Errorf("got %v", err)
			}
			f.mute.Store(false)
			begin := time.Now()
			f.mustOpen(1).Rollback()
			if took := time.Since(begin); took != 0 {
				t.Errorf("it was left to run out: %v", took)
			}
		}},
		{"whose waiter leaves", func(t *testing.T, f *fleet) {
			h := f.mustOpen(0)
			ctx, leave := context.WithCancel(t.Context())
			got := make(chan error)
			go func() {
				_, err := f.places[1].Open(ctx, session.Request{Credentials: []session.Credential{f.cred}})
				got <- err
			}()
			<-time.After(time.Second)
			leave()
			if err := <-got; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			h.Rollback()
			f.mustOpen(1).Rollback()
		}},
		{"of a write in a stream", func(t *testing.T, f *fleet) {
			h := f.mustOpen(0)
			if _, err := h.Commit(t.Context(), change.Changes{}); err != nil {
				t.Fatal(err)
			}
			late, err := h.ReopenLocked(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.open(1); !errors.Is(err, lock.ErrLocked) {
				t.Errorf("got %v", err)
			}
			late.Rollback()
			f.mustOpen(1).Rollback()
		}},
	} {
		t.Run(strings.ReplaceAll(tc.name, " ", "_"), func(t *testing.T) { inFleet(t, true, nil, tc.test) })
	}
	t.Run("asked_for_once", func(t *testing.T) {
		inFleet(t, true, func(p *session.Policy) { p.Wait = 0 }, func(t *testing.T, f *fleet) {
			h := f.mustOpen(0)
			begin := time.Now()
			if _, err := f.open(1); !errors.Is(err, lock.ErrLocked) || time.Since(begin) != 0 {
				t.Errorf("got %v after %v", err, time.Since(begin))
			}
			h.Rollback()
		})
	})
}
