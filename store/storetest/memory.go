package storetest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// Memory is a store for tests: a map and a clock, with a hook before every
// call. It is also the model that other stores are compared with, so it has
// every ability, in the simplest form. Safe for concurrent use; while calls may
// be under way, Before is set by SetBefore.
type Memory struct {
	// Before runs ahead of each call, outside of any lock: it may wait for
	// a gate, or return an error that the call then answers. op is
	// load, save, delete, touch, list, update, sweep, page, deliveries, settle,
	// bury or discard.
	Before func(op string, key store.Key) error

	now     func() time.Time
	observe func(store.Ended)

	mu                 sync.Mutex // protects what follows
	records            map[store.Key]store.Record
	letters            []*store.Delivery // in the order in which they were filed
	limits, overflowed map[string]int    // by listener
	filed              int               // deliveries ever
	calls              map[string]int
	closed             bool
}

// NewMemory returns an empty store on that clock.
func NewMemory(now func() time.Time) *Memory {
	return &Memory{now: now, records: make(map[store.Key]store.Record), calls: make(map[string]int),
		limits: make(map[string]int), overflowed: make(map[string]int)}
}

var (
	_ store.Store      = (*Memory)(nil)
	_ store.Sweeper    = (*Memory)(nil)
	_ store.Outbox     = (*Memory)(nil)
	_ store.Pager      = (*Memory)(nil)
	_ store.Counter    = (*Memory)(nil)
	_ store.Observable = (*Memory)(nil)
	_ store.Archiver   = (*Memory)(nil)
)

// SetBefore sets Before.
func (m *Memory) SetBefore(f func(op string, key store.Key) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Before = f
}

// enter does what every call begins with, and returns the unlock.
func (m *Memory) enter(ctx context.Context, op string, key store.Key) (func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	m.calls[op]++
	closed, before := m.closed, m.Before
	m.mu.Unlock()
	if closed {
		return nil, store.ErrUnavailable
	}
	if before != nil {
		if err := before(op, key); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	return m.mu.Unlock, nil
}

// live returns the record unless it is past its deadline. Callers hold mu.
func (m *Memory) live(key store.Key) (store.Record, error) {
	rec, ok := m.records[key]
	if !ok || !rec.Alive(m.now()) {
		return store.Record{}, fmt.Errorf("loading %s: %w", key.ID, store.ErrGone)
	}
	return rec, nil
}

// Load implements store.Store.
func (m *Memory) Load(ctx context.Context, key store.Key) (store.Record, error) {
	leave, err := m.enter(ctx, "load", key)
	if err != nil {
		return store.Record{}, err
	}
	defer leave()
	return m.live(key)
}

// Save implements store.Store.
func (m *Memory) Save(ctx context.Context, key store.Key, w store.Write, cond store.Condition) error {
	leave, err := m.enter(ctx, "save", key)
	if err != nil {
		return err
	}
	current, err := m.live(key)
	if err := check(current, err == nil, w.Record, cond); err != nil || current.Version == w.Version {
		leave()
		return err
	}
	ended, err := m.put(key, w, current)
	leave()
	m.tell(ended)
	return err
}

// check decides about a save, as the contract says.
func check(current store.Record, live bool, rec store.Record, cond store.Condition) error {
	switch {
	case live && current.Version == rec.Version:
		return nil
	case cond.IsCreate() && live:
		return store.ErrConflict
	case cond.IsCreate():
		return nil
	case !live || current.Incarnation != rec.Incarnation:
		return store.ErrGone
	case current.Version != cond.Version():
		return store.ErrConflict
	}
	return nil
}

// put stores what a decided save brings, and returns what ended by it.
// current is the live record before, or zero. Callers hold mu.
func (m *Memory) put(key store.Key, w store.Write, current store.Record) (ended []store.Ended, err error) {
	if w.Principal != "" && w.Principal != current.Principal {
		evicted, err := m.exceeding(key, w)
		if err != nil {
			return nil, err
		}
		for _, k := range evicted {
			ended = append(ended, m.end(k, store.End{Reason: store.Evicted, Listeners: w.TellEnds}))
		}
	}
	if dead, ok := m.records[key]; ok && dead.Incarnation != w.Incarnation {
		ended = append(ended, m.end(key, store.End{Reason: store.Replaced, Listeners: w.TellEnds}))
	}
	rec := w.Record
	rec.Data = bytes.Clone(rec.Data)
	if current.Accessed.After(rec.Accessed) {
		rec.Accessed = current.Accessed
	}
	m.records[key] = rec
	for _, n := range w.Notices {
		m.file(key, n, "", rec)
	}
	return ended, nil
}

// exceeding returns the sessions that have to go so that the principal may
// have one more. Callers hold mu.
func (m *Memory) exceeding(key store.Key, w store.Write) ([]store.Key, error) {
	if w.Limit.Sessions == 0 {
		return nil, nil
	}
	var others []store.Key
	for k := range m.records {
		if rec, err := m.live(k); err == nil && k != key && k.Manager == key.Manager && rec.Principal == w.Principal {
			others = append(others, k)
		}
	}
	n := len(others) + 1 - w.Limit.Sessions
	switch {
	case n <= 0:
		return nil, nil
	case !w.Limit.Evict:
		return nil, store.ErrLimit
	}
	slices.SortFunc(others, func(a, b store.Key) int {
		return cmp.Or(m.records[a].Created.Compare(m.records[b].Created), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return others[:n], nil
}

// end removes a record and files what its listeners are told. Callers hold
// mu, and call tell with the result after they have released it.
func (m *Memory) end(key store.Key, end store.End) store.Ended {
	rec := m.records[key]
	delete(m.records, key)
	m.file(key, store.Notice{Kind: store.NoticeEnded, Listeners: end.Listeners}, end.Reason, rec)
	return store.Ended{Key: key, Reason: end.Reason, Principal: rec.Principal}
}

// Observe implements store.Observable.
func (m *Memory) Observe(f func(store.Ended)) { m.observe = f }

func (m *Memory) tell(ended []store.Ended) {
	for _, e := range ended {
		if m.observe != nil {
			m.observe(e)
		}
	}
}

// Delete implements store.Store.
func (m *Memory) Delete(ctx context.Context, key store.Key, end store.End) error {
	leave, err := m.enter(ctx, "delete", key)
	if err != nil {
		return err
	}
	var ended []store.Ended
	if _, err := m.live(key); err == nil {
		ended = append(ended, m.end(key, end))
	}
	leave()
	m.tell(ended)
	return nil
}

// Touch implements store.Store.
func (m *Memory) Touch(ctx context.Context, touches ...store.Touch) error {
	for _, t := range touches {
		leave, err := m.enter(ctx, "touch", t.Key)
		if err != nil {
			return err
		}
		rec, err := m.live(t.Key)
		if err == nil && rec.Incarnation == t.Incarnation && t.Accessed.After(rec.Accessed) {
			rec.Accessed = t.Accessed
			m.records[t.Key] = rec
		}
		leave()
	}
	return nil
}

// List implements store.Store.
func (m *Memory) List(ctx context.Context, manager string, after store.ID) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		leave, err := m.enter(ctx, "list", store.Key{Manager: manager})
		if err != nil {
			yield(store.Info{}, err)
			return
		}
		var all []store.Info
		for key := range m.records {
			if rec, err := m.live(key); err == nil && key.Manager == manager && bytes.Compare(key.ID[:], after[:]) > 0 {
				all = append(all, rec.Info(key.ID))
			}
		}
		leave()
		slices.SortFunc(all, func(a, b store.Info) int { return bytes.Compare(a.ID[:], b.ID[:]) })
		for _, info := range all {
			if !yield(info, nil) {
				return
			}
		}
	}
}

// Len returns how many records there are, expired ones included.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.records)
}

// Calls returns how often an operation was called.
func (m *Memory) Calls(op string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[op]
}

// WithUpdater returns the same store with the ability of store.Updater.
func (m *Memory) WithUpdater() store.Store { return updating{m} }

type updating struct{ *Memory }

// Update implements store.Updater.
func (u updating) Update(ctx context.Context, key store.Key, change func(store.Record) (store.Write, error)) (store.Record, error) {
	leave, err := u.enter(ctx, "update", key)
	if err != nil {
		return store.Record{}, err
	}
	rec, ended, err := u.update(key, change)
	leave()
	u.tell(ended)
	return rec, err
}

func (m *Memory) update(key store.Key, change func(store.Record) (store.Write, error)) (store.Record, []store.Ended, error) {
	current, err := m.live(key)
	if err != nil {
		return store.Record{}, nil, err
	}
	w, err := change(current)
	if err != nil {
		return store.Record{}, nil, err
	}
	ended, err := m.put(key, w, current)
	if err != nil {
		return store.Record{}, nil, err
	}
	return m.records[key], ended, nil
}

// Close makes every later call fail with store.ErrUnavailable.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}
