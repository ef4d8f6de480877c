package badgerstore

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/sessionproxy/sessionproxy/store"
)

func TestCloseWaitsAndLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	s := open(t, t.TempDir(), nil)
	rec := create(t, s, keyOf(1), "x")
	inside, gate := make(chan struct{}), make(chan struct{})
	updated, closed := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := s.Update(context.Background(), keyOf(1), func(r store.Record) (store.Write, error) {
			close(inside)
			<-gate
			r.Version = rec.Version.Next()
			return store.Write{Record: r}, nil
		})
		updated <- err
	}()
	<-inside
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		t.Fatalf("closed under a call: %v", err)
	default:
	}
	close(gate)
	if err := errors.Join(<-updated, <-closed); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err == nil {
		t.Fatal("closing twice is no error")
	}
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
		runtime.GC() // gives the others time without a sleep
	}
	t.Fatalf("%d goroutines, there were %d", runtime.NumGoroutine(), before)
}

func TestCallsRacingWithClose(t *testing.T) {
	s := open(t, t.TempDir(), func(o *Options) { o.CacheBytes = 1 })
	for i := range 50 {
		create(t, s, keyOf(byte(i)), "x")
	}
	var wg sync.WaitGroup
	started := make(chan struct{}, 8)
	for range 8 {
		wg.Go(func() {
			for first := true; ; first = false {
				_, err := s.Load(context.Background(), keyOf(3))
				for _, listErr := range s.List(context.Background(), "shop", store.ID{}) {
					err = errors.Join(err, listErr)
				}
				if first {
					started <- struct{}{}
				}
				if err != nil {
					if !errors.Is(err, store.ErrUnavailable) {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	for range 8 {
		<-started
	}
	shut(t, s)
	wg.Wait()
}
