package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/sessionproxy/sessionproxy/store"
)

// maxUnited is how many changes one save unites.
const maxUnited = 64

type change = func(store.Record) (store.Write, error)

// update is one call of Update.
type update struct {
	change
	record   store.Record
	err      error
	panicked any
	done     chan struct{}
}

// updates are those that wait, by session. Each session of which there are any
// has one goroutine, which unites the changes that came while it saved.
type updates struct {
	mu      sync.Mutex
	waiting map[store.Key][]*update // an entry exists while the goroutine runs; protected by mu
}

// Update implements store.Updater. The changes of one process to one session
// are saved together; those of several processes meet conflicts, and are
// made again.
func (s *Store) Update(ctx context.Context, key store.Key, change func(store.Record) (store.Write, error)) (store.Record, error) {
	_, leave, err := s.call(ctx, "updating")
	if err != nil {
		return store.Record{}, err
	}
	defer leave()
	u := &update{change: change, done: make(chan struct{})}
	s.updates.mu.Lock()
	if s.updates.waiting == nil {
		s.updates.waiting = make(map[store.Key][]*update)
	}
	all, runs := s.updates.waiting[key]
	s.updates.waiting[key] = append(all, u)
	s.updates.mu.Unlock()
	if !runs {
		s.calls.join()
		go s.keepUpdating(key) //nolint:contextcheck // it outlives a caller that gives up
	}
	select {
	case <-u.done:
	case <-ctx.Done():
		return store.Record{}, fmt.Errorf("updating: %w: %w", store.ErrUnknown, ctx.Err())
	}
	if u.panicked != nil {
		panic(u.panicked)
	}
	return u.record, u.err
}

// keepUpdating makes the changes to one session until none waits.
func (s *Store) keepUpdating(key store.Key) {
	defer s.calls.leave()
	for {
		s.updates.mu.Lock()
		all := s.updates.waiting[key]
		if len(all) == 0 {
			delete(s.updates.waiting, key)
			s.updates.mu.Unlock()
			return
		}
		some := slices.Clone(all[:min(len(all), maxUnited)])
		s.updates.mu.Unlock()
		n := s.updateSome(key, some)
		s.updates.mu.Lock()
		s.updates.waiting[key] = s.updates.waiting[key][n:]
		s.updates.mu.Unlock()
		for _, u := range some[:n] {
			close(u.done)
		}
	}
}

// updateSome makes changes, the first of them at least, and returns how many.
func (s *Store) updateSome(key store.Key, all []*update) int {
	ctx, cancel := context.WithTimeout(context.Background(), s.Timeout)
	defer cancel()
	for {
		loaded, err := s.load(ctx, key)
		if err != nil {
			return fail(all, failure(ctx, "updating", reading, err))
		}
		w, united, n := unite(loaded, all)
		if len(united) == 0 {
			return n
		}
		saved, err := s.save(ctx, ctx, key, w, store.IfVersion(loaded.Version))
		switch {
		case errors.Is(err, store.ErrConflict) && ctx.Err() == nil:
			continue // another process was faster
		case err != nil:
			fail(united, err)
		default:
			for _, u := range united {
				u.record.Accessed = saved.Accessed
			}
		}
		return n
	}
}

func fail(all []*update, err error) int {
	for _, u := range all {
		u.record, u.err = store.Record{}, err
	}
	return len(all)
}

// unite makes changes one upon the other, as far as one save can store them:
// one that gives the session another principal, whose limit the save may
// judge, is stored alone. It returns the write, the changes in it, and how many it
// has dealt with: some of them may have failed.
func unite(rec store.Record, all []*update) (w planned, united []*update, n int) {
	for ; n < len(all); n++ {
		u := all[n]
		next, ok := u.try(rec)
		if !ok {
			continue
		}
		alone := next.Principal != rec.Principal
		if alone && len(united) > 0 {
			break
		}
		w = planned{next, append(w.events, eventsOf(next)...)}
		rec, u.record = next.Record, next.Record
		if united = append(united, u); alone {
			return w, united, n + 1
		}
	}
	return w, united, n
}

// try makes a change. A panic is the caller's of Update.
func (u *update) try(rec store.Record) (w store.Write, ok bool) {
	defer func() {
		if u.panicked = recover(); u.panicked != nil {
			w, ok = store.Write{}, false
		}
	}()
	w, u.err = u.change(rec)
	return w, u.err == nil
}
