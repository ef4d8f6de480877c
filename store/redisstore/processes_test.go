package redisstore_test

import (
	"errors"
	"fmt"
	"strconv"
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

// TestWokenByAnother: what one process stores is delivered by another one, also
// after its connection was lost.
func TestWokenByAnother(t *testing.T) {
	s, o := fresh(t)
	other := open(t, o)
	s.Subscribe(toHook)
	filed := other.Filed("hook")
	end := func(id byte) {
		t.Helper()
		create(t, s, keyOf("shop", id), "x")
		if err := s.Delete(t.Context(), keyOf("shop", id), store.Revoked); err != nil {
			t.Fatal(err)
		}
	}
	woken(t, "the beginning of the subscription", filed)
	end(1)
	woken(t, "a delete", filed)
	due, _, err := other.Deliveries(t.Context(), "hook", 10)
	if err != nil || len(due) != 1 || string(due[0].Data) != "x" {
		t.Fatalf("got %+v, %v", due, err)
	}
	if err := other.Settle(t.Context(), store.Settlement{ID: due[0].ID, Dead: true}); err != nil {
		t.Fatal(err)
	}
	c := admin(t, o.Address)
	if err := c.Do(t.Context(), c.B().Arbitrary("CLIENT", "KILL", "TYPE", "pubsub").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	woken(t, "the return of the connection", filed)
	// The other one retries a dead letter that it has not seen itself.
	third := open(t, o)
	if err := third.RetryDeadLetter(t.Context(), due[0].ID); err != nil {
		t.Fatal(err)
	}
	woken(t, "a retry", filed)
	if err := third.Settle(t.Context(), store.Settlement{ID: due[0].ID, Delivered: true}); err != nil {
		t.Fatal(err)
	}
	if due, _, err := s.Deliveries(t.Context(), "hook", 10); err != nil || len(due) > 0 {
		t.Fatalf("got %+v, %v", due, err)
	}
}

// TestHotSession: changes of two processes to one session are all there, and
// those of one process share saves.
func TestHotSession(t *testing.T) {
	stores := pair(t)
	key := keyOf("shop", 1)
	first := create(t, stores[0], key, "0")
	const clients, rounds = 16, 10
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for range rounds {
				_, err := stores[i%2].Update(t.Context(), key, func(rec store.Record) (store.Write, error) {
					n, err := strconv.Atoi(string(rec.Data))
					rec.Data, rec.Version = []byte(strconv.Itoa(n+1)), rec.Version.Next()
					return store.Write{Record: rec, Events: []store.Event{{Kind: store.EventSaved}}}, err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	rec, err := stores[1].Load(t.Context(), key)
	if err != nil || string(rec.Data) != strconv.Itoa(clients*rounds) || rec.Version.Counter != first.Version.Counter+clients*rounds {
		t.Fatalf("got %s, version %v, %v", rec.Data, rec.Version, err)
	}
}

// TestUpdatesApart: of changes that are saved together each one has its own
// outcome and its own record.
func TestUpdatesApart(t *testing.T) {
	s, _ := fresh(t)
	key := keyOf("shop", 1)
	create(t, s, key, "x")
	alice := record("y")
	alice.Principal = "alice"
	if err := s.Save(t.Context(), keyOf("shop", 2), store.Write{Record: alice}, store.Create()); err != nil {
		t.Fatal(err)
	}
	mine := errors.New("mine")
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			defer func() {
				if p := recover(); (p != nil) != (i%10 == 3) {
					t.Errorf("%d: panicked with %v", i, p)
				}
			}()
			text := fmt.Sprint("data ", i)
			rec, err := s.Update(t.Context(), key, func(rec store.Record) (store.Write, error) {
				switch i % 10 {
				case 1:
					return store.Write{}, mine
				case 2:
					rec.Principal = "alice" // this one has all the sessions that it may have
				case 3:
					panic("of the change")
				}
				rec.Data, rec.Version = []byte(text), rec.Version.Next()
				return store.Write{Record: rec, Limit: store.Limit{Sessions: 1}}, nil
			})
			want := map[int]error{1: mine, 2: store.ErrLimit}[i%10]
			if !errors.Is(err, want) || want == nil && string(rec.Data) != text {
				t.Errorf("%d: got %s, %v", i, rec.Data, err)
			}
		})
	}
	wg.Wait()
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

// TestPendingOverManagers: the limit of what waits for a listener counts what
// waits for it in all managers, as last seen.
func TestPendingOverManagers(t *testing.T) {
	s, _ := fresh(t)
	s.Subscribe(toHook)
	s.LimitPending("hook", 3)
	for i := range byte(5) {
		key := keyOf([]string{"shop", "cart"}[i%2], i)
		create(t, s, key, "x")
		if err := s.Delete(t.Context(), key, store.Revoked); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Deliveries(t.Context(), "hook", 1); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := s.Backlog(t.Context()); err != nil || len(b) != 1 || b[0].Waiting != 3 || b[0].Dead != 2 || b[0].Overflowed != 2 {
		t.Fatalf("got %+v, %v", b, err)
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
