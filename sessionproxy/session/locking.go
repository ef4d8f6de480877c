package session

import (
	"context"
	"errors"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/lock"
)

func (s *Session) lock(ctx context.Context, exclusive bool) error {
	if s.readOnly || s.m.policy.Locking != Serialized && !exclusive {
		return nil
	}
	wait, begin := s.m.policy.Wait, time.Now()
	if err := s.acquire(ctx); err != nil {
		return err
	}
	s.locked = true
	shared := s.node.leases
	if shared == nil {
		return nil
	}
	l, err := shared.Take(ctx, s.key, wait-time.Since(begin))
	switch {
	case errors.Is(err, lock.ErrLocked):
		return err
	case err != nil:
		return s.loadError(ctx, err)
	}
	s.lease = l
	return nil
}

func (s *Session) unlock() {
	if s.locked {
		s.locked = false
		if s.lease != nil {
			s.lease.Release()
			s.lease = nil
		}
		s.node.Locks.Release(s.key)
	}
}

// acquire takes the session's lock, and has the waiting for it followed.
func (s *Session) acquire(ctx context.Context) error {
	if s.node.Locks.Try(s.key, s.holder) {
		return nil
	}
	ctx, t := s.m.trace(ctx, TraceLockWait)
	err := s.node.Locks.Acquire(ctx, s.key, s.holder, s.m.policy.Wait, s.m.policy.Queue)
	t.end(s, traceOK, err)
	return err
}
