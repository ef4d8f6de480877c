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
