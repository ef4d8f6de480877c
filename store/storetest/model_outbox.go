package storetest

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/sessionproxy/sessionproxy/store"
)

// watch has the store under test tell of the ends of this run.
func (m *machine) watch() {
	if o, ok := store.As[store.Observable](m.real); ok {
		o.Observe(func(e store.Ended) {
			m.mu.Lock()
			defer m.mu.Unlock()
			if slices.Contains(m.managers, e.Key.Manager) {
				m.realEnded = append(m.realEnded, e)
			}
		})
	}
	if o, ok := store.As[store.Outbox](m.real); ok {
		o.Subscribe(m.subscribersOf)
	}
}

// subscribe has some of the listeners subscribe to saves and ends from now on.
func (m *machine) subscribe(rt *rapid.T) {
	told := make(map[subject][]string)
	for _, manager := range m.managers {
		for _, kind := range []store.EventKind{store.EventSaved, store.EventEnded} {
			told[subject{manager, kind}] = m.listeners[:rapid.IntRange(0, len(m.listeners)).Draw(rt, "listeners")]
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told = told
}

func (m *machine) subscribersOf(manager string, kind store.EventKind) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.told[subject{manager, kind}]
}

// sweep sweeps both to the end. Sessions of other runs may go, too.
func (m *machine) sweep(rt *rapid.T) {
	m.subscribe(rt)
	n := rapid.IntRange(1, 10).Draw(rt, "at once")
	for _, s := range []store.Sweeper{m.model, as[store.Sweeper](m.real)} {
		for more := true; more; {
			var err error
			if _, more, err = s.Sweep(m.t.Context(), m.clock.Now(), n); err != nil {
				rt.Fatal(err)
			}
		}
	}
	for key := range m.known {
		if _, err := m.model.Load(m.t.Context(), key); isGone(err) {
			delete(m.known, key)
		}
	}
}

// outboxes returns the model's and the store's.
func (m *machine) outboxes() [2]store.Outbox {
	return [2]store.Outbox{m.model, as[store.Outbox](m.real)}
}

// mail asks both for deliveries, and compares these. The two may have filed
// what a sweep found in another order, so they are put in order of sessions.
func (m *machine) mail(rt *rapid.T, ask func(store.Outbox) ([]store.Delivery, time.Time, error)) (both [2][]store.Delivery) {
	var next [2]time.Time
	for i, o := range m.outboxes() {
		var err error
		if both[i], next[i], err = ask(o); err != nil {
			rt.Fatal(err)
		}
		both[i] = slices.DeleteFunc(both[i], func(d store.Delivery) bool { return !slices.Contains(m.managers, d.Key.Manager) })
		slices.SortStableFunc(both[i], func(a, b store.Delivery) int {
			return cmp.Or(cmp.Compare(a.Listener, b.Listener), cmp.Compare(a.Key.Manager, b.Key.Manager), bytes.Compare(a.Key.ID[:], b.Key.ID[:]))
		})
	}
	if !next[0].Equal(next[1]) || !slices.EqualFunc(both[0], both[1], func(a, b store.Delivery) bool {
		a.ID, b.ID = "", ""
		a.Info.Created, a.Info.Written, a.Info.Accessed, a.Info.Expires = b.Info.Created, b.Info.Written, b.Info.Accessed, b.Info.Expires // to the millisecond
		return sameDelivery(a, b)
	}) {
		rt.Fatalf("the model has %+v, next at %v; the store %+v, next at %v", both[0], next[0], both[1], next[1])
	}
	return both
}

func (m *machine) deliver(rt *rapid.T) {
	listener := rapid.SampledFrom(m.listeners).Draw(rt, "listener")
	due := m.mail(rt, func(o store.Outbox) ([]store.Delivery, time.Time, error) {
		return o.Deliveries(m.t.Context(), listener, 1000)
	})
	var done [2][]store.Settlement
	for i := range due[0] {
		s := store.Settlement{Next: m.clock.Now().Add(time.Duration(rapid.IntRange(-5, 90).Draw(rt, "seconds")) * time.Second), Error: "e"}
		switch rapid.IntRange(0, 4).Draw(rt, "outcome") {
		case 0, 1:
			s.Delivered = true
		case 2:
			s.Dead = true
		case 3: // it is under way
			continue
		}
		for j := range due {
			s.ID = due[j][i].ID
			done[j] = append(done[j], s)
		}
	}
	for j, o := range m.outboxes() {
		if err := o.Settle(m.t.Context(), done[j]...); err != nil {
			rt.Fatal(err)
		}
	}
}

func (m *machine) revive(rt *rapid.T) { m.withDead(rt, store.Outbox.RetryDeadLetter) }

func (m *machine) bury(rt *rapid.T) { m.withDead(rt, store.Outbox.DeleteDeadLetter) }

func (m *machine) withDead(rt *rapid.T, do func(store.Outbox, context.Context, string) error) {
	dead := m.dead(rt)
	if len(dead[0]) == 0 {
		rt.Skip()
	}
	i := rapid.IntRange(0, len(dead[0])-1).Draw(rt, "which")
	for j, o := range m.outboxes() {
		if err := do(o, m.t.Context(), dead[j][i].ID); err != nil {
			rt.Fatal(err)
		}
	}
}

func (m *machine) discard(rt *rapid.T) {
	if rapid.IntRange(0, 3).Draw(rt, "rarely") > 0 {
		rt.Skip()
	}
	listener := rapid.SampledFrom(m.listeners).Draw(rt, "listener")
	var n [2]int
	for j, o := range m.outboxes() {
		var err error
		if n[j], err = o.PurgeListener(m.t.Context(), listener); err != nil {
			rt.Fatal(err)
		}
	}
	if n[0] != n[1] {
		rt.Fatalf("the model has discarded %d, the store %d", n[0], n[1])
	}
}

func (m *machine) dead(rt *rapid.T) [2][]store.Delivery {
	return m.mail(rt, func(o store.Outbox) ([]store.Delivery, time.Time, error) {
		dead, err := o.DeadLetters(m.t.Context(), "", 10_000)
		return dead, time.Time{}, err
	})
}
