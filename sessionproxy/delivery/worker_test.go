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

// TestAListenerThatFails is told again, the more rarely the more often it
// fails, and not any more after three days, until an operator asks for it.
func TestAListenerThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var working atomic.Bool
		e := &ear{answer: func(context.Context, event.Event) error {
			if working.Load() {
				return nil
			}
			return errors.New("no answer " + strings.Repeat("é", 200))
		}}
		s := sessiontest.Subscription("ear", e, event.Create, event.Delete)
		k := newKept(t, nil, s)
		defer k.use(s)()
		k.start()
		defer k.close()
		c := k.Begin(`{}`)
		time.Sleep(7 * 24 * time.Hour)
		synctest.Wait()
		want := []time.Duration{
			5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
			3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 24 * time.Hour,
		}
		var first []time.Time // of the first event; the second one waits for it
		for i, ev := range e.events() {
			if ev.Kind == event.Create {
				if first = append(first, e.at[i]); ev.Attempt != len(first) {
					t.Errorf("attempt %d is the %dth", ev.Attempt, len(first))
				}
			} else if len(first) != len(want)+1 {
				t.Fatal("the end was told before the beginning")
			}
		}
		if len(first) != len(want)+1 {
			t.Fatalf("told %d times", len(first))
		}
		for i, d := range want {
			got := first[i+1].Sub(first[i])
			if got < d-d/10 || got > d+d/10+time.Second {
				t.Errorf("after attempt %d it waited %v, not about %v", i+1, got, d)
			}
		}
		dead := k.dead()
		if len(dead) != 2 || dead[0].Attempts != len(want)+1 || len(dead[0].Error) > store.MaxDeliveryError || !strings.HasPrefix(dead[0].Error, "no answer é") {
			t.Fatalf("dead letters: %+v", dead)
		}
		for _, c := range dead[0].Error {
			if c == '\uFFFD' {
				t.Error("a character was cut in two")
			}
		}
		last := k.attempts[len(k.attempts)-1]
		if last.Result != delivery.Dead || last.Err == nil || last.Session != c.ID || last.Kind != event.Delete || last.Lag < 48*time.Hour {
			t.Errorf("reported %+v", last)
		}
		working.Store(true)
		e.all()
		for _, d := range dead {
			if err := k.Store.RetryDeadLetter(t.Context(), d.ID); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := e.all(); got != "create, delete idle" {
			t.Errorf("revived, it hears %q", got)
		}
	})
}

func TestAListenerThatFailsForGood(t *testing.T) {
	for _, tc := range []struct {
		name    string
		answer  func(context.Context, event.Event) error
		results string
		text    string
	}{
		{"hopeless", func(context.Context, event.Event) error {
			return errors.Join(errors.New("no such file"), event.ErrPermanent)
		},
			"dead, delivered", "no such file"},
		{"a panic of the runtime", func(_ context.Context, e event.Event) error { return []error{}[len(e.ID)] },
			"retried", "index out of range"},
		{"a panic of its own", func(context.Context, event.Event) error { panic("with a secret") },
			"retried", "panicked with a string"},
		{"too slow", func(ctx context.Context, _ event.Event) error { <-ctx.Done(); return ctx.Err() },
			"retried", "deadline exceeded"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &ear{answer: func(ctx context.Context, e event.Event) error {
					if e.Kind == event.Save {
						return nil
					}
					return tc.answer(ctx, e)
				}}
				other := new(ear)
				subs := []event.Subscription{sessiontest.Subscription("ear", e, sessiontest.AllKinds...), sessiontest.Subscription("other", other, sessiontest.AllKinds...)}
				k := newKept(t, nil, subs...)
				defer k.use(subs...)()
				c := k.Begin(`{}`)
				k.Commit(k.Open(c), sessiontest.MergePatch(t, `{"a":1}`))
				k.start()
				defer k.close()
				synctest.Wait()
				if got := other.all(); got != "create, save a" {
					t.Errorf("another listener heard %q", got)
				}
				time.Sleep(31 * time.Second)
				synctest.Wait()
				k.attempts = slicesOf(k.attempts, "ear")
				if k.attempts[0].Err == nil || !strings.Contains(k.attempts[0].Err.Error(), tc.text) || strings.Contains(k.attempts[0].Err.Error(), "secret") {
					t.Errorf("reported %v", k.attempts[0].Err)
				}
				if got := k.results(); !strings.HasPrefix(got, tc.results) {
					t.Errorf("got %s", got)
				}
			})
		})
	}
}

func slicesOf(all []delivery.Attempt, listener string) (own []delivery.Attempt) {
	for _, t := range all {
		if t.Listener == listener {
			own = append(own, t)
		}
	}
	return own
}

func TestAFailureHoldsUpItsOwnSessionAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bad atomic.Pointer[store.ID]
		e := &ear{answer: func(_ context.Context, ev event.Event) error {
			if id := bad.Load(); id != nil && *id == ev.Session {
				return errors.New("not this one")
			}
			return nil
		}}
		s := sessiontest.Subscription("ear", e, event.Create, event.Save)
		k := newKept(t, nil, s)
		defer k.use(s)()
		k.start()
		defer k.close()
		h := k.Open()
		id := h.ID()
		bad.Store(&id)
		c := *k.Commit(h, sessiontest.MergePatch(t, `{"x":0}`)).Ticket
		k.Commit(k.Open(c), sessiontest.MergePatch(t, `{"a":1}`))
		synctest.Wait()
		if got := e.all(); got != "create" {
			t.Errorf("heard %q", got)
		}
		good := k.Begin(`{}`)
		k.Commit(k.Open(good), sessiontest.MergePatch(t, `{"b":1}`))
		synctest.Wait()
		if got := e.all(); got != "create, save b" {
			t.Errorf("heard %q", got)
		}
		bad.Store(nil)
		time.Sleep(6 * time.Second)
		if got := e.all(); got != "create, save a" {
			t.Errorf("heard %q", got)
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
