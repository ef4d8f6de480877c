package redisstore

import (
	"context"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// Die ends what keeps the store's claims, and gives none back.
func (s *Store) Die() {
	s.claims.mu.Lock()
	defer s.claims.mu.Unlock()
	s.claims.asked = nil
}

// SweepSession is the second step of Sweep, for a session that was found due.
func (s *Store) SweepSession(ctx context.Context, now time.Time, key store.Key) (int, error) {
	return s.sweep(ctx, now, []candidate{{manager: key.Manager, id: string(key.ID[:])}})
}
