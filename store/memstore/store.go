package memstore

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

// Store keeps sessions in a map. Safe for concurrent use; while calls may be
// under way, Before is set by SetBefore.
type Store struct {
	// Before is for tests. It runs ahead of each call, outside of any lock: it
	// may wait for a gate, or return an error that the call then answers. op is
	// load, save, delete, touch, list, update, sweep, page, deliveries, settle,
	// bury or discard.
	Before func(op string, key store.Key) error

	now     func() time.Time
	observe func(store.Ended)
	wakeups store.Wakeups

	mu                 sync.Mutex // protects what follows
	records            map[store.Key]store.Record
	deliveries         []*delivery // in the order in which they were filed
	listeners          func(manager string, kind store.EventKind) []string
	limits, overflowed map[string]int // by listener
	filed              int64          // events ever that there were deliveries of
	calls              map[string]int
	closed             bool
}

// New returns an empty store on that clock.
func New(now func() time.Time) *Store {
	return &Store{now: now, records: make(map[store.Key]store.Record), calls: make(map[string]int),
		limits: make(map[string]int), overflowed: make(map[string]int)}
}

// NumberFrom gives the events that follow numbers above n, which is not
// negative. A server that numbers from its start time gives no delivery the ID
// of one before its restart: receivers of webhooks drop what they know.
func (s *Store) NumberFrom(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.filed = n
}

var (
	_ store.Store      = (*Store)(nil)
	_ store.Sweeper    = (*Store)(nil)
	_ store.Outbox     = (*Store)(nil)
	_ store.Pager      = (*Store)(nil)
	_ store.Counter    = (*Store)(nil)
	_ store.Observable = (*Store)(nil)
	_ store.Archiver   = (*Store)(nil)
)

// SetBefore sets Before.
func (s *Store) SetBefore(f func(op string, key store.Key) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Before = f
}

// enter does what every call begins with, and returns the unlock.
func (s *Store) enter(ctx context.Context, op string, key store.Key) (func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.calls[op]++
	closed, before := s.closed, s.Before
	s.mu.Unlock()
	if closed {
		return nil, store.ErrUnavailable
	}
	if before != nil {
		if err := before(op, key); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	return s.mu.Unlock, nil
}

// live returns the record unless it is past its deadline. Callers hold mu.
func (s *Store) live(key store.Key) (store.Record, error) {
	rec, ok := s.records[key]
	if !ok || !rec.Alive(s.now()) {
		return store.Record{}, fmt.Errorf("loading %s: %w", key.ID, store.ErrGone)
	}
	return rec, nil
}

// Load implements store.Store.
func (s *Store) Load(ctx context.Context, key store.Key) (store.Record, error) {
	leave, err := s.enter(ctx, "load", key)
	if err != nil {
		return store.Record{}, err
	}
	defer leave()
	return s.live(key)
}

// end removes a record and files what its listeners are told. Callers hold
// mu, and call tell with the result after they have released it.
func (s *Store) end(key store.Key, reason store.Reason) store.Ended {
	rec := s.records[key]
	delete(s.records, key)
	s.file(key, store.Event{Kind: store.EventEnded}, reason, rec)
	return store.Ended{Key: key, Reason: reason, Principal: rec.Principal}
}

// Observe implements store.Observable.
func (s *Store) Observe(f func(store.Ended)) { s.observe = f }

func (s *Store) tell(ended []store.Ended) {
	for _, e := range ended {
		if s.observe != nil {
			s.observe(e)
		}
	}
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, key store.Key, reason store.Reason) error {
	leave, err := s.enter(ctx, "delete", key)
	if err != nil {
		return err
	}
	var ended []store.Ended
	if _, err := s.live(key); err == nil {
		ended = append(ended, s.end(key, reason))
	}
	leave()
	s.tell(ended)
	return nil
}

// Touch implements store.Store.
func (s *Store) Touch(ctx context.Context, touches ...store.Touch) error {
	for _, t := range touches {
		leave, err := s.enter(ctx, "touch", t.Key)
		if err != nil {
			return err
		}
		rec, err := s.live(t.Key)
		if err == nil && rec.Incarnation == t.Incarnation && t.Accessed.After(rec.Accessed) {
			rec.Accessed = t.Accessed
			s.records[t.Key] = rec
		}
		leave()
	}
	return nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, manager string, after store.ID) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		leave, err := s.enter(ctx, "list", store.Key{Manager: manager})
		if err != nil {
			yield(store.Info{}, err)
			return
		}
		var all []store.Info
		for key := range s.records {
			if rec, err := s.live(key); err == nil && key.Manager == manager && bytes.Compare(key.ID[:], after[:]) > 0 {
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
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.records)
}

// Calls returns how often an operation was called, in the words of Before.
func (s *Store) Calls(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// Close makes every later call fail with store.ErrUnavailable.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}
