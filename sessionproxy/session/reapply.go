package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/store"
)

// errNothingLeft says that newer data already is what the changes ask for.
var errNothingLeft = errors.New("nothing left to change")

// reapply answers a save that found a newer version, as the policy says: the
// changes are applied to what is stored now, or there is a conflict. One pass
// is enough when the store can run the change in its writer; otherwise each
// pass that fails means that another request succeeded.
func (s *Session) reapply(ctx context.Context, c *change.Changes, nonce [16]byte) (Outcome, error) {
	if err := c.BoundRework(s.rec.Data, s.m.policy.MaxSize); err != nil {
		return Outcome{}, err
	}
	var last commitPlan // what change returned
	var newer []byte    // and what it replaces
	change := func(current store.Record) (store.Write, error) {
		if err := s.mayReapply(c, &current); err != nil {
			return store.Write{}, err
		}
		next, changed, err := s.nextRecord(c, &current, nonce, s.m.now())
		if err != nil {
			return store.Write{}, err
		}
		newer = current.Data
		if !changed {
			return store.Write{}, errNothingLeft
		}
		last = next
		return next.Write, nil
	}
	rec, err := s.update(ctx, change)
	switch {
	case errors.Is(err, errNothingLeft):
		out := s.unchanged(ctx, c.CanSetTicket)
		out.Reapplied = true
		return out, nil
	case err != nil:
		return Outcome{}, saveError(err)
	}
	done := s.saved(&last, &rec, s.m.now())
	done.Reapplied, done.Overwrote = true, c.Overwrites(s.rec.Data, newer, s.m.policy.MaxSize)
	return done, nil
}

func (s *Session) update(ctx context.Context, change func(store.Record) (store.Write, error)) (store.Record, error) {
	if u, ok := store.As[store.Updater](s.store); ok {
		return u.Update(ctx, s.key, change)
	}
	for {
		current, err := s.store.Load(ctx, s.key)
		if err != nil {
			return store.Record{}, err
		}
		next, err := change(current)
		if err != nil {
			return store.Record{}, err
		}
		cond := store.IfVersion(current.Version)
		err = twice(func() error { return s.store.Save(ctx, s.key, next, cond) })
		if !errors.Is(err, store.ErrConflict) {
			return next.Record, err
		}
	}
}

// mayReapply refuses changes that were made for an older version, whatever
// the data is.
func (s *Session) mayReapply(c *change.Changes, current *store.Record) error {
	switch {
	case current.Incarnation != s.rec.Incarnation:
		return ErrGone
	case !s.cred.sameLogin(current):
		return fmt.Errorf("committing session: %w", ErrReplaced)
	}
	return c.Allow(current.Version)
}
