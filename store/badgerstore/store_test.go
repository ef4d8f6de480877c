package badgerstore

import (
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/memstore"
	"github.com/sessionproxy/sessionproxy/store/storetest"
)

func TestConforms(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Options){
		"sync":        func(*Options) {},
		"async":       func(o *Options) { o.Durability = Async },
		"encrypted":   func(o *Options) { o.EncryptionKey = make([]byte, 32) },
		"compressed":  func(o *Options) { o.Compress = true },
		"no cache":    func(o *Options) { o.CacheBytes = 1 },
		"small cache": func(o *Options) { o.CacheBytes = 16 << 11 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, storetest.Engine{Open: func(t *testing.T, dir string, now func() time.Time) storetest.Closer {
				return checking{open(t, dir, func(o *Options) { o.Now = now; change(o) }), t}
			}})
		})
	}
}

// TestBackupsGoFromStoreToStore: one form for all engines.
func TestBackupsGoFromStoreToStore(t *testing.T) {
	storetest.Exchange(t, map[string]storetest.Engine{
		"badger": {Open: func(t *testing.T, dir string, now func() time.Time) storetest.Closer {
			return checking{open(t, dir, func(o *Options) { o.Now = now }), t}
		}},
		"memory": {Volatile: true, Open: func(_ *testing.T, _ string, now func() time.Time) storetest.Closer { return memstore.New(now) }},
	})
}

// to names the listeners of every event: see Store.Subscribe.
func to(listeners ...string) func(string, store.EventKind) []string {
	return func(string, store.EventKind) []string { return listeners }
}

// open opens a store that the test closes itself.
func open(t testing.TB, dir string, change func(*Options)) *Store {
	t.Helper()
	o := Options{Dir: dir, Reserve: 1, Logger: zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel))}
	if change != nil {
		change(&o)
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
