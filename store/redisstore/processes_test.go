package redisstore_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/redisstore"
)

// pair opens one store twice, as two processes do.
func pair(t *testing.T) [2]*redisstore.Store {
	t.Helper()
	s, o := fresh(t)
	return [2]*redisstore.Store{s, open(t, o)}
}

func toHook(string, store.EventKind) []string { return []string{"hook"} }

// woken expects a value of the channel.
func woken(t *testing.T, what string, filed <-chan struct{}) {
	t.Helper()
	select {
	case <-filed:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s has not woken the listener", what)
	}
}

// TestSweptOnce: of several processes that sweep one ends a session.
func TestSweptOnce(t *testing.T) {
	stores := pair(t)
	const n = 300
	var mu sync.Mutex
	times := make(map[store.Key]int)
	for _, s := range stores {
		s.Subscribe(toHook)
		s.Observe(func(e store.Ended) {
			mu.Lock()
			defer mu.Unlock()
			times[e.Key]++
		})
	}
	for i := range n {
		rec := record("x")
		rec.Idle = time.Minute
		key := store.Key{Manager: []string{"shop", "cart"}[i%2], ID: store.ID{byte(i), byte(i >> 8)}}
		if err := stores[i%2].Save(t.Context(), key, store.Write{Record: rec}, store.Create()); err != nil {
			t.Fatal(err)
		}
	}
	later := time.Now().Add(time.Hour)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for more := true; more; {
				var err error
				if _, more, err = stores[i%2].Sweep(t.Context(), later, 25); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if len(times) != n {
		t.Errorf("%d have ended, want %d", len(times), n)
	}
	for key, k := range times {
		if k != 1 {
			t.Errorf("%v ended %d times", key, k)
		}
	}
	if b, err := stores[0].Backlog(t.Context()); err != nil || len(b) != 1 || b[0].Waiting != n {
		t.Errorf("the backlog is %+v, %v", b, err)
	}
}

// TestSweepLooksAgain: a session that was used after it was found due lives on.
func TestSweepLooksAgain(t *testing.T) {
	s, _ := fresh(t)
	create(t, s, keyOf("shop", 1), "x")
	for _, id := range []byte{1, 2} { // the second one is gone
		if n, err := s.SweepSession(t.Context(), time.Now(), keyOf("shop", id)); n != 0 || err != nil {
			t.Fatalf("%d ended, %v", n, err)
		}
	}
	if _, err := s.Load(t.Context(), keyOf("shop", 1)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.SweepSession(t.Context(), time.Now().Add(time.Hour), keyOf("shop", 1)); n != 1 || err != nil {
		t.Fatalf("%d ended, %v", n, err)
	}
}

// TestLimitOverProcesses: however many sign in at once, wherever, no principal
// has too many sessions.
func TestLimitOverProcesses(t *testing.T) {
	stores := pair(t)
	var wg sync.WaitGroup
	for i := range byte(60) {
		wg.Go(func() {
			rec := record("x")
			rec.Principal = "alice"
			w := store.Write{Record: rec, Limit: store.Limit{Sessions: 3, Evict: true}}
			if err := stores[i%2].Save(t.Context(), keyOf("shop", i), w, store.Create()); err != nil {
				t.Error(err)
			}
			page, err := stores[i%2].Page(t.Context(), store.Query{Manager: "shop", Principal: "alice", Limit: 10})
			if err != nil || len(page.Sessions) > 3 {
				t.Errorf("%d sessions, %v", len(page.Sessions), err)
			}
		})
	}
	wg.Wait()
}

// TestLeaseOverProcesses: a lease is one for all processes.
func TestLeaseOverProcesses(t *testing.T) {
	stores := pair(t)
	mine, other := store.NewHolder(), store.NewHolder()
	if err := stores[0].Lease(t.Context(), keyOf("shop", 1), mine, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := stores[1].Lease(t.Context(), keyOf("shop", 1), other, time.Hour); !errors.Is(err, store.ErrLeased) {
		t.Fatalf("got %v", err)
	}
	if err := stores[0].Lease(t.Context(), keyOf("shop", 1), mine, 0); err != nil {
		t.Fatal(err)
	}
	if err := stores[1].Lease(t.Context(), keyOf("shop", 1), other, time.Hour); err != nil {
		t.Fatal(err)
	}
}

// TestTouchesReachOthers: access times that a process holds are seen by itself
// at once, and by others when it closes.
func TestTouchesReachOthers(t *testing.T) {
	s, o := fresh(t)
	other := open(t, o)
	key := keyOf("shop", 1)
	rec := create(t, s, key, "x")
	at := rec.Accessed.Add(time.Minute)
	for i := range 100 { // more than are held of one session
		if err := s.Touch(t.Context(), store.Touch{Key: key, Incarnation: rec.Incarnation, Accessed: at.Add(time.Duration(i) * time.Second)}); err != nil {
			t.Fatal(err)
		}
	}
	last := at.Add(99 * time.Second).UnixMilli()
	if got, err := s.Load(t.Context(), key); err != nil || got.Accessed.UnixMilli() != last {
		t.Fatalf("got %v, %v", got.Accessed, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := other.Load(t.Context(), key); err != nil || got.Accessed.UnixMilli() != last {
		t.Fatalf("got %v, %v", got.Accessed, err)
	}
}
