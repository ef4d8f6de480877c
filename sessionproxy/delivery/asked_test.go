package delivery_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/store"
)

// TestAnEventWhileAFailedStoreIsToBeAskedAgain: the store has failed, rollbacks
// keep the listener busy until it would have been asked again, and then an event
// comes. The store is asked all the same.
func TestAnEventWhileAFailedStoreIsToBeAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		e := &ear{answer: func(ctx context.Context, ev event.Event) error {
			if ev.Kind == event.Rollback {
				select {
				case <-free:
				case <-ctx.Done():
				}
			}
			return nil
		}}
		s := sessiontest.Subscription("ear", e, event.Rollback, event.Save)
		k := newKept(t, nil, s)
		defer k.use(s)()
		c := k.Begin(`{}`)
		var broken atomic.Bool
		broken.Store(true)
		k.Store.Before = func(op string, _ store.Key) error {
			if op == "deliveries" && broken.Load() {
				return errors.New("disk full")
			}
			return nil
		}
		k.start()
		defer k.close()
		synctest.Wait() // it has failed, and is to be asked again in a second
		broken.Store(false)
		const parallel = 8
		for range parallel {
			h := k.Open(c)
			k.Stage(h, sessiontest.MergePatch(t, `{"b":1}`))
			h.Rollback()
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		k.Commit(k.Open(c), sessiontest.MergePatch(t, `{"a":1}`))
		synctest.Wait()
		close(free)
		synctest.Wait()
		if heard := e.events(); len(heard) != parallel+1 || heard[parallel].Kind != event.Save {
			t.Errorf("heard %+v", heard)
		}
	})
}

// TestAWithdrawnDeliveryWhileTheStoreFails: it has a store that fails asked no
// sooner.
func TestAWithdrawnDeliveryWhileTheStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &ear{answer: func(ctx context.Context, _ event.Event) error { <-ctx.Done(); return ctx.Err() }}
		s := sessiontest.Subscription("ear", e, event.Create)
		after := sessiontest.Subscription("ear", new(ear), event.Create)
		k := newKept(t, nil, s)
		done := k.use(s)
		k.start()
		defer k.close()
		k.Begin(`{}`)
		synctest.Wait()
		if len(e.events()) != 1 {
			t.Fatal("no delivery is under way")
		}
		k.Store.Before = func(op string, _ store.Key) error {
			if op == "deliveries" {
				return errors.New("disk full")
			}
			return nil
		}
		k.Begin(`{}`)
		synctest.Wait()
		time.Sleep(100 * time.Millisecond) // less than it waits after a failure
		calls := k.Store.Calls("deliveries")
		defer k.use(after)()
		done()
		synctest.Wait()
		if got := k.Store.Calls("deliveries") - calls; got != 0 {
			t.Errorf("asked %d times before its time", got)
		}
	})
}
