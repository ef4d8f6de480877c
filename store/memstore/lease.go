package memstore

import (
	"context"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// WithLeases returns the same store with the ability of store.Leaser.
func (s *Store) WithLeases() *Leasing {
	return &Leasing{Store: s, leases: make(map[store.Key]lease)}
}

// Leasing is a Store that several managers take for one that they share.
type Leasing struct {
	*Store
	leases map[store.Key]lease // protected by mu
}

type lease struct {
	holder uint64
	until  time.Time
}

var _ store.Leaser = (*Leasing)(nil)

// Lease implements store.Leaser. Before is told of it as "lease".
func (l *Leasing) Lease(ctx context.Context, key store.Key, holder uint64, ttl time.Duration) error {
	leave, err := l.enter(ctx, "lease", key)
	if err != nil {
		return err
	}
	defer leave()
	now := l.now()
	switch has, ok := l.leases[key]; {
	case ok && has.holder != holder && now.Before(has.until):
		if ttl == 0 {
			return nil
		}
		return store.ErrLeased
	case ttl == 0:
		delete(l.leases, key)
	default:
		l.leases[key] = lease{holder, now.Add(ttl)}
	}
	return nil
}
