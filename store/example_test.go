package store_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// A save names the version that it builds upon. The second of two requests
// that have read the same version is refused, and has overwritten nothing.
func Example() {
	ctx := context.Background()
	sessions := memstore.New(time.Now)
	defer func() { _ = sessions.Close() }()

	key := store.Key{Manager: "shop", ID: store.ID{1}}
	now := time.Now()
	first := store.Record{
		Data:    []byte(`{"cart":[]}`),
		Created: now, Written: now, Accessed: now,
		Idle: 30 * time.Minute, Absolute: now.Add(12 * time.Hour),
		Incarnation: store.NewIncarnation(),
		Version:     store.Version{}.Next(),
	}
	fmt.Println(sessions.Save(ctx, key, store.Write{Record: first}, store.Create()))

	// Two requests read the session, and both write it.
	one, _ := sessions.Load(ctx, key)
	two := one
	one.Data, one.Version = []byte(`{"cart":["tea"]}`), first.Version.Next()
	two.Data, two.Version = []byte(`{"cart":["milk"]}`), first.Version.Next()
	fmt.Println(sessions.Save(ctx, key, store.Write{Record: one}, store.IfVersion(first.Version)))
	err := sessions.Save(ctx, key, store.Write{Record: two}, store.IfVersion(first.Version))
	fmt.Println(err, errors.Is(err, store.ErrConflict))

	stored, _ := sessions.Load(ctx, key)
	fmt.Println(string(stored.Data))
	// Output:
	// <nil>
	// <nil>
	// session record has another version true
	// {"cart":["tea"]}
}
