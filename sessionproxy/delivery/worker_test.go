package delivery_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/delivery"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/store"
)

// results returns what was reported of attempts since the last call.
func (k *kept) results() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []string
	for _, t := range k.attempts {
		all = append(all, string(t.Result))
	}
	k.attempts = nil
	return strings.Join(all, ", ")
}

func (k *kept) dead() []store.Delivery {
	k.T.Helper()
	dead, err := k.Store.DeadLetters(k.T.Context(), "", 100)
	if err != nil {
		k.T.Fatal(err)
	}
	return dead
}

// TestAListenerWithTooMuchBefore it: what is beyond its bound is a dead letter
// at once, and is delivered when an operator asks for it.
func TestAListenerWithTooMuchBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var working atomic.Bool
		e := &ear{answer: func(context.Context, event.Event) error {
			if working.Load() {
				return nil
			}
			return errors.New("no answer")
		}}
		s := sessiontest.Subscription("ear", e, event.Create)
		s.MaxPending = 2
		k := newKept(t, nil, s)
		defer k.use(s)()
		k.start()
		defer k.close()
		synctest.Wait()
		for range 5 {
			k.Begin(`{}`)
		}
		dead := k.dead()
		if len(dead) != 3 || dead[0].Error != store.ErrorOverflow || dead[0].Attempts != 0 {
			t.Fatalf("dead letters: %+v", dead)
		}
		working.Store(true)
		for _, d := range dead {
			if err := k.Store.RetryDeadLetter(t.Context(), d.ID); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(k.attempts); len(k.dead()) > 0 || k.attempts[n-1].Result != delivery.Delivered {
			t.Errorf("dead are %+v after %d attempts", k.dead(), n)
		}
	})
}

// TestAListenerThatHangs and does not even care about its context: it blocks
// neither other listeners, nor the sweep, nor a reload, nor the shutdown.
func TestAListenerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		defer close(free)
		stuck := &ear{answer: func(context.Context, event.Event) error { <-free; return nil }}
		other, successor := new(ear), new(ear)
		subs := []event.Subscription{sessiontest.Subscription("stuck", stuck, sessiontest.AllKinds...), sessiontest.Subscription("other", other, sessiontest.AllKinds...)}
		k := newKept(t, nil, subs...)
		done := k.use(subs...)
		k.start()
		for range 20 {
			k.Begin(`{}`)
		}
		synctest.Wait()
		if got := len(stuck.events()); got != 8 {
			t.Errorf("%d at once", got)
		}
		time.Sleep(36 * time.Second)
		if got := k.noted(); strings.Count(got, "hanging stuck") != 8 {
			t.Errorf("reported %q", got)
		}
		time.Sleep(time.Hour)
		if got := other.all(); strings.Count(got, "create") != 20 || strings.Count(got, "delete idle") != 20 {
			t.Errorf("the other one heard %q", got)
		}
		if k.Store.Len() != 0 {
			t.Error("the sweep was held up")
		}
		if got := len(stuck.events()); got != 8 {
			t.Errorf("told %d more", got-8)
		}
		began := time.Now()
		// The next configuration has a listener of that name which works.
		next := k.use(sessiontest.Subscription("stuck", successor, sessiontest.AllKinds...), subs[1])
		done()
		if took := time.Since(began); took != 0 {
			t.Errorf("the reload took %v", took)
		}
		time.Sleep(6 * time.Second)
		if got := successor.all(); strings.Count(got, "create") != 20 || strings.Count(got, "delete idle") != 20 {
			t.Errorf("its successor heard %q", got)
		}
		k.use(subs...)
		next()
		k.Begin(`{}`)
		synctest.Wait()
		began = time.Now()
		if err := k.service.Close(); err == nil || !strings.Contains(err.Error(), "stuck did not return") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the end took %v", took)
		}
	})
}

// TestAStoreInTrouble: nothing is lost, nothing is told twice without need,
// and the worker does not spin.
func TestAStoreInTrouble(t *testing.T) {
	for _, op := range []string{"deliveries", "settle"} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := new(ear)
				s := sessiontest.Subscription("ear", e, event.Create, event.Save)
				k := newKept(t, nil, s)
				defer k.use(s)()
				var broken atomic.Bool
				broken.Store(true)
				k.Store.Before = func(o string, _ store.Key) error {
					if o == op && broken.Load() {
						return errors.New("disk full")
					}
					return nil
				}
				c := k.Begin(`{}`)
				k.start()
				defer k.close()
				time.Sleep(10 * time.Minute)
				k.Commit(k.Open(c), sessiontest.MergePatch(t, `{"a":1}`))
				time.Sleep(10 * time.Minute)
				if got := k.Store.Calls(op); got > 40 {
					t.Errorf("tried %d times in 20 minutes", got)
				}
				if got := k.noted(); !strings.Contains(got, "disk full") {
					t.Errorf("reported %q", got)
				}
				broken.Store(false)
				time.Sleep(2 * time.Minute)
				if got := e.all(); got != "create, save a" {
					t.Errorf("heard %q", got)
				}
				if waiting, err := k.Store.Backlog(t.Context()); err != nil || len(waiting) != 0 {
					t.Errorf("left: %+v, %v", waiting, err)
				}
			})
		})
	}
}

// TestRollbacksReachListeners once, out of a queue that has an end.
func TestRollbacksReachListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		e := &ear{answer: func(ctx context.Context, _ event.Event) error {
			select {
			case <-free:
				return errors.New("not today")
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		s, none := sessiontest.Subscription("ear", e, event.Rollback), sessiontest.Subscription("none", new(ear), event.Create)
		k := newKept(t, nil, s, none)
		done := k.use(s, none)
		k.start()
		c := k.Begin(`{}`)
		synctest.Wait()
		const lost = 3
		for range 8 + 64 + lost {
			h := k.Open(c)
			k.Stage(h, sessiontest.MergePatch(t, `{"a":1}`))
			h.Rollback()
			synctest.Wait()
		}
		if got := k.noted(); strings.Count(got, "lost ear") != lost || strings.Contains(got, "none") {
			t.Errorf("reported %q", got)
		}
		close(free)
		synctest.Wait()
		if len(e.events()) != 8+64 {
			t.Errorf("heard %d", len(e.events()))
		}
		if got := e.events()[0]; got.Kind != event.Rollback || got.Session != c.ID || got.ID != "" || got.Attempt != 1 || got.At.IsZero() {
			t.Errorf("heard %+v", got)
		}
		if got := k.results(); strings.Count(got, "dropped") != 8+64 {
			t.Errorf("reported %s", got)
		}
		done()
		synctest.Wait()
		k.Open(c).RollbackAll()
		synctest.Wait()
		if len(e.events()) != 8+64 {
			t.Error("who is gone hears of a rollback")
		}
		k.close()
	})
}

// TestABacklogIsToldInItsTime: what a sweep leaves behind does not take all of
// the processor; what is little is told at once.
func TestABacklogIsToldInItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(ear)
		s := sessiontest.Subscription("ear", e, event.Create)
		k := newKept(t, nil, s)
		const many = 1000
		for range many {
			k.Begin(`{}`)
		}
		defer k.use(s)()
		k.start()
		defer k.close()
		synctest.Wait()
		if n := len(e.events()); n == 0 || n > 100 {
			t.Errorf("%d are told at once", n)
		}
		began := time.Now()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := len(e.events()); n != many {
			t.Fatalf("%d of %d are told", n, many)
		}
		if took := e.at[many-1].Sub(began); took < 400*time.Millisecond || took > time.Second {
			t.Errorf("the last one is told after %v", took)
		}
	})
}
