package redisstore_test

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/sessionproxy/sessionproxy/store"
)

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
