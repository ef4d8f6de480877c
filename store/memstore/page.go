package memstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sessionproxy/sessionproxy/store"
)

// Page implements store.Pager.
func (s *Store) Page(ctx context.Context, q store.Query) (page store.Page, err error) {
	leave, err := s.enter(ctx, "page", store.Key{Manager: q.Manager})
	if err != nil {
		return page, err
	}
	defer leave()
	q.Order = cmp.Or(q.Order, store.ByCreated)
	if q.Order != store.ByCreated && q.Order != store.ByExpires {
		return page, fmt.Errorf("there is no order %q", q.Order)
	}
	var all []store.Info
	for key := range s.records {
		if rec, err := s.live(key); err == nil && key.Manager == q.Manager && (q.Principal == "" || rec.Principal == q.Principal) {
			all = append(all, rec.Info(key.ID))
		}
	}
	slices.SortFunc(all, func(a, b store.Info) int { return cmp.Compare(place(a, q.Order), place(b, q.Order)) })
	first := 0
	if q.Cursor != "" {
		after, _, _ := strings.Cut(q.Cursor, ".")
		if cursor(q, after) != q.Cursor {
			return page, store.ErrBadCursor
		}
		for first < len(all) && place(all[first], q.Order) <= after {
			first++
		}
	}
	last := min(first+q.Limit, len(all))
	page.Sessions = all[first:last]
	if last < len(all) {
		page.Next = cursor(q, place(all[last-1], q.Order))
	}
	return page, nil
}

// cursor is a place with a checksum that binds it to its listing.
func cursor(q store.Query, place string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %s", q.Manager, q.Order, q.Principal, place))
	return fmt.Sprintf("%s.%x", place, sum[:8])
}

// place is where a session stands in an order: texts that compare as it does.
func place(info store.Info, order store.Order) string {
	at := math.MaxInt64 - info.Created.UnixMilli()
	if order == store.ByExpires {
		at = info.Expires.UnixMilli()
	}
	return fmt.Sprintf("%019d%x", at, info.ID[:])
}

// Counts implements store.Counter.
func (s *Store) Counts(ctx context.Context) (all []store.Count, err error) {
	leave, err := s.enter(ctx, "counts", store.Key{})
	if err != nil {
		return nil, err
	}
	defer leave()
	counts := make(map[string]int64)
	for key := range s.records {
		counts[key.Manager]++
	}
	for manager, n := range counts {
		all = append(all, store.Count{Manager: manager, Sessions: n})
	}
	slices.SortFunc(all, func(a, b store.Count) int { return cmp.Compare(a.Manager, b.Manager) })
	return all, nil
}
