package memstore

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// Subscribe implements store.Outbox.
func (s *Store) Subscribe(listeners func(manager string, kind store.EventKind) []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = listeners
}

// Filed implements store.Outbox.
func (s *Store) Filed(listener string) <-chan struct{} { return s.wakeups.Filed(listener) }

// delivery is a delivery with the record that its event is of, for a backup.
type delivery struct {
	store.Delivery
	rec store.Record
}

// file adds one delivery for each listener that subscribes to an event, and
// wakes it. They share the event's number; the place of the listener tells them
// apart. Callers hold mu.
func (s *Store) file(key store.Key, n store.Event, reason store.Reason, rec store.Record) {
	if s.listeners == nil {
		return
	}
	listeners := s.listeners(key.Manager, n.Kind)
	defer s.wakeups.Wake(listeners...)
	if len(listeners) == 0 {
		return
	}
	s.filed++
	info, keys, now := rec.Info(key.ID), slices.Clone(n.Keys), s.now()
	rec.Cookies = nil // nothing is told of cookies
	if rec.Data = bytes.Clone(rec.Data); n.Kind != store.EventEnded {
		rec.Data = nil
	}
	for i, listener := range listeners {
		if slices.Contains(listeners[:i], listener) {
			continue
		}
		d := &delivery{rec: rec, Delivery: store.Delivery{
			ID: archive.DeliveryID(uint64(s.filed), uint64(i)), Listener: listener, Kind: n.Kind, Reason: reason,
			Key: key, At: now, Keys: keys, Info: info, Data: rec.Data,
		}}
		if limit := s.limits[listener]; limit > 0 && s.waiting(listener) >= limit {
			d.Dead, d.Error = true, store.ErrorOverflow
			s.overflowed[listener]++
		}
		s.deliveries = append(s.deliveries, d)
	}
}

func (s *Store) waiting(listener string) (n int) {
	for _, d := range s.deliveries {
		if d.Listener == listener && !d.Dead {
			n++
		}
	}
	return n
}

// LimitPending implements store.Outbox.
func (s *Store) LimitPending(listener string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits[listener] = n
}

// Deliveries implements store.Outbox.
func (s *Store) Deliveries(ctx context.Context, listener string, n int) (due []store.Delivery, next time.Time, err error) {
	leave, err := s.enter(ctx, "deliveries", store.Key{})
	if err != nil {
		return nil, time.Time{}, err
	}
	defer leave()
	now, seen := s.now(), make(map[store.Key]bool)
	for _, d := range s.deliveries {
		if d.Listener != listener || d.Dead || seen[d.Key] {
			continue
		}
		seen[d.Key] = true
		if d.Next.After(now) && d.Next.Sub(now) <= store.MaxRetryDelay {
			if next.IsZero() || d.Next.Before(next) {
				next = d.Next
			}
			continue
		}
		if len(due) < n {
			due = append(due, d.Delivery)
		}
	}
	if len(due) > 0 {
		next = time.Time{}
	}
	return due, next, nil
}

// Settle implements store.Outbox.
func (s *Store) Settle(ctx context.Context, done ...store.Settlement) error {
	leave, err := s.enter(ctx, "settle", store.Key{})
	if err != nil {
		return err
	}
	defer leave()
	for _, settled := range done {
		i := slices.IndexFunc(s.deliveries, func(d *delivery) bool { return d.ID == settled.ID })
		if i < 0 {
			continue
		}
		if settled.Delivered {
			s.deliveries = slices.Delete(s.deliveries, i, i+1)
			continue
		}
		d := s.deliveries[i]
		d.Attempts++
		d.Next, d.Dead, d.Error = settled.Next, settled.Dead, settled.Error[:min(len(settled.Error), store.MaxDeliveryError)]
	}
	return nil
}

// DeadLetters implements store.Outbox.
func (s *Store) DeadLetters(ctx context.Context, after string, n int) (dead []store.Delivery, err error) {
	leave, err := s.enter(ctx, "dead_deliveries", store.Key{})
	if err != nil {
		return nil, err
	}
	defer leave()
	if _, _, ok := archive.ParseDeliveryID(after); after != "" && !ok {
		return nil, store.ErrBadCursor
	}
	for _, d := range s.deliveries {
		if d.Dead && d.ID > after && len(dead) < n {
			dead = append(dead, d.Delivery)
		}
	}
	return dead, nil
}

// RetryDeadLetter implements store.Outbox.
func (s *Store) RetryDeadLetter(ctx context.Context, id string) error {
	leave, err := s.enter(ctx, "retry_dead_letter", store.Key{})
	if err != nil {
		return err
	}
	defer leave()
	for _, d := range s.deliveries {
		if d.Dead && d.ID == id {
			d.Dead, d.Next = false, time.Time{}
			s.wakeups.Wake(d.Listener)
			return nil
		}
	}
	return store.ErrGone
}

// DeleteDeadLetter implements store.Outbox.
func (s *Store) DeleteDeadLetter(ctx context.Context, id string) error {
	leave, err := s.enter(ctx, "delete_dead_letter", store.Key{})
	if err != nil {
		return err
	}
	defer leave()
	i := slices.IndexFunc(s.deliveries, func(d *delivery) bool { return d.Dead && d.ID == id })
	if i < 0 {
		return store.ErrGone
	}
	s.deliveries = slices.Delete(s.deliveries, i, i+1)
	return nil
}

// PurgeListener implements store.Outbox.
func (s *Store) PurgeListener(ctx context.Context, listener string) (int, error) {
	leave, err := s.enter(ctx, "purge_listener", store.Key{})
	if err != nil {
		return 0, err
	}
	defer leave()
	n := len(s.deliveries)
	s.deliveries = slices.DeleteFunc(s.deliveries, func(d *delivery) bool { return d.Listener == listener })
	return n - len(s.deliveries), nil
}

// Backlog implements store.Outbox.
func (s *Store) Backlog(ctx context.Context) (all []store.Backlog, err error) {
	leave, err := s.enter(ctx, "backlog", store.Key{})
	if err != nil {
		return nil, err
	}
	defer leave()
	for _, d := range s.deliveries {
		i := slices.IndexFunc(all, func(b store.Backlog) bool { return b.Listener == d.Listener })
		if i < 0 {
			i, all = len(all), append(all, store.Backlog{Listener: d.Listener})
		}
		b := &all[i]
		if d.Dead {
			b.Dead++
			continue
		}
		if b.Waiting++; b.Oldest.IsZero() {
			b.Oldest = d.At
		}
	}
	for listener, n := range s.overflowed {
		i := slices.IndexFunc(all, func(b store.Backlog) bool { return b.Listener == listener })
		if i < 0 {
			i, all = len(all), append(all, store.Backlog{Listener: listener})
		}
		all[i].Overflowed = int64(n)
	}
	slices.SortFunc(all, func(a, b store.Backlog) int { return strings.Compare(a.Listener, b.Listener) })
	return all, nil
}
