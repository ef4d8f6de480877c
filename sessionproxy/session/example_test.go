package session_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// carts gives back what was reserved for a cart, when its session ends.
type carts struct{ released chan string }

// Hear must bear being done twice: an event is told at least once.
func (c carts) Hear(_ context.Context, e session.Event) error {
	c.released <- fmt.Sprintf("%s, %s: %s", e.Kind, e.Reason, e.Data)
	return nil
}

// A listener hears of a session's end in any case: by a logout, by an
// operator, or by its timeout; after a crash as well. Here an app signs out.
func ExampleListener() {
	ctx := context.Background()
	mine := carts{released: make(chan string, 1)}
	listeners := []session.Subscription{{Name: "carts", Kinds: []session.EventKind{session.EventDelete}, Listener: mine}}

	sessions := memstore.New(time.Now)
	backend := session.Fixed(sessions)
	_, local, err := backend.Borrow()
	if err != nil {
		panic(err)
	}
	defer backend.Return()
	manager, err := session.NewManager("shop", session.DefaultPolicy(), session.Options{
		Backend: backend, Listeners: listeners,
		Mint: func() (c session.Credential) { // with tickets: sessionproxy.Mint
			_, _ = rand.Read(c.ID[:])
			_, _ = rand.Read(c.Nonce[:])
			return c
		},
	})
	if err != nil {
		panic(err)
	}
	// The keeper tells the listeners, beside the requests.
	done := local.Listeners.Use(map[string][]session.Subscription{manager.ID(): listeners})
	defer done()
	keeper := session.StartKeeper(sessions, local, session.KeeperOptions{})
	defer func() { _ = keeper.Close() }()

	visit, err := manager.Open(ctx, session.Request{})
	if err != nil {
		panic(err)
	}
	begun, err := visit.Commit(ctx, session.Changes{Steps: []session.Step{session.Replace([]byte(`{"cart":["tea"]}`))}})
	if err != nil {
		panic(err)
	}
	logout, err := manager.Open(ctx, session.Request{Credentials: []session.Credential{*begun.Ticket}})
	if err != nil {
		panic(err)
	}
	if _, err := logout.Commit(ctx, session.Changes{Destroy: true}); err != nil {
		panic(err)
	}
	fmt.Println(<-mine.released)
	// Output: delete, destroyed: {"cart":["tea"]}
}
