package event_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/delivery"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// carts gives back what was reserved for a cart, when its session ends.
type carts struct{ released chan string }

// Handle must bear being done twice: an event is told at least once.
func (c carts) Handle(_ context.Context, e event.Event) error {
	c.released <- fmt.Sprintf("%s, %s: %s", e.Kind, e.Reason, e.Data)
	return nil
}

// A listener hears of a session's end in any case: by a logout, by an
// operator, or by its timeout; after a crash as well. Here an app signs out.
func ExampleListener() {
	ctx := context.Background()
	mine := carts{released: make(chan string, 1)}
	listeners := []event.Subscription{{Name: "carts", Kinds: []event.Kind{event.Delete}, Listener: mine}}

	sessions := memstore.New(time.Now)
	provider := session.Fixed(sessions)
	_, node, err := provider.Acquire()
	if err != nil {
		panic(err)
	}
	defer provider.Release()
	manager, err := session.NewManager("shop", session.DefaultPolicy(), session.Options{
		Provider: provider, Listeners: listeners,
		NewCredential: func() (c session.Credential) { // with tickets: sessionproxy.CredentialSource
			_, _ = rand.Read(c.ID[:])
			_, _ = rand.Read(c.Nonce[:])
			return c
		},
	})
	if err != nil {
		panic(err)
	}
	// The service tells the listeners, beside the requests.
	done := node.Subscriptions.Add(map[string][]event.Subscription{manager.ID(): listeners})
	defer done()
	service := delivery.Start(node.Features, node.Subscriptions, node.Events, delivery.Options{})
	defer func() { _ = service.Close() }()

	visit, err := manager.Open(ctx, session.Request{})
	if err != nil {
		panic(err)
	}
	begun, err := visit.Commit(ctx, change.Changes{Ops: []change.Op{change.Replace([]byte(`{"cart":["tea"]}`))}})
	if err != nil {
		panic(err)
	}
	logout, err := manager.Open(ctx, session.Request{Credentials: []session.Credential{*begun.Ticket}})
	if err != nil {
		panic(err)
	}
	if _, err := logout.Commit(ctx, change.Changes{Destroy: true}); err != nil {
		panic(err)
	}
	fmt.Println(<-mine.released)
	// Output: delete, destroyed: {"cart":["tea"]}
}
