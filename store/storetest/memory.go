package storetest

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// Memory is a store for tests: a map and a clock, with a hook before every
// call. It is also the model that other stores are compared with. Safe for
// concurrent use; Before must be set while no call is under way.
type Memory struct {
	// Before runs ahead of each call, outside of any lock: it may wait for
	// a gate, or return an error that the call then answers. op is
	// load, save, delete, touch, list or update.
	Before func(op string, key store.Key) error

	now     func() time.Time
	mu      sync.Mutex
	records map[store.Key]store.Record
	calls   map[string]int
	closed  bool
}

// NewMemory returns an empty store on that clock.
func NewMemory(now func() time.Time) *Memory {
	return &Memory{now: now, records: make(map[store.Key]store.Record), calls: make(map[string]int)}
}

var _ store.Store = (*Memory)(nil)

// enter does what every call begins with, and returns the unlock.
func (m *Memory) enter(ctx context.Context, op string, key store.Key) (func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	m.calls[op]++
	closed := m.closed
	m.mu.Unlock()
	if closed {
		return nil, store.ErrUnavailable
	}
	if m.Before != nil {
		if err := m.Before(op, key); err != nil {
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
func (m *Memory) Save(ctx context.Context, key store.Key, rec store.Record, cond store.Condition) error {
	leave, err := m.enter(ctx, "save", key)
	if err != nil {
		return err
	}
	defer leave()
	current, err := m.live(key)
	if err := check(current, err == nil, rec, cond); err != nil || current.Version == rec.Version {
		return err
	}
	m.put(key, rec, current.Accessed)
	return nil
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

func (m *Memory) put(key store.Key, rec store.Record, accessed time.Time) {
	rec.Data = bytes.Clone(rec.Data)
	if accessed.After(rec.Accessed) {
		rec.Accessed = accessed
	}
	m.records[key] = rec
}

// Delete implements store.Store.
func (m *Memory) Delete(ctx context.Context, key store.Key) error {
	leave, err := m.enter(ctx, "delete", key)
	if err != nil {
		return err
	}
	defer leave()
	delete(m.records, key)
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
func (u updating) Update(ctx context.Context, key store.Key, change func(store.Record) (store.Record, error)) (store.Record, error) {
	leave, err := u.enter(ctx, "update", key)
	if err != nil {
		return store.Record{}, err
	}
	defer leave()
	current, err := u.live(key)
	if err != nil {
		return store.Record{}, err
	}
	next, err := change(current)
	if err != nil {
		return store.Record{}, err
	}
	u.put(key, next, current.Accessed)
	return u.records[key], nil
}

// Close makes every later call fail with store.ErrUnavailable.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}
