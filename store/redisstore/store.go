package redisstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/sessionproxy/sessionproxy/store"
)

// Store keeps sessions on a Redis server. Safe for concurrent use.
type Store struct {
	Options
	client rueidis.Client
	store.Wakeups

	calls     calls
	managers  registry
	touches   touches
	updates   updates
	waiting   waiting
	claims    claims
	where     generations[string, string] // manager of deliveries, by their ids
	observe   func(store.Ended)
	listeners func(manager string, kind store.EventKind) []string

	stop  context.CancelFunc // ends what runs in the background
	ended sync.WaitGroup
}

var (
	_ store.Store      = (*Store)(nil)
	_ store.Updater    = (*Store)(nil)
	_ store.Sweeper    = (*Store)(nil)
	_ store.Outbox     = (*Store)(nil)
	_ store.Pager      = (*Store)(nil)
	_ store.Counter    = (*Store)(nil)
	_ store.Leaser     = (*Store)(nil)
	_ store.Observable = (*Store)(nil)
)

// call begins a call, which ends with leave: a store that is closed takes none.
func (s *Store) call(ctx context.Context, what string) (within context.Context, leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if !s.calls.enter() {
		return nil, nil, fmt.Errorf("%s: %w: it is closed", what, store.ErrUnavailable)
	}
	within, cancel := context.WithTimeout(ctx, s.Timeout)
	return within, func() { cancel(); s.calls.leave() }, nil
}

// clock is the time that scripts go by: empty for that of the server.
func (s *Store) clock() string {
	if s.Now == nil {
		return ""
	}
	return decimal(s.Now().UnixMilli())
}

// now is the process's own time.
func (s *Store) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// Load implements store.Store.
func (s *Store) Load(ctx context.Context, key store.Key) (store.Record, error) {
	within, leave, err := s.call(ctx, "loading")
	if err != nil {
		return store.Record{}, err
	}
	defer leave()
	rec, err := s.load(within, key)
	if err != nil {
		return rec, failure(ctx, "loading", reading, err)
	}
	return rec, nil
}

// load returns a live record, store.ErrGone, or an error of the client.
func (s *Store) load(ctx context.Context, key store.Key) (store.Record, error) {
	args := append([]string{s.clock(), string(key.ID[:])}, s.touches.args(key)...)
	f, err := strs(s.eval(ctx, loadScript, s.base(key.Manager), args...))
	switch {
	case err != nil:
		return store.Record{}, err
	case len(f) < 10:
		return store.Record{}, fmt.Errorf("loading %s: %w", key.ID, store.ErrGone)
	}
	var d decoder
	rec := d.record(f)
	if d.err != nil {
		return store.Record{}, fmt.Errorf("loading %s: %w: %w", key.ID, store.ErrUnavailable, d.err)
	}
	rec.Data = []byte(f[8])
	if f[9] != "" {
		rec.Cookies = []byte(f[9])
	}
	s.touches.know(key, &rec)
	return rec, nil
}

// strs returns an answer that is a list of texts.
func strs(r rueidis.RedisResult) ([]string, error) {
	m, err := r.ToMessage()
	if err != nil {
		return nil, err
	}
	return m.AsStrSlice()
}

// Observe implements store.Observable.
func (s *Store) Observe(f func(store.Ended)) { s.observe = f }

// tell returns what a script has ended, by the texts that it returns, and
// tells the observer of it.
func (s *Store) tell(manager string, f []string) (ended []store.Ended) {
	for ; len(f) >= 3; f = f[3:] {
		e := store.Ended{Key: store.Key{Manager: manager, ID: store.ID([]byte(f[0]))}, Reason: store.Reason(f[1]), Principal: f[2]}
		ended = append(ended, e)
		if s.observe != nil {
			s.observe(e)
		}
	}
	return ended
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, key store.Key, reason store.Reason) error {
	within, leave, err := s.call(ctx, "deleting")
	if err != nil {
		return err
	}
	defer leave()
	f, ends, err := s.newFiling(within, key.Manager)
	if err != nil {
		return failure(ctx, "deleting", reading, err)
	}
	args := append([]string{s.clock(), string(key.ID[:]), string(reason)}, s.touches.args(key)...)
	args = append(append(args, f...), s.args(ends, key.Manager)...)
	m, err := list(s.eval(within, deleteScript, s.base(key.Manager), append(args, store.ErrorOverflow)...))
	if err != nil {
		s.Wake(ends...) // it may have happened
		return failure(ctx, "deleting", writing, err)
	}
	s.filed(key.Manager, m[0], m[1], ends)
	return nil
}

// list returns an answer that is a list.
func list(r rueidis.RedisResult) ([]rueidis.RedisMessage, error) {
	m, err := r.ToMessage()
	if err != nil {
		return nil, err
	}
	return m.ToArray()
}

// Close implements io.Closer. It writes the access times that are held.
func (s *Store) Close() error {
	if !s.calls.close() {
		return nil
	}
	s.stop()
	s.ended.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), s.Timeout)
	defer cancel()
	err := s.flush(ctx)
	s.client.Close()
	if err != nil {
		return fmt.Errorf("closing session store: writing the last access times: %w", err)
	}
	return nil
}
