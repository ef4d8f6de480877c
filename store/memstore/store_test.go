package memstore_test

import (
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
