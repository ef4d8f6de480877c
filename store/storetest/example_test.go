package storetest_test

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

// smallStore is a store of one's own, with what is required and nothing that
// is optional: a map. A test runs the suite against it:
//
//	storetest.Run(t, storetest.Engine{
//		Open: func(_ *testing.T, _ string, now func() time.Time) storetest.Closer { return newSmallStore(now) },
//		Volatile: true,
//	})
type smallStore struct {
	now func() time.Time

	mu      sync.Mutex // protects what follows
	records map[store.Key]store.Record
	closed  bool
}

func newSmallStore(now func() time.Time) *smallStore {
	return &smallStore{now: now, records: make(map[store.Key]store.Record)}
}

// do runs f unless the context has ended or the store is closed.
func (s *smallStore) do(ctx context.Context, f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.ErrUnavailable
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return f()
}

// live returns a record that has not expired by the store's own clock.
func (s *smallStore) live(key store.Key) (store.Record, bool) {
	rec, ok := s.records[key]
	return rec, ok && rec.Alive(s.now())
}

func (s *smallStore) Load(ctx context.Context, key store.Key) (rec store.Record, err error) {
	err = s.do(ctx, func() error {
		var ok bool
		if rec, ok = s.live(key); !ok {
			return store.ErrGone
		}
		return nil
	})
	return rec, err
}

func (s *smallStore) Save(ctx context.Context, key store.Key, w store.Write, cond store.Condition) error {
	return s.do(ctx, func() error {
		current, ok := s.live(key)
		switch {
		case ok && current.Version == w.Version: // the repetition of a save that has happened
			return nil
		case cond.IsCreate() && ok:
			return store.ErrConflict
		case cond.IsCreate(): // below
		case !ok || current.Incarnation != w.Incarnation:
			return store.ErrGone
		case current.Version != cond.Version():
			return store.ErrConflict
		}
		rec := w.Record
		if ok && current.Accessed.After(rec.Accessed) {
			rec.Accessed = current.Accessed
		}
		s.records[key] = rec
		return nil
	})
}

func (s *smallStore) Delete(ctx context.Context, key store.Key, _ store.Reason) error {
	return s.do(ctx, func() error {
		if _, ok := s.live(key); ok {
			delete(s.records, key) // what has expired ended for another reason
		}
		return nil
	})
}

func (s *smallStore) Touch(ctx context.Context, touches ...store.Touch) error {
	return s.do(ctx, func() error {
		for _, t := range touches {
			if rec, ok := s.live(t.Key); ok && rec.Incarnation == t.Incarnation && t.Accessed.After(rec.Accessed) {
				rec.Accessed = t.Accessed
				s.records[t.Key] = rec
			}
		}
		return nil
	})
}

func (s *smallStore) List(ctx context.Context, manager string, after store.ID) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		var all []store.Info
		err := s.do(ctx, func() error {
			for key := range s.records {
				if rec, ok := s.live(key); ok && key.Manager == manager && bytes.Compare(key.ID[:], after[:]) > 0 {
					all = append(all, rec.Info(key.ID))
				}
			}
			return nil
		})
		if err != nil {
			yield(store.Info{}, err)
			return
		}
		slices.SortFunc(all, func(a, b store.Info) int { return bytes.Compare(a.ID[:], b.ID[:]) })
		for _, info := range all {
			if !yield(info, nil) {
				return
			}
		}
	}
}

func (s *smallStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// A store of one's own implements store.Store, and passes the suite.
func ExampleRun() {
	ctx, key := context.Background(), store.Key{Manager: "shop", ID: store.ID{1}}
	sessions := newSmallStore(time.Now)
	defer func() { _ = sessions.Close() }()

	now := time.Now()
	record := store.Record{
		Data:    []byte(`{"cart":["tea"]}`),
		Created: now, Written: now, Accessed: now,
		Idle: 30 * time.Minute, Absolute: now.Add(12 * time.Hour),
		Incarnation: store.NewIncarnation(), Version: store.Version{}.Next(),
	}
	fmt.Println(sessions.Save(ctx, key, store.Write{Record: record}, store.Create()))
	fmt.Println(sessions.Save(ctx, key, store.Write{Record: record}, store.Create()), "again")
	stored, err := sessions.Load(ctx, key)
	fmt.Println(string(stored.Data), err)
	// Output:
	// <nil>
	// <nil> again
	// {"cart":["tea"]} <nil>
}
