package badgerstore_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/badgerstore"
)

// What was saved is there when the store is opened again.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "sessions")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	options := badgerstore.Options{Dir: dir, Durability: badgerstore.Sync, Reserve: 1 << 20}
	ctx, key := context.Background(), store.Key{Manager: "shop", ID: store.ID{1}}

	sessions, err := badgerstore.Open(options)
	if err != nil {
		panic(err)
	}
	now := time.Now()
	record := store.Record{
		Data:    []byte(`{"cart":["tea"]}`),
		Created: now, Written: now, Accessed: now,
		Idle: 30 * time.Minute, Absolute: now.Add(12 * time.Hour),
		Incarnation: store.NewIncarnation(),
		Version:     store.Version{}.Next(),
	}
	fmt.Println(sessions.Save(ctx, key, store.Write{Record: record}, store.Create()))
	fmt.Println(sessions.Close())

	if sessions, err = badgerstore.Open(options); err != nil {
		panic(err)
	}
	defer func() { _ = sessions.Close() }()
	stored, err := sessions.Load(ctx, key)
	fmt.Println(string(stored.Data), err)
	// Output:
	// <nil>
	// <nil>
	// {"cart":["tea"]} <nil>
}
