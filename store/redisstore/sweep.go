package redisstore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"github.com/sessionproxy/sessionproxy/store"
)

// candidate is a session that may be past its deadline.
type candidate struct {
	manager, id string
	deadline    float64
}

// maxSwept is how many sessions one script ends.
const maxSwept = 100

// Sweep implements store.Sweeper. Several processes may sweep at once: each
// session ends once.
func (s *Store) Sweep(ctx context.Context, now time.Time, n int) (ended int, more bool, err error) {
	within, leave, err := s.call(ctx, "sweeping")
	if err != nil {
		return 0, false, err
	}
	defer leave()
	if err := s.flush(within); err != nil {
		return 0, false, failure(ctx, "sweeping", writing, err)
	}
	all, err := s.candidates(within, now, n)
	if err != nil {
		return 0, false, failure(ctx, "sweeping", reading, err)
	}
	if more = len(all) > n; more {
		all = all[:n]
	}
	for len(all) > 0 {
		k := 1 // those of one manager that come one after the other
		for k < len(all) && k < maxSwept && all[k].manager == all[0].manager {
			k++
		}
		some, err := s.sweep(within, now, all[:k])
		if ended += some; err != nil {
			return ended, true, failure(ctx, "sweeping", writing, err)
		}
		all = all[k:]
	}
	return ended, more, nil
}

// candidates returns the n sessions with the earliest deadlines up to now, and
// one more if there are more.
func (s *Store) candidates(ctx context.Context, now time.Time, n int) (all []candidate, err error) {
	names, err := s.names(ctx)
	if err != nil {
		return nil, err
	}
	commands := make([]rueidis.Completed, len(names))
	for i, name := range names {
		commands[i] = s.client.B().Zrangebyscore().Key(s.base(name)+"x").Min("-inf").Max(decimal(now.UnixMilli())).
			Withscores().Limit(0, int64(n)+1).Build()
	}
	for i, r := range s.client.DoMulti(ctx, commands...) {
		scores, err := r.AsZScores()
		if err != nil {
			return nil, err
		}
		for _, z := range scores {
			all = append(all, candidate{names[i], z.Member, z.Score})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.deadline, b.deadline), bytes.Compare([]byte(a.id), []byte(b.id)))
	})
	return all[:min(len(all), n+1)], nil
}

// sweep ends those of one manager that are past their deadline.
func (s *Store) sweep(ctx context.Context, now time.Time, all []candidate) (int, error) {
	manager := all[0].manager
	f, ends, err := s.newFiling(ctx, manager)
	if err != nil {
		return 0, err
	}
	args := append([]string{decimal(now.UnixMilli()), s.clock()}, f...)
	args = append(append(args, s.args(ends, manager)...), decimal(len(all)))
	for _, c := range all {
		args = append(args, c.id)
	}
	m, err := list(s.eval(ctx, sweepScript, s.base(manager), append(args, store.ErrorOverflow)...))
	if err != nil {
		s.Wake(ends...) // it may have happened
		return 0, err
	}
	if len(m) != 2 {
		return 0, fmt.Errorf("sweeping: %w", errFormat)
	}
	return len(s.filed(manager, m[0], m[1], ends)), nil
}
