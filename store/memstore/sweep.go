package memstore

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// Sweep implements store.Sweeper.
func (s *Store) Sweep(ctx context.Context, now time.Time, n int) (ended int, more bool, err error) {
	leave, err := s.enter(ctx, "sweep", store.Key{})
	if err != nil {
		return 0, false, err
	}
	var dead []store.Key
	for key, rec := range s.records {
		if !rec.Alive(now) {
			dead = append(dead, key)
		}
	}
	slices.SortFunc(dead, func(a, b store.Key) int {
		x, y := s.records[a], s.records[b]
		return cmp.Or(x.Deadline().Compare(y.Deadline()), bytes.Compare(a.ID[:], b.ID[:]))
	})
	more = len(dead) > n
	var told []store.Ended
	for _, key := range dead[:min(n, len(dead))] {
		rec := s.records[key]
		told = append(told, s.end(key, rec.EndsBy()))
	}
	leave()
	s.tell(told)
	return len(told), more, nil
}
