package redisstore

import (
	"context"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// SweepSession is the second step of Sweep, for a session that was found due.
func (s *Store) SweepSession(ctx context.Context, now time.Time, key store.Key) (int, error) {
	return s.sweep(ctx, now, []candidate{{manager: key.Manager, id: string(key.ID[:])}})
}
