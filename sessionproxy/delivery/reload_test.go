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
)

// TestReloads: an event is told by a listener that is there, or waits.
func TestReloads(t *testing.T) {
	t.Run("to another listener of that name, in the middle", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			slow := &ear{answer: func(ctx context.Context, _ event.Event) error { <-ctx.Done(); return ctx.Err() }}
			quick := new(ear)
			k := newKept(t, nil, sessiontest.Subscription("ear", slow, event.Create))
			done := k.use(sessiontest.Subscription("ear", slow, event.Create))
			k.start()
			defer k.close()
			k.Begin(`{}`)
			synctest.Wait()
			defer k.use(sessiontest.Subscription("ear", quick, event.Create))()
			k.Begin(`{}`)
			synctest.Wait()
			if a, b := slow.all(), quick.all(); a != "create" || b != "create" {
				t.Errorf("the old one heard %q, the new one %q", a, b)
			}
			done()
			synctest.Wait()
			if a, b := slow.all(), quick.events(); a != "" || len(b) != 1 || b[0].Attempt != 1 {
				t.Errorf("the old one heard %q, the new one %v", a, b)
			}
			if got := k.results(); got != "delivered, delivered" {
				t.Errorf("reported %s", got)
			}
		})
	})
	t.Run("to none, and back", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := new(ear)
			s := sessiontest.Subscription("ear", e, event.Create)
			k := newKept(t, nil, s)
			done := k.use(s)
			defer k.use()()
			k.start()
			defer k.close()
			synctest.Wait()
			done()
			k.Begin(`{}`) // by a request of the old configuration
			calls := k.Store.Calls("deliveries")
			time.Sleep(time.Hour)
			if got := k.Store.Calls("deliveries") - calls; got > 1 {
				t.Errorf("the store was asked %d times for nobody", got)
			}
			if got := e.all(); got != "" {
				t.Errorf("who is gone heard %q", got)
			}
			again := k.use(s)
			synctest.Wait()
			if got := e.all(); got != "create" {
				t.Errorf("who is back heard %q", got)
			}
			again()
			again()
		})
	})
	t.Run("to none, and back while it is still being told", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var inside, most atomic.Int64
			e := &ear{answer: func(ctx context.Context, _ event.Event) error {
				most.Store(max(most.Load(), inside.Add(1)))
				defer inside.Add(-1)
				<-ctx.Done()
				time.Sleep(time.Second) // it takes its time
				return ctx.Err()
			}}
			s := sessiontest.Subscription("ear", e, event.Create)
			k := newKept(t, nil, s)
			done := k.use(s)
			k.start()
			defer k.close()
			k.Begin(`{}`)
			synctest.Wait()
			done()
			synctest.Wait()
			defer k.use(s)()
			time.Sleep(10 * time.Second)
			if got := len(e.events()); got != 2 || most.Load() != 1 {
				t.Errorf("told %d times, %d at once", got, most.Load())
			}
		})
	})
	t.Run("while it fails", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := &ear{answer: func(context.Context, event.Event) error { return errors.New("no") }}
			s := sessiontest.Subscription("ear", e, event.Create)
			k := newKept(t, nil, s)
			done := k.use(s)
			k.start()
			defer k.close()
			k.Begin(`{}`)
			synctest.Wait()
			fixed := new(ear)
			defer k.use(sessiontest.Subscription("ear", fixed, event.Create))()
			done()
			time.Sleep(6 * time.Second)
			if got := fixed.events(); len(got) != 1 || got[0].Attempt != 2 {
				t.Errorf("heard %+v", got)
			}
		})
	})
}

// TestTheEndOfAService: what was told is noted, what was not is told by the
// next one, as if it had not been tried.
func TestTheEndOfAService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		slow.Store(true)
		e := &ear{answer: func(ctx context.Context, e event.Event) error {
			if slow.Load() {
				<-ctx.Done() // and one has heard it all the same
				if e.Kind == event.Save {
					return ctx.Err()
				}
			}
			return nil
		}}
		s := sessiontest.Subscription("ear", e, event.Create, event.Save)
		k := newKept(t, nil, s)
		defer k.use(s)()
		c := k.Begin(`{}`)
		k.start()
		synctest.Wait()
		k.close()
		k.Commit(k.Open(c), sessiontest.MergePatch(t, `{"a":1}`))
		k.start()
		synctest.Wait()
		k.close()
		calls := k.Store.Calls("deliveries") + k.Store.Calls("settle")
		k.Begin(`{}`)
		time.Sleep(time.Hour)
		if got := k.Store.Calls("deliveries") + k.Store.Calls("settle"); got != calls {
			t.Error("the store is used after the end")
		}
		if got := e.all(); got != "create, save a" {
			t.Errorf("heard %q", got)
		}
		slow.Store(false)
		k.start()
		defer k.close()
		synctest.Wait()
		heard := e.events() // of two sessions, in any order
		if len(heard) != 2 || heard[0].Attempt != 1 || heard[1].Attempt != 1 || heard[0].Kind == heard[1].Kind {
			t.Errorf("the next one tells %+v", heard)
		}
	})
}
