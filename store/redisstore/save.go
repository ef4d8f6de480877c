package redisstore

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/sessionproxy/sessionproxy/store"
)

// Save implements store.Store.
func (s *Store) Save(ctx context.Context, key store.Key, w store.Write, cond store.Condition) error {
	within, leave, err := s.call(ctx, "saving")
	if err != nil {
		return err
	}
	defer leave()
	_, err = s.save(ctx, within, key, planned{w, eventsOf(w)}, cond)
	return err
}

// event is an event, and the record that was saved with it.
type event struct {
	store.Event
	record store.Record
}

func eventsOf(w store.Write) []event {
	events := make([]event, len(w.Events))
	for i, e := range w.Events {
		events[i] = event{e, w.Record}
	}
	return events
}

// planned is a write, with the events of all those that it stands for.
type planned struct {
	store.Write
	events []event
}

// save returns the record as it was saved. ctx is the caller's, of which within is a part.
func (s *Store) save(ctx, within context.Context, key store.Key, w planned, cond store.Condition) (store.Record, error) {
	expected := cond.Version().String()
	if !cond.IsCreate() && expected == "" { // no record has the zero version
		return store.Record{}, fmt.Errorf("saving %s: %w", key.ID, store.ErrGone)
	}
	f, ends, err := s.newFiling(within, key.Manager)
	if err != nil {
		return store.Record{}, failure(ctx, "saving", reading, err)
	}
	args, told := s.saveArgs(key, w, expected, f, ends)
	m, err := list(s.eval(within, saveScript, s.base(key.Manager), args...))
	var outcome string
	if err == nil {
		outcome, err = m[0].ToString()
	}
	if err != nil {
		s.Wake(told...) // it may have happened
		return store.Record{}, failure(ctx, "saving", writing, err)
	}
	switch outcome {
	case "conflict":
		err = store.ErrConflict
	case "gone":
		err = store.ErrGone
	case "limit":
		err = store.ErrLimit
	default:
		accessed, _ := m[1].ToString()
		var d decoder
		w.Accessed = d.time(accessed)
		s.filed(key.Manager, m[2], m[3], told)
		s.touches.know(key, &w.Record)
		return w.Record, nil
	}
	return store.Record{}, fmt.Errorf("saving %s: %w", key.ID, err)
}

// saveArgs returns the arguments of the script, and the listeners of which it may
// store deliveries.
func (s *Store) saveArgs(key store.Key, w planned, expected string, filing, ends []string) (args, told []string) {
	fs := fields(&w.Record)
	args = append(args, s.clock(), string(key.ID[:]), expected)
	args = append(append(args, fs[:]...), string(w.Data), string(w.Cookies), decimal(w.Limit.Sessions), flag(w.Limit.Evict))
	args = append(append(args, s.touches.args(key)...), filing...)
	args = append(append(args, s.args(ends, key.Manager)...), decimal(len(w.events)))
	told = slices.Clone(ends)
	for _, e := range w.events {
		to := s.subscribers(key.Manager, e.Kind)
		told = append(told, to...)
		args = append(args, s.args(to, key.Manager)...)
		keys, _ := json.Marshal(e.Keys) // of texts: it cannot fail
		fs := fields(&e.record)
		pairs := []string{"kind", string(e.Kind), "keys", string(keys), "z", decimal(len(e.record.Data))}
		for i, name := range fieldNames {
			pairs = append(pairs, name, fs[i])
		}
		args = append(append(args, decimal(len(pairs))), pairs...)
	}
	return append(args, store.ErrorOverflow), told
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
