package redisstore

import (
	"context"
	"fmt"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// Lease implements store.Leaser.
func (s *Store) Lease(ctx context.Context, key store.Key, holder uint64, ttl time.Duration) error {
	within, leave, err := s.call(ctx, "leasing")
	if err != nil {
		return err
	}
	defer leave()
	n, err := s.eval(within, leaseScript, s.base(key.Manager), s.clock(), string(key.ID[:]), decimal(holder), decimal(ttl.Milliseconds())).AsInt64()
	switch {
	case err != nil:
		return failure(ctx, "leasing", writing, err)
	case n == 0:
		return fmt.Errorf("leasing %s: %w", key.ID, store.ErrLeased)
	}
	return nil
}
