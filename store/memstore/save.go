package memstore

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/sessionproxy/sessionproxy/store"
)

// Save implements store.Store.
func (s *Store) Save(ctx context.Context, key store.Key, w store.Write, cond store.Condition) error {
	leave, err := s.enter(ctx, "save", key)
	if err != nil {
		return err
	}
	current, err := s.live(key)
	if err := check(current, err == nil, w.Record, cond); err != nil || current.Version == w.Version {
		leave()
		return err
	}
	ended, err := s.put(key, w, current)
	leave()
	s.tell(ended)
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
func (s *Store) put(key store.Key, w store.Write, current store.Record) (ended []store.Ended, err error) {
	if w.Principal != "" && w.Principal != current.Principal {
		evicted, err := s.exceeding(key, w)
		if err != nil {
			return nil, err
		}
		for _, k := range evicted {
			ended = append(ended, s.end(k, store.Evicted))
		}
	}
	if dead, ok := s.records[key]; ok && dead.Incarnation != w.Incarnation {
		ended = append(ended, s.end(key, store.Replaced))
	}
	rec := w.Record
	rec.Data, rec.Cookies = bytes.Clone(rec.Data), bytes.Clone(rec.Cookies)
	if current.Accessed.After(rec.Accessed) {
		rec.Accessed = current.Accessed
	}
	s.records[key] = rec
	for _, n := range w.Events {
		s.file(key, n, "", rec)
	}
	return ended, nil
}

// exceeding returns the sessions that have to go so that the principal may
// have one more. Callers hold mu.
func (s *Store) exceeding(key store.Key, w store.Write) ([]store.Key, error) {
	if w.Limit.Sessions == 0 {
		return nil, nil
	}
	var others []store.Key
	for k := range s.records {
		if rec, err := s.live(k); err == nil && k != key && k.Manager == key.Manager && rec.Principal == w.Principal {
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
		return cmp.Or(s.records[a].Created.Compare(s.records[b].Created), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return others[:n], nil
}

// WithUpdater returns the same store with the ability of store.Updater.
func (s *Store) WithUpdater() store.Store { return updating{s} }

type updating struct{ *Store }

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

func (s *Store) update(key store.Key, change func(store.Record) (store.Write, error)) (store.Record, []store.Ended, error) {
	current, err := s.live(key)
	if err != nil {
		return store.Record{}, nil, err
	}
	w, err := change(current)
	if err != nil {
		return store.Record{}, nil, err
	}
	ended, err := s.put(key, w, current)
	if err != nil {
		return store.Record{}, nil, err
	}
	return s.records[key], ended, nil
}
