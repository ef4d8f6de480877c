package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// testModel runs random operations against the store and against memstore, a
// map with a clock, and expects the same answers. All runs share one store,
// under managers of their own, since opening one may be slow.
func testModel(t *testing.T, e Engine) {
	dir, clock, run := t.TempDir(), NewClock(), 0
	real := e.Open(t, dir, clock.Now)
	rapid.Check(t, func(rt *rapid.T) {
		run++
		m := &machine{
			t: t, engine: e, dir: dir, clock: clock, real: real, model: memstore.New(clock.Now),
			managers: []string{fmt.Sprint("shop", run), fmt.Sprint("cart", run)},
			known:    make(map[store.Key][]store.Record),
		}
		m.model.Observe(func(e store.Ended) { m.ended = append(m.ended, e) })
		m.model.Subscribe(m.subscribersOf)
		m.watch()
		defer func() { real = m.real }()
		actions := map[string]func(*rapid.T){
			"create": m.create, "save": m.save, "delete": m.delete, "touch": m.touch,
			"advance": m.advance, "reopen": m.reopen, "": m.check,
		}
		if _, ok := store.As[store.Sweeper](real); ok {
			actions["sweep"] = m.sweep
		}
		if _, ok := store.As[store.Outbox](real); ok {
			m.listeners = []string{fmt.Sprint("hook", run), fmt.Sprint("files", run)}
			actions["deliver"], actions["revive"] = m.deliver, m.revive
			actions["bury"], actions["discard"] = m.bury, m.discard
		}
		rt.Repeat(actions)
	})
	if err := real.Close(); err != nil {
		t.Error(err)
	}
}

// subject is what a listener subscribes to.
type subject struct {
	manager string
	kind    store.EventKind
}

type machine struct {
	t        *testing.T
	engine   Engine
	dir      string
	clock    *Clock
	real     Closer
	model    *memstore.Store
	managers []string
	known    map[store.Key][]store.Record // every record ever saved or tried

	listeners []string             // none if the store has no outbox
	told      map[subject][]string // which of them subscribe now; protected by mu
	ended     []store.Ended        // what the model told of, and was not compared yet
	realEnded []store.Ended        // what the store told of; protected by mu
	mu        sync.Mutex
}

func (m *machine) key(rt *rapid.T) store.Key {
	return keyOf(rapid.SampledFrom(m.managers).Draw(rt, "manager"), byte(rapid.IntRange(1, 3).Draw(rt, "id")))
}

func (m *machine) some(rt *rapid.T, key store.Key) store.Record {
	if len(m.known[key]) == 0 {
		return store.Record{Idle: time.Minute, Incarnation: 1, Accessed: m.clock.Now(), Absolute: m.clock.Now().Add(time.Hour)}
	}
	return rapid.SampledFrom(m.known[key]).Draw(rt, "known record")
}

func (m *machine) principal(rt *rapid.T) string {
	return rapid.SampledFrom([]string{"", "alice", "bob"}).Draw(rt, "principal")
}

// write adds to a record what may be saved with it.
func (m *machine) write(rt *rapid.T, rec store.Record) store.Write {
	m.subscribe(rt)
	w := store.Write{Record: rec}
	if len(m.listeners) > 0 {
		w.Events = []store.Event{{Kind: store.EventSaved, Keys: []string{rec.Version.String()}}}
	}
	if _, ok := store.As[store.Pager](m.real); ok && rapid.Bool().Draw(rt, "limited") {
		w.Limit = store.Limit{Sessions: rapid.IntRange(1, 3).Draw(rt, "limit"), Evict: rapid.Bool().Draw(rt, "evict")}
	}
	return w
}

// both runs a call on the two and compares the outcome.
func (m *machine) both(rt *rapid.T, call func(store.Store) error) {
	want, got := call(m.model), call(m.real)
	for _, kind := range []error{store.ErrGone, store.ErrConflict, store.ErrLimit} {
		if errors.Is(want, kind) != errors.Is(got, kind) {
			rt.Fatalf("the model answers %v, the store %v", want, got)
		}
	}
	if (want == nil) != (got == nil) {
		rt.Fatalf("the model answers %v, the store %v", want, got)
	}
}

func (m *machine) create(rt *rapid.T) {
	key, now := m.key(rt), m.clock.Now()
	rec := store.Record{
		Data: []byte(rapid.StringN(0, 40, -1).Draw(rt, "data")), Created: now, Written: now, Accessed: now,
		Idle:      time.Duration(rapid.IntRange(1, 100).Draw(rt, "idle")) * time.Second,
		Absolute:  now.Add(time.Duration(rapid.IntRange(1, 300).Draw(rt, "absolute")) * time.Second),
		Principal: m.principal(rt), Cookies: rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(rt, "cookies"),
		Nonce: [16]byte{byte(rapid.Int().Draw(rt, "nonce"))}, Incarnation: store.NewIncarnation(), Version: store.Version{}.Next(),
	}
	m.known[key] = append(m.known[key], rec)
	w := m.write(rt, rec)
	m.both(rt, func(s store.Store) error { return s.Save(m.t.Context(), key, w, store.Create()) })
}

func (m *machine) save(rt *rapid.T) {
	key := m.key(rt)
	old := m.some(rt, key)
	rec := next(old, rapid.StringN(0, 40, -1).Draw(rt, "data"))
	rec.Accessed = m.clock.Now()
	if rapid.Bool().Draw(rt, "other cookies") {
		rec.Cookies = rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(rt, "cookies")
	}
	if rapid.Bool().Draw(rt, "other timeout") {
		rec.Idle = time.Duration(rapid.IntRange(1, 100).Draw(rt, "idle")) * time.Second
	}
	if rapid.Bool().Draw(rt, "other principal") {
		rec.Principal = m.principal(rt)
	}
	if rapid.IntRange(0, 3).Draw(rt, "other end") == 0 {
		rec.Absolute = rec.Accessed.Add(time.Duration(rapid.IntRange(1, 300).Draw(rt, "absolute")) * time.Second)
	}
	m.known[key] = append(m.known[key], rec)
	w := m.write(rt, rec)
	m.both(rt, func(s store.Store) error {
		return s.Save(m.t.Context(), key, w, store.IfVersion(old.Version))
	})
}

func (m *machine) delete(rt *rapid.T) {
	key := m.key(rt)
	m.subscribe(rt)
	m.both(rt, func(s store.Store) error { return s.Delete(m.t.Context(), key, store.Destroyed) })
}

func (m *machine) touch(rt *rapid.T) {
	key := m.key(rt)
	touch := store.Touch{Key: key, Incarnation: m.some(rt, key).Incarnation, Accessed: m.clock.Now().Add(time.Duration(rapid.IntRange(-30, 5).Draw(rt, "seconds")) * time.Second)}
	m.both(rt, func(s store.Store) error { return s.Touch(m.t.Context(), touch) })
}

func (m *machine) advance(rt *rapid.T) {
	least := 1
	if rapid.IntRange(0, 9).Draw(rt, "rarely") == 0 {
		least = -60_000 // the clock is set back
	}
	m.clock.Advance(time.Duration(rapid.IntRange(least, 60_000).Draw(rt, "milliseconds")) * time.Millisecond)
}

func (m *machine) reopen(rt *rapid.T) {
	if m.engine.Volatile || rapid.IntRange(0, 99).Draw(rt, "rarely") > 0 {
		rt.Skip()
	}
	if err := m.real.Close(); err != nil {
		rt.Fatal(err)
	}
	m.real = m.engine.Open(m.t, m.dir, m.clock.Now)
	m.watch()
}

// check compares all that can be seen.
func (m *machine) check(rt *rapid.T) {
	m.checkAbilities(rt)
	for key := range m.known {
		want, errWant := m.model.Load(m.t.Context(), key)
		got, errGot := m.real.Load(m.t.Context(), key)
		if isGone(errWant) != isGone(errGot) || errWant == nil && !same(want, got) {
			rt.Fatalf("the model has %+v, %v; the store %+v, %v", want, errWant, got, errGot)
		}
	}
	for _, manager := range m.managers {
		var want, got []store.ID
		for info := range m.model.List(m.t.Context(), manager, store.ID{}) {
			want = append(want, info.ID)
		}
		for info, err := range m.real.List(m.t.Context(), manager, store.ID{}) {
			if err != nil {
				rt.Fatal(err)
			}
			got = append(got, info.ID)
		}
		if len(want) != len(got) {
			rt.Fatalf("the model lists %v, the store %v", want, got)
		}
		for i := range want {
			if want[i] != got[i] {
				rt.Fatalf("the model lists %v, the store %v", want, got)
			}
		}
	}
}
