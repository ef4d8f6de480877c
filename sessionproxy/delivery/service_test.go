package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/delivery"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// kept is a store with a delivery service, in a bubble of synctest. What is reported is
// noted.
type kept struct {
	*sessiontest.Site
	node    *session.Node
	service *delivery.Service
	ahead   atomic.Int64 // of the wall clock

	mu       sync.Mutex
	attempts []delivery.Attempt
	notes    []string
}

// now is the wall clock, which a test may set.
func (k *kept) now() time.Time { return time.Now().Add(time.Duration(k.ahead.Load())) }

// newKept returns a site whose manager has the subscriptions, which are
// declared to the store, with a service that is not started.
func newKept(t *testing.T, change func(*session.Policy), subs ...event.Subscription) *kept {
	t.Helper()
	k := &kept{Site: &sessiontest.Site{T: t}}
	k.Store = memstore.New(k.now)
	provider := session.Fixed(k.Store)
	var err error
	if _, k.node, err = provider.Acquire(); err != nil {
		t.Fatal(err)
	}
	k.Manager = sessiontest.NewManager(t, change, session.Options{Provider: provider, Now: k.now, Listeners: subs})
	k.node.Subscriptions.Declare(map[string][]event.Subscription{"shop": subs})
	return k
}

func (k *kept) start() {
	k.T.Helper()
	k.service = delivery.Start(k.node.Features, k.node.Subscriptions, k.node.Events, delivery.Options{
		Now: k.now, Observer: delivery.Observer{
			Attempted: func(t delivery.Attempt) {
				k.mu.Lock()
				defer k.mu.Unlock()
				k.attempts = append(k.attempts, t)
			},
			Dropped:     func(listener string) { k.note("lost " + listener) },
			Stuck:       func(listener string) { k.note("hanging " + listener) },
			ClockJumped: func(by, hold time.Duration) { k.note(fmt.Sprintf("clock %v, held %v", by, hold)) },
			Failed:      func(doing string, err error) { k.note(fmt.Sprintf("%s: %v", doing, err)) },
		},
	})
}

func (k *kept) note(what string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.notes = append(k.notes, what)
}

func (k *kept) noted() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	notes := strings.Join(k.notes, ", ")
	k.notes = nil
	return notes
}

// close stops the service, which must be quick.
func (k *kept) close() {
	k.T.Helper()
	if err := k.service.Close(); err != nil {
		k.T.Error(err)
	}
}

func (k *kept) use(subs ...event.Subscription) (done func()) {
	return k.node.Subscriptions.Add(map[string][]event.Subscription{"shop": subs})
}

// ear notes what it hears. If answer is set it decides, outside of the lock.
type ear struct {
	mu     sync.Mutex
	heard  []event.Event
	at     []time.Time
	answer func(context.Context, event.Event) error
}

func (e *ear) Handle(ctx context.Context, ev event.Event) error {
	e.mu.Lock()
	e.heard, e.at = append(e.heard, ev), append(e.at, time.Now())
	e.mu.Unlock()
	if e.answer != nil {
		return e.answer(ctx, ev)
	}
	return nil
}

// events returns what was heard.
func (e *ear) events() []event.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.heard)
}

// all returns what was heard since the last call, in words.
func (e *ear) all() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []string
	for _, ev := range e.heard {
		all = append(all, sessiontest.Words(string(ev.Kind), string(ev.Reason), ev.Keys))
	}
	e.heard = nil
	return strings.Join(all, ", ")
}

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

// TestTheClockIsSet: whatever jumps the wall clock makes, no session is ended
// because of a time that was wrong, and nothing is lost.
func TestTheClockIsSet(t *testing.T) {
	set := func(k *kept, by time.Duration) { k.ahead.Add(int64(by)); time.Sleep(10 * time.Second); synctest.Wait() }
	for _, tc := range []struct {
		name string
		do   func(*kept)
		want string // the reports
		left bool   // the session lives, once the clock is right
	}{
		{"a day ahead, and back", func(k *kept) { set(k, 24*time.Hour); set(k, -24*time.Hour) },
			"clock 24h0m0s, held 10m0s, clock -24h0m0s, held 0s", true},
		{"in two steps, and back in two", func(k *kept) {
			set(k, time.Hour)
			set(k, time.Hour)
			set(k, -time.Hour)
			if k.Store.Len() != 1 {
				k.T.Error("half of the way back is not enough")
			}
			set(k, -time.Hour)
		}, "clock 1h0m0s, held 10m0s, clock 1h0m0s, held 10m0s, clock -1h0m0s, held 9m50s, clock -1h0m0s, held 0s", true},
		{"ahead, for good", func(k *kept) {
			set(k, 24*time.Hour)
			time.Sleep(9*time.Minute + 30*time.Second)
			if k.Store.Len() != 1 {
				k.T.Error("swept while the clock was not to be believed")
			}
			time.Sleep(time.Minute)
		}, "clock 24h0m0s, held 10m0s", false},
		{"a little ahead", func(k *kept) { set(k, 29*time.Second) }, "", true},
		{"back", func(k *kept) { set(k, -24*time.Hour); set(k, 24*time.Hour-20*time.Minute) },
			"clock -24h0m0s, held 0s, clock 23h40m0s, held 10m0s", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKept(t, nil)
				defer k.use()()
				k.start()
				synctest.Wait() // until it has swept
				defer k.close()
				c := k.Begin(`{}`)
				time.Sleep(10 * time.Second)
				tc.do(k)
				if got := k.noted(); got != tc.want {
					t.Errorf("reported %q, want %q", got, tc.want)
				}
				if got := k.Open(c).State() == session.Active; got != tc.left {
					t.Errorf("alive: %v", got)
				}
				k.ahead.Store(0)
				time.Sleep(13 * time.Hour)
				if k.Store.Len() != 0 {
					t.Error("it is not swept in the end")
				}
			})
		})
	}
	t.Run("between look and sweep", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			k := newKept(t, nil)
			defer k.use()()
			c := k.Begin(`{}`)
			isSet := false
			k.Store.Before = func(op string, _ store.Key) error {
				if op == "sweep" && !isSet {
					isSet = true
					k.ahead.Store(int64(24 * time.Hour))
				}
				return nil
			}
			k.start()
			synctest.Wait()
			defer k.close()
			if k.Store.Len() != 1 {
				t.Error("swept by a time that was not looked at")
			}
			k.ahead.Store(0)
			if got := k.Open(c).State(); got != session.Active {
				t.Errorf("the session is %s", got)
			}
		})
	})
	t.Run("seemingly expired", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			k := newKept(t, nil)
			defer k.use()()
			k.start()
			synctest.Wait() // until it has swept
			defer k.close()
			c := k.Begin(`{"a":1}`)
			set(k, 24*time.Hour)
			if got := k.Open(c).State(); got != session.Expired {
				t.Errorf("session is %s", got)
			}
			set(k, -24*time.Hour)
			if got := k.Data(c); got != `{"a":1}` {
				t.Errorf("data is %s", got)
			}
		})
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
