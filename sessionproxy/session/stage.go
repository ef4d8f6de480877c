package session

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/store"
)

// Stage adds changes to those that Commit will make. Reading the session by
// Staged shows them; other requests do not see them before. All or nothing: after an
// error what was staged before stays.
//
// Errors wrap ErrReadOnly, ErrTooLarge, ErrBadWrite, ErrNoPath, ErrConflict (a
// JSON Patch whose test fails), ErrGone, ErrUnavailable or ErrObsolete.
func (s *Session) Stage(c change.Changes) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return ErrObsolete
	}
	if err := s.refuses(&c); err != nil {
		return err
	}
	data, err := c.Apply(s.staged(), s.m.policy.MaxSize)
	if err != nil {
		return err
	}
	pending := s.pending.Then(c)
	pending.CompactLast()
	if len(pending.Ops) > change.MaxSteps || pending.Rewrites() > maxRewrites {
		if err := pending.Squash(s.rec.Data, s.m.policy.MaxSize); err != nil {
			return err
		}
	}
	s.pending = pending
	s.view = data
	s.stagings++
	return nil
}

// What a commit has to do again on newer data is bounded: the store's writer
// does it, and all sessions wait for that one. A JSON Patch by itself stays below.
const maxRewrites = 1024

// refuses tells why a session takes no changes of that kind.
func (s *Session) refuses(c *change.Changes) error {
	switch {
	case !c.Writes():
		return nil
	case s.readOnly:
		return ErrReadOnly
	case s.late && !c.Proves() && !s.pending.Proves() && !c.Destroy:
		return fmt.Errorf("committing session: %w", ErrReplaced)
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
// after every change: the version while nothing is staged, otherwise the version
// and a counter. The caller must not change the data.
func (s *Session) Staged() (data []byte, tag string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.rec.Version.Append(nil)
	if !s.pending.Writes() {
		return s.staged(), string(b)
	}
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
	if s.pending.Writes() {
		s.publishRollback()
	}
	s.pending, s.view = change.Changes{}, nil
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
		return fmt.Errorf("%w: there are writes that are not committed", change.ErrConflict)
	case !s.exists():
		return nil
	}
	rec, err := s.store.Load(ctx, s.key)
	switch {
	case errors.Is(err, store.ErrGone):
		return ErrGone
	case err != nil:
		return s.loadError(ctx, err)
	case rec.Incarnation != s.rec.Incarnation || !s.cred.sameLogin(&rec):
		return ErrGone
	}
	s.rec, s.view = rec, nil
	s.rereadJar()
	return nil
}

// Mark is what was staged at some moment.
type Mark struct {
	of      *Session
	version store.Version
	pending change.Changes
	view    []byte
}

// Mark notes what is staged now, for UnstageTo.
func (s *Session) Mark() Mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Mark{s, s.rec.Version, s.pending, s.view}
}

// UnstageTo drops what was staged since the mark; all of it, if the mark is of
// another handle, or of data that has been read anew since.
func (s *Session) UnstageTo(m Mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.of != s || m.version != s.rec.Version {
		m = Mark{}
	}
	if s.pending.Writes() {
		s.publishRollback()
	}
	s.pending, s.view = m.pending, m.view
	s.stagings++
}
