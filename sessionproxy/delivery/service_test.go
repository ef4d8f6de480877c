package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// TestTheSweepEndsWhatHasExpired, and tells its listeners, with the last data.
func TestTheSweepEndsWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(ear)
		s := sessiontest.Subscription("ear", e, event.Delete)
		k := newKept(t, nil, s)
		defer k.use(s)()
		k.start()
		defer k.close()
		idle := k.Begin(`{"file":"a.txt"}`)
		busy := k.Begin(`{"file":"b.txt"}`)
		for range 26 {
			time.Sleep(29 * time.Minute)
			if k.Open(busy).State() != session.Active {
				break
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := k.Store.Len(); got != 0 {
			t.Errorf("%d records are left", got)
		}
		heard := e.events()
		if len(heard) != 2 {
			t.Fatalf("heard %v", heard)
		}
		for i, want := range []struct {
			c      session.Credential
			reason store.Reason
			data   string
		}{{idle, store.Idle, `{"file":"a.txt"}`}, {busy, store.Absolute, `{"file":"b.txt"}`}} {
			got := heard[i]
			if got.Session != want.c.ID || got.Reason != want.reason || string(got.Data) != want.data || got.Kind != event.Delete ||
				got.Manager != "shop" || got.ID == "" || got.Attempt != 1 || got.Created.IsZero() || got.Expires.IsZero() || got.At.Before(got.Expires) {
				t.Errorf("heard %+v", got)
			}
		}
	})
}

// TestNothingEndsBeforeItIsKnownWhoListens
func TestNothingEndsBeforeItIsKnownWhoListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(ear)
		s := sessiontest.Subscription("ear", e, event.Delete)
		k := newKept(t, nil, s)
		k.Begin(`{}`)
		k.start()
		defer k.close()
		time.Sleep(48 * time.Hour)
		if k.Store.Len() != 1 {
			t.Error("a session was swept before anybody could be told")
		}
		done := k.use(s)
		synctest.Wait()
		if got := e.all(); got != "delete idle" {
			t.Errorf("heard %q", got)
		}
		k.Begin(`{}`)
		done()
		time.Sleep(48 * time.Hour)
		if k.Store.Len() != 1 {
			t.Error("a session was swept while there was no configuration")
		}
		defer k.node.Subscriptions.Add(nil)()
		synctest.Wait()
		if k.Store.Len() != 0 {
			t.Error("a configuration without listeners sweeps nothing")
		}
	})
}

func TestTheSweepTakesTurnsAndGoesOnAfterFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t, nil)
		for range 1000 {
			k.Begin(`{}`)
		}
		defer k.use()()
		time.Sleep(time.Hour)
		failing, broken := 5, errors.New("disk full")
		k.Store.Before = func(op string, _ store.Key) error {
			if op == "sweep" && failing > 0 {
				failing--
				return broken
			}
			return nil
		}
		k.start()
		synctest.Wait()
		if k.Store.Len() != 1000 || !strings.Contains(k.noted(), "disk full") {
			t.Error("a failure is not reported")
		}
		began := time.Now()
		for k.Store.Len() > 0 && time.Since(began) < time.Hour {
			time.Sleep(time.Second)
		}
		if got := k.Store.Calls("sweep"); got != 5+4 || time.Since(began) > 2*time.Minute {
			t.Errorf("%d calls in %v", got, time.Since(began))
		}
		before := k.Store.Calls("sweep")
		k.service.SweepEvery(time.Hour)
		k.service.SweepEvery(time.Second)() // of a configuration that fails to load
		time.Sleep(30 * time.Minute)
		if got := k.Store.Calls("sweep") - before; got > 3 {
			t.Errorf("swept %d times in half an interval", got)
		}
		k.service.SweepEvery(time.Second)
		time.Sleep(time.Minute)
		if got := k.Store.Calls("sweep") - before; got < 60 {
			t.Errorf("swept %d times", got)
		}
		k.close()
		before = k.Store.Calls("sweep")
		time.Sleep(time.Hour)
		if k.Store.Calls("sweep") != before {
			t.Error("it goes on after the end")
		}
	})
}

// TestWhatWaited: what was filed before the service was started is told, that
// of one session in order.
func TestWhatWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(ear)
		s := sessiontest.Subscription("ear", e, sessiontest.AllKinds...)
		k := newKept(t, nil, s)
		c := k.Begin(`{}`)
		k.Commit(k.Open(c), sessiontest.MergePatch(t, `{"a":1}`))
		k.Commit(k.Open(c), sessiontest.MergePatch(t, `{"b":1}`))
		c = *k.Commit(k.Open(c), change.Changes{Regenerate: true}).Ticket
		k.Commit(k.Open(c), change.Changes{Destroy: true})
		defer k.use(s)()
		k.start()
		defer k.close()
		synctest.Wait()
		if got := e.all(); got != "create, save a, save b, rotate, delete destroyed" {
			t.Errorf("heard %q", got)
		}
		if waiting, err := k.Store.Backlog(t.Context()); err != nil || len(waiting) != 0 {
			t.Errorf("left: %+v, %v", waiting, err)
		}
		time.Sleep(time.Hour)
		k.Begin(`{}`) // what is filed later wakes it
		synctest.Wait()
		if got := e.all(); got != "create" {
			t.Errorf("heard %q", got)
		}
	})
}

// TestManyEvents: all are told, those of one session in order and one at a
// time, those of others beside them, and whatever fails now and then.
func TestManyEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sessions, saves = 100, 5
		var mu sync.Mutex
		at, most := make(map[store.ID]bool), 0
		tries := 0
		var order = make(map[store.ID][]string)
		e := &ear{answer: func(ctx context.Context, ev event.Event) error {
			mu.Lock()
			if at[ev.Session] {
				t.Error("two events of one session at once")
			}
			at[ev.Session] = true
			most = max(most, len(at))
			tries++
			failing := tries%7 == 0
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			delete(at, ev.Session)
			if failing {
				return errors.New("not now")
			}
			order[ev.Session] = append(order[ev.Session], sessiontest.Words(string(ev.Kind), "", ev.Keys))
			return nil
		}}
		s := sessiontest.Subscription("ear", e, event.Create, event.Save)
		k := newKept(t, nil, s)
		defer k.use(s)()
		k.start()
		var creds []session.Credential
		want := []string{"create"}
		for range sessions {
			creds = append(creds, k.Begin(`{}`))
		}
		for i := range saves {
			want = append(want, fmt.Sprintf("save k%d", i))
			for _, c := range creds {
				k.Commit(k.Open(c), sessiontest.MergePatch(t, fmt.Sprintf(`{"k%d":1}`, i)))
			}
		}
		time.Sleep(time.Hour)
		k.close()
		for _, c := range creds {
			if !slices.Equal(order[c.ID], want) {
				t.Fatalf("one session heard %q", order[c.ID])
			}
		}
		if most != 8 {
			t.Errorf("%d at once", most)
		}
	})
}
