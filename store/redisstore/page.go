package redisstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"iter"

	"github.com/redis/rueidis"

	"github.com/sessionproxy/sessionproxy/store"
)

// pageOfList is how many sessions a script looks at for List.
const pageOfList = 200

// List implements store.Store.
func (s *Store) List(ctx context.Context, manager string, after store.ID) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		last := ""
		if after != (store.ID{}) {
			last = string(after[:])
		}
		for {
			some, next, err := s.list(ctx, manager, last)
			if err != nil {
				yield(store.Info{}, err)
				return
			}
			for _, info := range some {
				if !yield(info, nil) {
					return
				}
			}
			if last = next; last == "" {
				return
			}
		}
	}
}

func (s *Store) list(ctx context.Context, manager, after string) (some []store.Info, next string, err error) {
	within, leave, err := s.call(ctx, "listing")
	if err != nil {
		return nil, "", err
	}
	defer leave()
	if err := s.flush(within); err != nil {
		return nil, "", failure(ctx, "listing", reading, err)
	}
	m, err := list(s.eval(within, listScript, s.base(manager), s.clock(), after, decimal(pageOfList)))
	if err != nil {
		return nil, "", failure(ctx, "listing", reading, err)
	}
	if next, err = m[0].ToString(); err != nil {
		return nil, "", failure(ctx, "listing", reading, err)
	}
	some, _, err = infos(m[1])
	return some, next, err
}

// infos reads what scripts tell of sessions, and what may follow that.
func infos(m rueidis.RedisMessage) (all []store.Info, rest []string, err error) {
	list, err := m.ToArray()
	if err != nil {
		return nil, nil, err
	}
	var d decoder
	for _, m := range list {
		f, err := m.AsStrSlice()
		if err != nil {
			return nil, nil, err
		}
		all = append(all, d.info(f))
		if len(f) > 10 {
			rest = append(rest, f[10])
		}
	}
	if d.err != nil {
		return nil, nil, fmt.Errorf("listing: %w: %w", store.ErrUnavailable, d.err)
	}
	return all, rest, nil
}

// Page implements store.Pager.
func (s *Store) Page(ctx context.Context, q store.Query) (page store.Page, err error) {
	within, leave, err := s.call(ctx, "listing")
	if err != nil {
		return page, err
	}
	defer leave()
	q.Order = cmp.Or(q.Order, store.ByCreated)
	if q.Order != store.ByCreated && q.Order != store.ByExpires {
		return page, fmt.Errorf("listing: there is no order %q", q.Order)
	}
	score, id := "", ""
	if q.Cursor != "" {
		var ok bool
		if score, id, ok = parseCursor(q); !ok {
			return page, fmt.Errorf("listing: %w", store.ErrBadCursor)
		}
	}
	if err := s.flush(within); err != nil {
		return page, failure(ctx, "listing", reading, err)
	}
	m, err := s.eval(within, pageScript, s.base(q.Manager), s.clock(), string(q.Order), q.Principal, decimal(q.Limit), score, id).ToMessage()
	if err != nil {
		return page, failure(ctx, "listing", reading, err)
	}
	all, scores, err := infos(m)
	if err != nil {
		return page, err
	}
	if len(all) > q.Limit {
		all = all[:q.Limit]
		page.Next = cursor(q, scores[len(all)-1], string(all[len(all)-1].ID[:]))
	}
	page.Sessions = all
	return page, nil
}

// cursor is a place in a listing, with a checksum that binds it to the listing.
func cursor(q store.Query, score, id string) string {
	place := id + score
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %s", q.Manager, q.Order, q.Principal, place))
	return base64.RawURLEncoding.EncodeToString(append(sum[:8:8], place...))
}

// parseCursor reads what cursor wrote for the same listing, and nothing else.
func parseCursor(q store.Query) (score, id string, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	if err != nil || len(b) < 8+16 {
		return "", "", false
	}
	id, score = string(b[8:24]), string(b[24:])
	return score, id, cursor(q, score, id) == q.Cursor
}

// Counts implements store.Counter.
func (s *Store) Counts(ctx context.Context) ([]store.Count, error) {
	within, leave, err := s.call(ctx, "counting")
	if err != nil {
		return nil, err
	}
	defer leave()
	names, err := s.names(within)
	if err != nil {
		return nil, failure(ctx, "counting", reading, err)
	}
	commands := make([]rueidis.Completed, len(names))
	for i, name := range names {
		commands[i] = s.client.B().Zcard().Key(s.base(name) + "x").Build()
	}
	var all []store.Count
	for i, r := range s.client.DoMulti(within, commands...) {
		n, err := r.AsInt64()
		if err != nil {
			return nil, failure(ctx, "counting", reading, err)
		}
		all = append(all, store.Count{Manager: names[i], Sessions: n})
	}
	return all, nil
}
