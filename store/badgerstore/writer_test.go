package badgerstore

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/store"
)

func TestManyLargeUpdatesOfOneRecord(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	defer shut(t, s)
	create(t, s, keyOf(1), "")
	grow := func(r store.Record) (store.Write, error) {
		r.Data, r.Version = bytes.Repeat([]byte{'x'}, maxData-len(r.Data)%2-1), r.Version.Next()
		return store.Write{Record: r}, nil
	}
	entered, gate := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := s.Update(t.Context(), keyOf(2), nil); !errors.Is(err, store.ErrGone) {
			t.Errorf("got %v", err)
		}
		_, err := s.Update(t.Context(), keyOf(1), func(r store.Record) (store.Write, error) {
			close(entered)
			<-gate
			return grow(r)
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-entered
	const n = 40
	for range n {
		wg.Go(func() {
			if _, err := s.Update(t.Context(), keyOf(1), grow); err != nil {
				t.Error(err)
			}
		})
	}
	for len(s.writer.ops) < n {
		runtime.Gosched()
	}
	close(gate)
	wg.Wait()
	rec, err := s.Load(t.Context(), keyOf(1))
	if err != nil || rec.Version.Counter != n+2 {
		t.Fatalf("version %s, want the %dth: %v", rec.Version, n+2, err)
	}
}

func TestManagerNumbersAreGivenOnce(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	create(t, s, store.Key{Manager: "first"}, "")
	b := newBatch(s)
	lost, err := b.number("second")
	b.txn.Discard()
	if err != nil {
		t.Fatal(err)
	}
	create(t, s, store.Key{Manager: "third"}, "")
	shut(t, s)
	s = open(t, dir, nil)
	defer shut(t, s)
	create(t, s, store.Key{Manager: "fourth"}, "")
	given := map[number]string{lost: "second"}
	for _, name := range []string{"first", "third", "fourth"} {
		n, ok := s.managers.number(name)
		if other, taken := given[n]; !ok || taken {
			t.Errorf("%s has the number of %q", name, other)
		}
		given[n] = name
	}
}

func TestDamagedRecordIsGone(t *testing.T) {
	s := open(t, t.TempDir(), func(o *Options) { o.CacheBytes = 1; o.Logger = zap.NewNop() })
	defer shut(t, s)
	create(t, s, keyOf(1), "secret")
	n, _ := s.managers.number("shop")
	raw := sessionKey(n, keyOf(1).ID)
	err := s.db.Update(func(txn *badger.Txn) error {
		item, err := txn.Get(raw)
		if err != nil {
			return err
		}
		b, err := item.ValueCopy(nil)
		if err != nil {
			return err
		}
		b[len(b)-1] ^= 1
		return txn.Set(raw, b)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context(), keyOf(1)); !errors.Is(err, store.ErrGone) {
		t.Fatalf("got %v", err)
	}
	if s.Stats().Damaged == 0 {
		t.Fatal("not counted")
	}
}

func TestAPanicInAChangeEndsOnlyThatChange(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	defer shut(t, s)
	rec := create(t, s, keyOf(1), "x")
	_, err := s.Update(t.Context(), keyOf(1), func(store.Record) (store.Write, error) { panic("oops") })
	if err == nil || !strings.Contains(err.Error(), "panic") || strings.Contains(err.Error(), "oops") {
		t.Fatalf("got %v", err)
	}
	if got, err := s.Load(t.Context(), keyOf(1)); err != nil || got.Version != rec.Version {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestTheQueueOfAWriterThatWorks(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	defer shut(t, s)
	if err := s.writer.awaitQueue(); err != nil {
		t.Error(err)
	}
}
