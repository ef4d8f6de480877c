package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/store"
)

// persist carries out a plan for the record as it was loaded. If the store holds
// a newer one the changes are planned again for that, as the policy says. It
// returns the plan that was carried out, with the record as it is stored now.
func (s *Session) persist(ctx context.Context, c change.Changes, p commitPlan) (commitPlan, error) {
	switch p.step {
	case stepNone:
		return s.confirm(ctx, c, p)
	case stepMinor:
		next, err := s.replan(ctx, c, p)
		if err == nil {
			return next, nil
		}
		// The old ticket stays, and the next request tries again.
		return s.confirm(ctx, c, commitPlan{unconfirmed: true})
	case stepEnd:
		if !c.Destroy { // the last cookie goes, unless another has come meanwhile
			return s.replan(ctx, c, p)
		}
		return p, s.destroy(ctx)
	case stepSave:
	}
	cond := store.IfVersion(s.rec.Version)
	if !s.exists() {
		cond = store.Create()
	}
	err := twice(func() error { return s.store.Save(ctx, s.key, p.Write, cond) })
	if errors.Is(err, store.ErrConflict) && s.exists() {
		return s.replan(ctx, c, p)
	}
	return p, saveError(err)
}

// buildsOnData reports whether it matters to the changes which data is stored.
func buildsOnData(c *change.Changes) bool { return len(c.Ops) > 0 || c.IfVersion != nil }

// confirm settles a plan that changes nothing of what was loaded. If others
// have changed that meanwhile it may be a change after all. And the browser gets the
// current ticket, if it has another one, or if a new lifetime is due, but
// not over that of a login, or a logout, meanwhile.
func (s *Session) confirm(ctx context.Context, c change.Changes, p commitPlan) (commitPlan, error) {
	builds := buildsOnData(&c)
	if !s.exists() || !builds && !s.renewTicket && s.cred.Nonce == s.rec.Nonce {
		return p, nil
	}
	rec, err := s.store.Load(ctx, s.key)
	switch {
	case err != nil && builds:
		return p, saveError(err)
	case err == nil && builds && rec.Version != s.rec.Version:
		return s.replan(ctx, c, p)
	case err != nil || rec.Incarnation != s.rec.Incarnation || !s.cred.sameLogin(&rec):
		p.unconfirmed = true // the next request gets it, or does not need it
	default:
		p.Record = rec
	}
	return p, nil
}

// errNothingLeft says that newer data already is what the changes ask for.
var errNothingLeft = errors.New("nothing left to change")

// replan plans the changes again for what is stored now, and carries that out
// in one step. One pass is enough when the store can run it in its writer;
// otherwise each pass that fails means that another request succeeded.
func (s *Session) replan(ctx context.Context, changes change.Changes, first commitPlan) (commitPlan, error) {
	c := &changes
	if err := c.BoundRework(s.rec.Data, s.m.policy.MaxSize); err != nil {
		return commitPlan{}, err
	}
	p, err := s.replanOnce(ctx, c)
	if errors.Is(err, store.ErrUnknown) && first.step == stepMinor { // finds it done, or does it
		p, err = s.replanOnce(ctx, c)
	}
	switch {
	case errors.Is(err, errNothingLeft):
		return p, nil
	case err == nil && p.step == stepEnd:
		return p, s.destroy(ctx)
	}
	return p, saveError(err)
}

// replanOnce is replan, but for errors. What it plans with is its own: a store
// that has returned ErrUnknown may plan later.
func (s *Session) replanOnce(ctx context.Context, c *change.Changes) (commitPlan, error) {
	var p commitPlan
	var before []byte // the data that it replaces
	rec, err := s.update(ctx, func(current store.Record) (w store.Write, err error) {
		p, err = s.plan(c, &current)
		switch before = current.Data; {
		case err != nil:
		case p.step == stepNone:
			err = errNothingLeft
		case p.step == stepEnd:
			p.close()
		}
		return p.Write, err
	})
	switch {
	case errors.Is(err, errNothingLeft):
		return p, err
	case err != nil:
		return commitPlan{}, err
	case p.step == stepMinor && s.node.Features.Updater == nil:
		// Two that rotate one version make the same new one, and a store takes
		// the second save for a repetition of the first.
		if rec, err = s.store.Load(ctx, s.key); err != nil {
			return commitPlan{}, err
		}
		p.rotated = p.rotated && rec.Nonce == p.Nonce
		p.unconfirmed = !s.cred.sameLogin(&rec)
	}
	p.Record = rec
	p.overwrote = p.step == stepSave && p.reapplied && c.Overwrites(s.rec.Data, before, s.m.policy.MaxSize)
	return p, nil
}

// close keeps out every other request until the session has ended: a deletion
// is unconditional, and would take what they save in between. Its ticket is
// one that no browser has.
func (p *commitPlan) close() {
	replaceTicket(&p.Record, newNonce(), p.at)
	p.Version = p.Version.Next()
}

func (s *Session) update(ctx context.Context, change func(store.Record) (store.Write, error)) (store.Record, error) {
	if u := s.node.Features.Updater; u != nil {
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

func (s *Session) destroy(ctx context.Context) error {
	s.destroyed = true
	if !s.exists() {
		return nil
	}
	if err := s.node.end(ctx, s.store, s.key, store.Destroyed); err != nil {
		s.destroyed = false
		return unavailable("destroying session", err)
	}
	return nil
}

func saveError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrGone):
		return fmt.Errorf("committing session: %w", ErrGone)
	case errors.Is(err, store.ErrConflict):
		return fmt.Errorf("committing session: %w", change.ErrConflict)
	case errors.Is(err, store.ErrLimit):
		return fmt.Errorf("committing session: %w", ErrPrincipalLimit)
	}
	for _, own := range []error{ErrGone, change.ErrConflict, change.ErrTooLarge, change.ErrBadWrite, change.ErrNoPath} {
		if errors.Is(err, own) {
			return err
		}
	}
	return unavailable("committing session", err)
}
