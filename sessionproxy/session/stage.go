package session

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// Stage adds changes to those that Commit will make. Reading the session by
// Staged shows them; nobody else sees them before. All or nothing: after an
// error what was staged before stays.
//
// Errors wrap ErrReadOnly, ErrTooLarge, ErrBadWrite, ErrNoPath, ErrConflict (a
// JSON Patch whose test fails), ErrGone, ErrUnavailable or ErrObsolete.
func (s *Session) Stage(c Changes) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return ErrObsolete
	}
	if err := s.refuses(&c); err != nil {
		return err
	}
	data, err := c.data(s.staged(), s.m.policy.MaxSize)
	if err != nil {
		return err
	}
	s.pending = s.pending.then(c)
	s.pending.foldAdds()
	if len(s.pending.Steps) > maxSteps { // one replacement says the same, but for conflicts
		s.pending.Steps = []Step{Replace(data)}
	}
	s.view = data
	s.stagings++
	return nil
}

// maxSteps bounds what a commit has to do again on newer data.
const maxSteps = 256

// refuses tells why a session takes no changes of that kind.
func (s *Session) refuses(c *Changes) error {
	switch {
	case !c.writes():
		return nil
	case s.readOnly:
		return ErrReadOnly
	case s.replaced:
		return fmt.Errorf("%w: its ticket was replaced by a login", ErrGone)
	case s.state == Unavailable:
		return fmt.Errorf("committing session: %w", ErrUnavailable)
	}
	return nil
}

func (s *Session) staged() []byte {
	if s.view != nil {
		return s.view
	}
	return s.rec.Data
}

// Staged returns the data with what is staged, and a tag that is another one
// after every change. The caller must not change the data.
func (s *Session) Staged() (data []byte, tag string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.rec.Version.Append(nil)
	b = append(b, '.')
	return s.staged(), string(strconv.AppendUint(b, s.stagings, 10))
}

// HasStaged reports whether there is something that Commit would write.
func (s *Session) HasStaged() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.pending.None()
}

// Unstage drops what is staged.
func (s *Session) Unstage() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending.writes() {
		s.dropped()
	}
	s.pending, s.view = Changes{}, nil
	s.stagings++
}

// Refresh reads what is committed now into a session that has nothing staged:
// otherwise an error that wraps ErrConflict. A session that has ended, or
// whose ticket was replaced, is ErrGone.
func (s *Session) Refresh(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return ErrObsolete
	case !s.pending.None():
		return fmt.Errorf("%w: there are writes that are not committed", ErrConflict)
	case !s.exists():
		return nil
	}
	rec, err := s.store.Load(ctx, s.key)
	switch {
	case errors.Is(err, store.ErrGone):
		return ErrGone
	case err != nil:
		return s.loadError(ctx, err)
	case rec.Incarnation != s.rec.Incarnation || !s.cred.follows(&rec):
		return ErrGone
	}
	s.rec, s.view = rec, nil
	return nil
}

// Again opens the session once more after its commit, for further changes of
// the same request: without lock, and without counting as activity. It must be
// ended like the first one. A session that was destroyed is ErrGone; one that
// still does not exist can be begun.
func (s *Session) Again(ctx context.Context) (*Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		return nil, errors.New("opening session again: it is still open")
	}
	if s.destroyed || s.replaced {
		return nil, ErrGone
	}
	st, local, err := s.m.backend.Borrow()
	if err != nil {
		return nil, unavailable("opening session again", err)
	}
	n := &Session{
		m: s.m, store: st, local: local, borrowed: true, readOnly: s.readOnly, passive: s.passive,
		key: s.key, cred: s.cred, state: s.state, opened: s.m.now(), attempt: s.attempt,
	}
	if !s.created && !s.exists() {
		n.rec = store.Record{Data: emptyData}
		return n, nil
	}
	rec, err := st.Load(ctx, s.key)
	switch {
	case errors.Is(err, store.ErrGone) || err == nil && !n.cred.follows(&rec):
		err = ErrGone
	case err != nil:
		err = s.loadError(ctx, err)
	}
	if err != nil {
		n.end()
		return nil, err
	}
	n.rec, n.state = rec, Active
	return n, nil
}

// Alive tells how long the session lives if nothing more happens; active
// counts as activity. It is for what stays open after the commit, whatever
// ticket opens the session by then. A session that has ended is ErrGone.
func (s *Session) Alive(ctx context.Context, active bool) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, _, err := s.m.backend.Borrow()
	if err != nil {
		return 0, unavailable("looking after session", err)
	}
	defer s.m.backend.Return()
	rec, err := st.Load(ctx, s.key)
	switch {
	case errors.Is(err, store.ErrGone) || err == nil && s.exists() && rec.Incarnation != s.rec.Incarnation:
		return 0, ErrGone
	case err != nil:
		return 0, s.loadError(ctx, err)
	}
	now := s.m.now()
	if active && !s.readOnly && !s.passive && now.Sub(rec.Accessed) >= touchStep(&rec) {
		if err := st.Touch(ctx, store.Touch{Key: s.key, Incarnation: rec.Incarnation, Accessed: now}); err != nil {
			return 0, unavailable("looking after session", err)
		}
		rec.Accessed = now
	}
	return rec.Deadline().Sub(now), nil
}

// Watch has cancel called when the session ends: see Streams. It returns nil
// if there is no session, or none any more.
func (s *Session) Watch(cancel func()) *Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.local == nil || s.destroyed || !s.exists() && !s.created {
		return nil
	}
	return s.local.Streams.Watch(s.key, cancel)
}
