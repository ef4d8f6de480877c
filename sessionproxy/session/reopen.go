package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// Reopen opens the session once more after its commit, for further changes of
// the same request: without lock, and without counting as activity. It must be
// ended like the first one. A session that was destroyed is ErrGone, and one
// whose ticket was replaced ErrReplaced: see Late. One that still does not
// exist can be begun.
func (s *Session) Reopen(ctx context.Context) (*Session, error) {
	n, err := s.derive()
	if err != nil {
		return nil, err
	}
	return n.reload(ctx)
}

// Late follows Reopen after ErrReplaced, with a handle like that of a late tab:
// a sign-in or regenerate begins a fresh session, and any other write is
// ErrReplaced. It must be ended, too.
func (s *Session) Late() (*Session, error) {
	n, err := s.derive()
	if err != nil {
		return nil, err
	}
	n.late = true
	if n.jar != nil {
		n.jar.replaced = n.cred
	}
	n.startNew(Expired)
	return n, nil
}

// ReopenLocked is Reopen in the session's turn: under a policy that locks it
// queues for the lock, as long as other requests would, and holds it until the
// commit. Other policies have no lock to wait for. Besides those of Reopen,
// errors wrap ErrLocked or are the cause of the context's end.
func (s *Session) ReopenLocked(ctx context.Context) (*Session, error) {
	n, err := s.derive()
	if err != nil {
		return nil, err
	}
	if err := n.lock(ctx, false); err != nil { // s is free meanwhile
		n.end()
		return nil, err
	}
	return n.reload(ctx)
}

// LocksWrites reports whether ReopenLocked may have to wait.
func (s *Session) LocksWrites() bool { return !s.readOnly && s.m.policy.Locking == Serialized }

// derive makes a handle that follows this one, which has ended. It is not
// loaded yet.
func (s *Session) derive() (*Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		return nil, errors.New("opening session again: it is still open")
	}
	if s.destroyed {
		return nil, ErrGone
	}
	st, local, err := s.m.provider.Acquire()
	if err != nil {
		return nil, unavailable("opening session again", err)
	}
	n := &Session{
		m: s.m, store: st, node: local, acquired: true, readOnly: s.readOnly, passive: s.passive,
		key: s.key, cred: s.cred, state: s.state, attempt: s.attempt, holder: s.holder, traced: s.traced, late: s.late && !s.created,
		lockLate: s.lockLate, further: true, jar: s.jar.derived(),
	}
	if s.created {
		n.state = Active
	}
	return n, nil
}

// reload reads what another has opened, and ends the handle if it cannot.
func (s *Session) reload(ctx context.Context) (*Session, error) {
	s.opened = s.m.now()
	if !s.exists() {
		s.rec = store.Record{Data: emptyData}
		return s, nil
	}
	rec, err := s.store.Load(ctx, s.key)
	switch {
	case errors.Is(err, store.ErrGone):
		err = ErrGone
	case err != nil:
		err = s.loadError(ctx, err)
	case !s.cred.sameLogin(&rec):
		err = fmt.Errorf("opening session again: %w", ErrReplaced)
	}
	if err != nil {
		s.end()
		return nil, err
	}
	s.rec = rec
	s.rereadJar()
	return s, nil
}

// KeepAlive tells how long the session lives if nothing more happens; active
// counts as activity. It is for what stays open after the commit, whatever
// ticket opens the session by then. A session that has ended is ErrGone.
func (s *Session) KeepAlive(ctx context.Context, active bool) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, _, err := s.m.provider.Acquire()
	if err != nil {
		return 0, unavailable("keeping session alive", err)
	}
	defer s.m.provider.Release()
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
			return 0, unavailable("keeping session alive", err)
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
	if s.node == nil || s.destroyed || !s.exists() && !s.created {
		return nil
	}
	return s.node.Streams.Watch(s.key, cancel)
}
