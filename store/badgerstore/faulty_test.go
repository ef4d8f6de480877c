package badgerstore

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// faulty is a store whose files a test takes away. Its pauses end when the
// test says so.
type faulty struct {
	*Store
	t      *testing.T
	dir    string
	retry  chan time.Time // lets the next attempt to open the store begin
	inodes atomic.Int64
}

func openFaulty(t *testing.T, dir string, change func(*Options)) *faulty {
	t.Helper()
	f := &faulty{t: t, dir: dir, retry: make(chan time.Time)}
	f.inodes.Store(-1)
	at := make(chan time.Time)
	close(at)
	f.Store = open(t, dir, func(o *Options) {
		o.Durability = Async
		o.inodes = func(string) (int64, error) { return f.inodes.Load(), nil }
		o.after = func(d time.Duration) <-chan time.Time {
			switch d {
			case repairTimeout:
				return at
			case closeTimeout:
				return time.After(d)
			}
			return f.retry
		}
		if change != nil {
			change(o)
		}
	})
	return f
}

// block has the engine fail to make files of these names, since directories
// have them; free removes those again.
func (f *faulty) block(names ...string) (free func()) {
	f.t.Helper()
	for _, name := range names {
		if err := os.Mkdir(filepath.Join(f.dir, name), 0o700); err != nil {
			f.t.Fatal(err)
		}
	}
	return func() {
		for _, name := range names {
			if err := os.RemoveAll(filepath.Join(f.dir, name)); err != nil {
				f.t.Error(err)
			}
		}
	}
}

// tables are names of the tables that come next: the engine takes another
// number at each attempt.
func tables(from int) (names []string) {
	for n := range 300 {
		names = append(names, fmt.Sprintf("%06d.sst", from+n))
	}
	return names
}

// fill saves sessions until one is refused, and returns those that were
// acknowledged, and the refusal.
func (f *faulty) fill() (saved []store.Key, refused error) {
	f.t.Helper()
	data := strings.Repeat("x", 200<<10)
	for n := range 1000 {
		key := store.Key{Manager: "shop", ID: store.ID{1, byte(n), byte(n >> 8)}}
		err := f.Save(f.t.Context(), key, store.Write{Record: record(data)}, store.Create())
		if err != nil {
			return saved, err
		}
		saved = append(saved, key)
	}
	f.t.Fatal("nothing was refused")
	return nil, nil
}

// until waits for a condition that comes with the engine's own pace.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come", what)
		}
	}
}

func (f *faulty) all(keys []store.Key) {
	f.t.Helper()
	for _, key := range keys {
		if _, err := f.Load(f.t.Context(), key); err != nil {
			f.t.Fatalf("%s was acknowledged: %v", key.ID, err)
		}
	}
}

// newID returns an ID that no other session of a test has.
func newID() (id store.ID) {
	_, _ = rand.Read(id[:])
	return id
}

func (f *faulty) writable() error {
	rec := record("x")
	return f.Save(f.t.Context(), store.Key{Manager: "shop", ID: newID()}, store.Write{Record: rec}, store.Create())
}
