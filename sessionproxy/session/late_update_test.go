package session_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// lateUpdater does not wait for its writer, which makes the change some time later.
type lateUpdater struct {
	*memstore.Store
	late sync.WaitGroup
}

func (l *lateUpdater) Update(_ context.Context, key store.Key, change func(store.Record) (store.Write, error)) (store.Record, error) {
	rec, err := l.Load(context.Background(), key)
	if err != nil {
		return store.Record{}, err
	}
	l.late.Go(func() { _, _ = change(rec) })
	return store.Record{}, store.ErrUnknown
}

// TestAnUpdateThatIsMadeLater: a store may make a change after the commit has
// given up. Under -race.
func TestAnUpdateThatIsMadeLater(t *testing.T) {
	for _, tc := range []struct {
		name    string
		changes change.Changes
		want    error
	}{
		{"a write", sessiontest.MergePatch(t, `{"b":1}`), session.ErrUnavailable},
		{"a ticket that is due", read, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := unmanaged(t)
			l := &lateUpdater{Store: s.Store}
			s.Manager = s.manager(session.Fixed(l), rotating)
			cred := s.due(`{"a":1}`)
			h := s.Open(cred)
			s.Commit(s.Open(cred), sessiontest.MergePatch(t, `{"a":2}`))
			_, err := h.Commit(t.Context(), tc.changes)
			l.late.Wait()
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
		})
	}
}
