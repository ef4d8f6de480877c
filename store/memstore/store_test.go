package memstore_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
	"github.com/sessionproxy/sessionproxy/store/memstore"
	"github.com/sessionproxy/sessionproxy/store/storetest"
)

// TestNumberFrom: a store that numbers from another number repeats no ID.
func TestNumberFrom(t *testing.T) {
	s := memstore.New(time.Now)
	first := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC).UnixMicro()
	s.NumberFrom(first)
	s.Subscribe(func(string, store.EventKind) []string { return []string{"hook"} })
	now := time.Now()
	for id := range byte(12) {
		rec := store.Record{
			Data: []byte("{}"), Created: now, Written: now, Accessed: now, Idle: time.Hour, Absolute: now.Add(time.Hour),
			Incarnation: store.NewIncarnation(), Version: store.Version{}.Next(),
		}
		w := store.Write{Record: rec, Events: []store.Event{{Kind: store.EventCreated}}}
		if err := s.Save(t.Context(), store.Key{Manager: "shop", ID: store.ID{id}}, w, store.Create()); err != nil {
			t.Fatal(err)
		}
	}
	due, _, err := s.Deliveries(t.Context(), "hook", 100)
	if err != nil || len(due) != 12 {
		t.Fatal(len(due), err)
	}
	for i, d := range due {
		if want := archive.DeliveryID(uint64(first)+uint64(i)+1, 0); d.ID != want {
			t.Errorf("got %s, want %s", d.ID, want)
		}
		if err := s.Settle(t.Context(), store.Settlement{ID: d.ID, Dead: true}); err != nil {
			t.Fatal(err)
		}
	}
	if dead, err := s.DeadLetters(t.Context(), due[9].ID, 100); err != nil || len(dead) != 2 || dead[0].ID != due[10].ID {
		t.Errorf("got %v, %v", dead, err)
	}
}

// TestBackupHasEachEventOnce: what all deliveries of an event share is written
// once, and comes back with each.
func TestBackupHasEachEventOnce(t *testing.T) {
	s, o := memstore.New(time.Now), memstore.New(time.Now)
	s.Subscribe(func(string, store.EventKind) []string { return []string{"hook", "files", "hook"} })
	now := time.Now()
	rec := store.Record{Data: []byte("the last data"), Created: now, Accessed: now, Idle: time.Hour, Absolute: now.Add(time.Hour), Incarnation: 1, Version: store.Version{}.Next()}
	key := store.Key{Manager: "shop"}
	if err := errors.Join(s.Save(t.Context(), key, store.Write{Record: rec}, store.Create()), s.Delete(t.Context(), key, store.Destroyed)); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := s.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b.Bytes(), rec.Data); n != 1 {
		t.Errorf("the data is in the backup %d times", n)
	}
	if _, err := o.Restore(t.Context(), &b, nil); err != nil {
		t.Fatal(err)
	}
	for _, listener := range []string{"hook", "files"} {
		want, _, err1 := s.Deliveries(t.Context(), listener, 9)
		got, _, err2 := o.Deliveries(t.Context(), listener, 9)
		if errors.Join(err1, err2) != nil || len(want) != 1 || len(got) != 1 || got[0].ID != want[0].ID || !bytes.Equal(got[0].Data, rec.Data) {
			t.Errorf("for %s: got %+v, want %+v", listener, got, want)
		}
	}
}

// The model passes the suite that it is the measure of.
func TestConforms(t *testing.T) {
	storetest.Run(t, storetest.Engine{Volatile: true, Open: func(_ *testing.T, _ string, now func() time.Time) storetest.Closer {
		return memstore.New(now)
	}})
}

func TestWithLeasesConforms(t *testing.T) {
	storetest.Run(t, storetest.Engine{Volatile: true, Open: func(_ *testing.T, _ string, now func() time.Time) storetest.Closer {
		return memstore.New(now).WithLeases()
	}})
}

func TestWithUpdaterConforms(t *testing.T) {
	storetest.Run(t, storetest.Engine{Volatile: true, Open: func(_ *testing.T, _ string, now func() time.Time) storetest.Closer {
		return memstore.New(now).WithUpdater().(interface {
			store.Updater
			storetest.Closer
		})
	}})
}
