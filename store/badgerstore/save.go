package badgerstore

import (
	"context"
	"fmt"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// save decides about a conditional save.
func (b *batch) save(key store.Key, w *store.Write, cond store.Condition) error {
	current, alive, err := b.live(key)
	if err != nil {
		return err
	}
	switch {
	case alive && current.rec.Version == w.Version:
		return nil // this very save, repeated
	case cond.IsCreate() && alive:
		return store.ErrConflict
	case cond.IsCreate():
	case !alive || current.rec.Incarnation != w.Incarnation:
		return store.ErrGone
	case current.rec.Version != cond.Version():
		return store.ErrConflict
	}
	return b.stage(key, current, alive, w)
}

// update runs a change on the live record.
func (b *batch) update(key store.Key, change func(store.Record) (store.Write, error)) (store.Record, error) {
	current, alive, err := b.live(key)
	if err != nil {
		return store.Record{}, err
	}
	if !alive {
		return store.Record{}, store.ErrGone
	}
	w, err := change(current.rec)
	if err != nil {
		return store.Record{}, err
	}
	err = b.stage(key, current, alive, &w)
	return w.Record, err
}

// stage does all that a decided save brings, or nothing: the sessions that have to go, what was
// there and has expired, the record, and the events of it.
func (b *batch) stage(key store.Key, current *entry, alive bool, w *store.Write) error {
	if err := b.s.space.CheckReserve(); err != nil { // since the save was accepted
		return fmt.Errorf("saving session %s: %w", key.ID, err)
	}
	if b.s.restoring.Load() {
		return fmt.Errorf("saving session %s: a backup is being restored: %w", key.ID, store.ErrUnavailable)
	}
	w.Record = archive.Truncate(w.Record)
	if alive && current.rec.Accessed.After(w.Accessed) {
		w.Accessed = current.rec.Accessed
	}
	need := recordCost(&w.Record)
	var few [2][]string // there are no more events as a rule
	listeners := few[:0]
	for _, n := range w.Events {
		names := b.s.subscribersOf(key.Manager, n.Kind)
		listeners = append(listeners, names)
		need += eventCost(&w.Record, n, names)
	}
	replaced := current != nil && current.rec.Incarnation != w.Incarnation
	var ending []string
	if replaced {
		ending = b.s.subscribersOf(key.Manager, store.EventEnded)
		need += endCost(&current.rec, ending)
	}
	if w.Principal != "" && (!alive || current.rec.Principal != w.Principal) {
		if err := b.limit(key, w, need); err != nil {
			return err
		}
	} else if err := b.reserveBytes(need); err != nil {
		return err
	}
	if replaced {
		if err := b.end(key, current, store.Replaced, ending); err != nil {
			return err
		}
		current = nil
	}
	if err := b.stageRecord(key, current, &w.Record); err != nil {
		return err
	}
	for i, n := range w.Events {
		if err := b.file(key, n, listeners[i], "", &w.Record); err != nil {
			return err
		}
	}
	return nil
}

// stageRecord stages a record, and its places in the indexes. The place for expiry
// moves only to an earlier end: a session that lives longer than it is filed
// is filed anew by the sweep, when it finds it there.
func (b *batch) stageRecord(key store.Key, old *entry, rec *store.Record) error {
	n, err := b.number(key.Manager)
	if err != nil {
		return err
	}
	e := &entry{rec: *rec, due: dueOf(rec.Deadline())}
	ttl := b.s.ttlOf(rec.Absolute)
	stays := false // the backstop of what is filed moves with the absolute end
	if old == nil {
		b.count(n, 1)
	} else {
		e.due = min(e.due, old.due)
		stays = old.rec.Absolute.Equal(rec.Absolute)
		if err := b.unfile(n, key.ID, old, e); err != nil {
			return err
		}
	}
	if !stays || old.due != e.due {
		if err := b.expiry(n, key.ID, e.due, ttl); err != nil {
			return err
		}
	}
	same := stays && old.rec.Created.Equal(rec.Created)
	if !same {
		if err := b.set(createdKey(rec.Created, n, key.ID), nil, ttl); err != nil {
			return err
		}
	}
	if rec.Principal != "" && (!same || old.rec.Principal != rec.Principal) {
		if err := b.set(principalKey(rec.Principal, rec.Created, n, key.ID), nil, ttl); err != nil {
			return err
		}
	}
	raw := sessionKey(n, key.ID)
	if err := b.set(raw, e.encode(raw), ttl); err != nil {
		return err
	}
	b.overlay[key] = e
	b.staged++
	return nil
}

// unfile takes a session out of the places that it has and leaves.
func (b *batch) unfile(n number, id store.ID, old, next *entry) error {
	moved := !old.rec.Created.Equal(next.rec.Created)
	if old.due != next.due {
		// What the access key says of the place would win.
		for _, raw := range [...][]byte{expiryKey(old.due, n, id), accessKey(n, id)} {
			if err := b.remove(raw); err != nil {
				return err
			}
		}
	}
	if moved {
		if err := b.remove(createdKey(old.rec.Created, n, id)); err != nil {
			return err
		}
	}
	if old.rec.Principal != "" && (moved || old.rec.Principal != next.rec.Principal) {
		return b.remove(principalKey(old.rec.Principal, old.rec.Created, n, id))
	}
	return nil
}

// expiry files a session where the sweep will find it.
func (b *batch) expiry(n number, id store.ID, due int64, ttl uint64) error {
	if was, ok := b.filed[n]; !ok || due < was {
		setIn(&b.filed, n, due)
	}
	if due < b.watermark(n) { // the clock was set back, or it comes from a backup
		if err := b.writeWatermark(n, due); err != nil {
			return err
		}
	}
	return b.set(expiryKey(due, n, id), nil, ttl)
}

// recordCost is at most what a record and its places take of a transaction.
func recordCost(r *store.Record) int { return len(r.Data) + len(r.Cookies) + len(r.Principal) + 1024 }

// The largest records that are taken; a batch of one must fit a transaction.
const (
	maxData      = store.MaxData
	maxPrincipal = store.MaxPrincipal
	maxManager   = 1 << 10
	maxEvents    = store.MaxData + 64<<10 // what all events of a save take, but for the data
)

// Save implements store.Store.
func (s *Store) Save(ctx context.Context, key store.Key, w store.Write, cond store.Condition) (err error) {
	defer s.awaitRepair(ctx, &err)
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if err := s.writable(key, &w); err != nil {
		return err
	}
	return s.writer.do(ctx, &op{key: key, run: func(b *batch) error {
		return b.save(key, &w, cond)
	}})
}

// Update implements store.Updater.
func (s *Store) Update(ctx context.Context, key store.Key, change func(store.Record) (store.Write, error)) (_ store.Record, err error) {
	defer s.awaitRepair(ctx, &err)
	if err := s.enter(ctx); err != nil {
		return store.Record{}, err
	}
	defer s.leave()
	if err := s.writable(key, &store.Write{}); err != nil {
		return store.Record{}, err
	}
	var saved store.Record
	err = s.writer.do(ctx, &op{key: key, run: func(b *batch) (err error) {
		rec, err := b.update(key, func(current store.Record) (store.Write, error) {
			next, err := change(current)
			if err == nil {
				err = s.writable(key, &next)
			}
			return next, err
		})
		saved = rec
		return err
	}})
	if err != nil {
		return store.Record{}, err // saved may still be written by the batch
	}
	return saved, nil
}

// Delete implements store.Store. It is done even when disk space is short:
// users want to log out, and the reserve has room for it. What the
// listeners are to be told holds the data once more, and may be a lot if many
// sessions end: it is left half of the reserve.
func (s *Store) Delete(ctx context.Context, key store.Key, reason store.Reason) (err error) {
	defer s.awaitRepair(ctx, &err)
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if len(s.subscribersOf(key.Manager, store.EventEnded)) > 0 {
		if err := s.space.CheckHalfReserve(); err != nil {
			return fmt.Errorf("ending session %s: %w", key.ID, err)
		}
	}
	return s.writer.do(ctx, &op{key: key, run: func(b *batch) error {
		return b.delete(key, reason)
	}})
}

// writable refuses what cannot be stored, and everything when space is short.
func (s *Store) writable(key store.Key, w *store.Write) error {
	rec, events := &w.Record, 0
	for _, n := range w.Events {
		events += eventCost(rec, n, s.subscribersOf(key.Manager, n.Kind))
	}
	switch {
	case events > maxEvents:
		return fmt.Errorf("saving session %s: its events take %d bytes, at most %d can be stored", key.ID, events, maxEvents)
	case len(rec.Data) > maxData:
		return fmt.Errorf("saving session %s: %d bytes of data, at most %d can be stored", key.ID, len(rec.Data), maxData)
	case len(rec.Cookies) > store.MaxCookies:
		return fmt.Errorf("saving session %s: %d bytes of cookies, at most %d can be stored", key.ID, len(rec.Cookies), store.MaxCookies)
	case len(rec.Principal) > maxPrincipal:
		return fmt.Errorf("saving session %s: the principal has %d bytes, at most %d can be stored", key.ID, len(rec.Principal), maxPrincipal)
	case len(key.Manager) > maxManager:
		return fmt.Errorf("saving session %s: the manager's name has %d bytes, at most %d can be stored", key.ID, len(key.Manager), maxManager)
	}
	return s.space.CheckReserve()
}
