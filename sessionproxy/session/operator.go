package session

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/guard"
	"github.com/sessionproxy/sessionproxy/store"
)

// Operator ends sessions from outside of any request. What ends so is gone for
// requests that are under way, too, and its open WebSockets and event streams
// are closed. Safe for concurrent use.
type Operator struct {
	Store store.Store
	Node  *Node
}

// Revoke ends one session. It reports false if there is none.
func (o Operator) Revoke(ctx context.Context, key store.Key) (bool, error) {
	switch _, err := o.Store.Load(ctx, key); {
	case errors.Is(err, store.ErrGone):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("revoking session: %w", err)
	}
	return true, o.end(ctx, key, store.Revoked)
}

// RevokePrincipal ends all sessions of the manager that the principal is signed
// in to, but for one, if except is not nil. It returns how many it has ended,
// also together with an error. Sessions that begin meanwhile may stay.
func (o Operator) RevokePrincipal(ctx context.Context, manager, principal string, except *store.ID) (int, error) {
	if principal == "" {
		return 0, errors.New("revoking sessions of a principal: it has no name")
	}
	return o.endAll(ctx, store.Query{Manager: manager, Principal: principal}, store.Revoked, except)
}

// Purge ends all sessions of the manager, and returns how many.
func (o Operator) Purge(ctx context.Context, manager string) (int, error) {
	return o.endAll(ctx, store.Query{Manager: manager}, store.Purged, nil)
}

// atOnce is how many sessions are ended together: a store that groups commits
// writes them in one.
const atOnce = 128

func (o Operator) endAll(ctx context.Context, q store.Query, reason store.Reason, except *store.ID) (n int, err error) {
	pager := o.Node.Features.Pager
	if pager == nil {
		return 0, errors.New("ending sessions: the session store cannot list them")
	}
	q.Order, q.Limit = store.ByCreated, atOnce
	for {
		page, err := pager.Page(ctx, q)
		if err != nil {
			return n, fmt.Errorf("listing sessions to end: %w", err)
		}
		var wg sync.WaitGroup
		errs := make([]error, len(page.Sessions))
		for i, info := range page.Sessions {
			if except != nil && info.ID == *except {
				continue
			}
			n++
			wg.Go(func() {
				errs[i] = guard.Run(func() error { return o.end(ctx, store.Key{Manager: q.Manager, ID: info.ID}, reason) })
			})
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				n--
			}
		}
		if err := errors.Join(errs...); err != nil || page.Next == "" {
			return n, err
		}
		q.Cursor = page.Next
	}
}

func (o Operator) end(ctx context.Context, key store.Key, reason store.Reason) error {
	if err := o.Node.end(ctx, o.Store, key, reason); err != nil {
		return fmt.Errorf("ending session %s: %w", key.ID, err)
	}
	return nil
}
