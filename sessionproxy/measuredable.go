package sessionproxy

import (
	"context"

	"github.com/sessionproxy/sessionproxy/store"
)

// measuredUpdater is a measured store that can update, and nothing more.
type measuredUpdater struct {
	*measured
	updater store.Updater
}

// Update implements store.Updater.
func (s *measuredUpdater) Update(ctx context.Context, key store.Key, change func(store.Record) (store.Write, error)) (store.Record, error) {
	return s.updateBy(ctx, s.updater, key, change)
}

// able is a store with every optional ability.
type able interface {
	store.Store
	store.Updater
	store.Sweeper
	store.Outbox
	store.Pager
	store.Counter
	store.Archiver
	store.Reporter
	store.Observable
}

// measuredAble is a measured store with every ability. What requests do not
// ask for goes straight to the store.
type measuredAble struct {
	able
	measured *measured
}

// Load implements store.Store.
func (s *measuredAble) Load(ctx context.Context, key store.Key) (store.Record, error) {
	return s.measured.Load(ctx, key)
}

// Save implements store.Store.
func (s *measuredAble) Save(ctx context.Context, key store.Key, w store.Write, cond store.Condition) error {
	return s.measured.Save(ctx, key, w, cond)
}

// Delete implements store.Store.
func (s *measuredAble) Delete(ctx context.Context, key store.Key, end store.End) error {
	return s.measured.Delete(ctx, key, end)
}

// Touch implements store.Store.
func (s *measuredAble) Touch(ctx context.Context, touches ...store.Touch) error {
	return s.measured.Touch(ctx, touches...)
}

// Update implements store.Updater.
func (s *measuredAble) Update(ctx context.Context, key store.Key, change func(store.Record) (store.Write, error)) (store.Record, error) {
	return s.measured.updateBy(ctx, s.able, key, change)
}
