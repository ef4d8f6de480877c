package badgerstore

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// TestRestoreChecksEachEvent: what listeners are told comes by a backup, too.
func TestRestoreChecksEachEvent(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	defer shut(t, s)
	wrong := errors.New("not like that")
	for _, kind := range []store.EventKind{store.EventCreated, store.EventSaved, store.EventRotated, store.EventEnded} {
		b := backupOf(t, 0, func(a *archive.Writer) {
			rec := archive.Truncate(record("{}"))
			rec.Principal = "a\nb"
			if kind != store.EventEnded {
				rec.Data = nil
			}
			n := &archive.Event{Kind: kind, At: rec.Created, Record: rec}
			if err := errors.Join(a.Event(1, keyOf(1), n), a.Delivery("hook", &archive.State{Tag: 1})); err != nil {
				t.Fatal(err)
			}
		})
		_, err := s.Restore(t.Context(), bytes.NewReader(b), func(_ store.Key, rec *store.Record) error {
			if rec.Principal != "a\nb" || string(rec.Data) != "{}" {
				t.Errorf("%s: asked of %+v", kind, rec)
			}
			return wrong
		})
		if !errors.Is(err, wrong) || !errors.Is(err, store.ErrBadBackup) || !strings.Contains(err.Error(), "event 1 ") {
			t.Fatalf("%s: %v", kind, err)
		}
		if backlog, err := s.Backlog(t.Context()); err != nil || len(backlog) != 0 {
			t.Fatalf("%s: %v, %v", kind, backlog, err)
		}
	}
}

// TestRestoreNamesWhatIsRefused: the place of it, and nothing is stored.
func TestRestoreNamesWhatIsRefused(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	defer shut(t, s)
	wrong := errors.New("not like that")
	_, err := s.Restore(t.Context(), bytes.NewReader(backupOf(t, 3, nil)), func(key store.Key, _ *store.Record) error {
		if key == keyOf(2) {
			return wrong
		}
		return nil
	})
	if !errors.Is(err, wrong) || !errors.Is(err, store.ErrBadBackup) || !strings.Contains(err.Error(), "session ") || !strings.Contains(err.Error(), keyOf(2).ID.String()) {
		t.Fatalf("got %v", err)
	}
	if n, err := s.Restore(t.Context(), bytes.NewReader(backupOf(t, 3, nil)), nil); n != 3 || err != nil {
		t.Fatalf("afterwards: %d, %v", n, err)
	}
}

// TestRestoreChecksEachDelivery by what a listener's name and a failure can
// be, and names its place.
func TestRestoreChecksEachDelivery(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	defer shut(t, s)
	rec := archive.Truncate(record("{}"))
	for want, bad := range map[string]struct{ listener, failure string }{
		"has no name":              {"", ""},
		"control character":        {"shop/\nhook", ""},
		"listener is not UTF-8":    {"shop/\xff", ""},
		"its failure is not UTF-8": {"shop/webhook/1", "refused \xff"},
	} {
		b := backupOf(t, 0, func(a *archive.Writer) {
			n := &archive.Event{Kind: store.EventEnded, At: rec.Created, Record: rec}
			for seq, d := range []struct{ listener, failure string }{{"shop/webhook/1", "refused: \u00fc"}, bad} {
				if err := errors.Join(a.Event(uint64(seq+1), keyOf(1), n), a.Delivery(d.listener, &archive.State{Tag: 1, Failure: d.failure})); err != nil {
					t.Fatal(err)
				}
			}
		})
		_, err := s.Restore(t.Context(), bytes.NewReader(b), func(store.Key, *store.Record) error { return nil })
		if !errors.Is(err, store.ErrBadBackup) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "delivery 2 ") || !strings.Contains(err.Error(), keyOf(1).ID.String()) {
			t.Errorf("%s: %v", want, err)
		}
		if backlog, err := s.Backlog(t.Context()); err != nil || len(backlog) != 0 {
			t.Fatalf("%v, %v", backlog, err)
		}
	}
}
