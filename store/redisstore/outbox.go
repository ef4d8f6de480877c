package redisstore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/sessionproxy/sessionproxy/store"
)

// perManager runs a script on each manager, and returns the answers with
// their managers.
func (s *Store) perManager(ctx context.Context, c *script, args ...string) (names []string, all []rueidis.RedisMessage, err error) {
	if names, err = s.names(ctx); err != nil || len(names) == 0 {
		return nil, nil, err
	}
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = s.base(name)
	}
	for _, r := range s.evalEach(ctx, c, keys, func(string) []string { return args }) {
		m, err := r.ToMessage()
		if err != nil {
			return nil, nil, err
		}
		all = append(all, m)
	}
	return names, all, nil
}

// found is a delivery, and since when it is due in milliseconds.
type found struct {
	store.Delivery
	since float64
}

// Deliveries implements store.Outbox. Of several processes one gets those of a
// listener, as long as it asks; the others get none, and the time at which it
// would have to be dead.
func (s *Store) Deliveries(ctx context.Context, listener string, n int) (due []store.Delivery, next time.Time, err error) {
	within, leave, err := s.call(ctx, "asking for deliveries")
	if err != nil {
		return nil, next, err
	}
	defer leave()
	mine, other, err := s.delivers(within, listener)
	if err != nil {
		return nil, next, failure(ctx, "asking for deliveries", reading, err)
	}
	if !mine {
		return nil, s.now().Add(other), nil
	}
	names, all, err := s.perManager(within, deliveriesScript, s.clock(), listener, decimal(n), decimal(store.MaxRetryDelay.Milliseconds()))
	if err != nil {
		return nil, next, failure(ctx, "asking for deliveries", reading, err)
	}
	var some []found
	var d decoder
	for i, m := range all {
		parts, err := m.ToArray()
		if err != nil || len(parts) != 3 {
			return nil, next, fmt.Errorf("asking for deliveries: %w: %w", store.ErrUnavailable, errFormat)
		}
		waits, _ := parts[0].AsInt64()
		s.seen(listener, names[i], int(waits))
		if at, _ := parts[1].ToString(); at != "" {
			if t := d.time(at); next.IsZero() || t.Before(next) {
				next = t
			}
		}
		list, _ := parts[2].ToArray()
		for _, m := range list {
			some = append(some, s.delivery(&d, names[i], m))
		}
	}
	if d.err != nil {
		return nil, next, fmt.Errorf("asking for deliveries: %w: %w", store.ErrUnavailable, d.err)
	}
	slices.SortStableFunc(some, func(a, b found) int { return cmp.Compare(a.since, b.since) })
	for _, f := range some[:min(n, len(some))] {
		due = append(due, f.Delivery)
	}
	if len(due) > 0 {
		next = time.Time{}
	}
	return due, next, nil
}

// delivery reads what the scripts' delivery returns.
func (s *Store) delivery(d *decoder, manager string, m rueidis.RedisMessage) (f found) {
	parts, err := m.ToArray()
	if err != nil || len(parts) < 3 {
		d.err = errFormat
		return f
	}
	id, _ := parts[0].ToString()
	state, err1 := parts[1].AsStrSlice()
	e, err2 := parts[2].AsStrSlice()
	if err1 != nil || err2 != nil || len(state) != 6 || len(e) != 14 || len(state[1]) != 16 {
		d.err = errFormat
		return f
	}
	rec := d.record(e[4:12])
	f.Delivery = store.Delivery{
		ID: id, Listener: state[0], Key: store.Key{Manager: manager, ID: store.ID([]byte(state[1]))},
		Attempts: int(d.int64(state[2])), Error: state[4], Dead: state[5] == "1",
		Kind: store.EventKind(e[0]), Reason: store.Reason(e[1]), At: d.time(e[2]),
	}
	if state[3] != "" {
		f.Next = d.time(state[3])
	}
	if e[3] != "" && json.Unmarshal([]byte(e[3]), &f.Keys) != nil {
		d.err = errFormat
	}
	f.Info = rec.Info(f.Key.ID)
	f.Info.Size = int(d.int64(e[12]))
	if f.Kind == store.EventEnded {
		f.Data = []byte(e[13])
	}
	if len(parts) > 3 {
		since, _ := parts[3].ToString()
		f.since = float64(d.int64(since))
	}
	s.where.put(id, manager)
	return f
}

// isID reports whether a text may be the ID of a delivery.
func isID(id string) bool {
	return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == ""
}

// Settle implements store.Outbox.
func (s *Store) Settle(ctx context.Context, done ...store.Settlement) error {
	within, leave, err := s.call(ctx, "settling")
	if err != nil {
		return err
	}
	defer leave()
	args := make(map[string][]string) // by manager; "" for those that may be any one's
	for _, d := range done {
		if !isID(d.ID) {
			continue // there is none
		}
		outcome, next := "retry", ""
		switch {
		case d.Delivered:
			outcome = "delivered"
		case d.Dead:
			outcome = "dead"
		}
		if !d.Next.IsZero() {
			next = decimal(max(1, d.Next.UnixMilli()))
		}
		manager, known := s.where.get(d.ID)
		if !known {
			manager = anyManager
		}
		args[manager] = append(args[manager], d.ID, outcome, next, d.Error[:min(len(d.Error), store.MaxDeliveryError)])
	}
	for manager, all := range args {
		for some := range slices.Chunk(all, 4*maxSettled) {
			if manager == anyManager {
				_, _, err = s.perManager(within, settleScript, some...)
			} else {
				err = s.eval(within, settleScript, s.base(manager), some...).Error()
			}
			if err != nil {
				return failure(ctx, "settling", writing, err)
			}
		}
	}
	return nil
}

const (
	// anyManager stands for a manager that is not known; no manager has that name.
	anyManager = "\x00any"
	// maxSettled is how many settlements, and removals, one script makes.
	maxSettled = 200
)

// Backlog implements store.Outbox.
func (s *Store) Backlog(ctx context.Context) ([]store.Backlog, error) {
	within, leave, err := s.call(ctx, "asking for the backlog")
	if err != nil {
		return nil, err
	}
	defer leave()
	_, all, err := s.perManager(within, backlogScript)
	if err != nil {
		return nil, failure(ctx, "asking for the backlog", reading, err)
	}
	of := make(map[string]store.Backlog)
	var d decoder
	for _, m := range all {
		list, _ := m.ToArray()
		for _, m := range list {
			f, err := m.AsStrSlice()
			if err != nil || len(f) != 4 {
				return nil, fmt.Errorf("asking for the backlog: %w: %w", store.ErrUnavailable, errFormat)
			}
			b := of[f[0]]
			b.Waiting += int(d.int64(f[1]))
			b.Dead += int(d.int64(f[2]))
			if at := f[3]; at != "" {
				if t := d.time(at); b.Oldest.IsZero() || t.Before(b.Oldest) {
					b.Oldest = t
				}
			}
			of[f[0]] = b
		}
	}
	s.waiting.mu.Lock()
	for listener, n := range s.waiting.overflowed {
		b := of[listener]
		b.Overflowed = n
		of[listener] = b
	}
	s.waiting.mu.Unlock()
	backlog := make([]store.Backlog, 0, len(of))
	for listener, b := range of {
		b.Listener = listener
		backlog = append(backlog, b)
	}
	slices.SortFunc(backlog, func(a, b store.Backlog) int { return strings.Compare(a.Listener, b.Listener) })
	return backlog, d.err
}
