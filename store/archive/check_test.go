package archive

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/store"
)

// TestChecker: what a check refuses is named, and what a delivery has besides
// its event is checked, too. Without a check everything passes.
func TestChecker(t *testing.T) {
	wrong := errors.New("not like that")
	saved := Event{Kind: store.EventSaved, Record: store.Record{Principal: "alice"}}
	backup := func(listener, failure string) []byte {
		return written(t, 3, func(a *Writer) {
			_ = errors.Join(a.Event(1, keyOf(9), &saved), a.Delivery(listener, &State{Failure: failure}))
		})
	}
	refusing := func(key store.Key) store.CheckRecord {
		return func(k store.Key, r *store.Record) error {
			if len(r.Data) == 0 {
				return errors.New("no document")
			}
			if k == key {
				return wrong
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		b     []byte
		check store.CheckRecord
		want  string
	}{
		"everything passes":    {backup("hook", ""), refusing(store.Key{}), ""},
		"a session":            {backup("hook", ""), refusing(keyOf(1)), `session 2 of it, ` + keyOf(1).ID.String() + ` of manager "shop": not like that`},
		"an event":             {backup("hook", ""), refusing(keyOf(9)), `event 1 of it, on ` + keyOf(9).ID.String() + ` of manager "shop": not like that`},
		"a listener":           {backup("", ""), refusing(store.Key{}), "delivery 1 of it"},
		"an error":             {backup("hook", "\xff"), refusing(store.Key{}), "delivery 1 of it"},
		"nothing is looked at": {backup("", "\xff"), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := Read(bytes.NewReader(c.b), Checker(c.check))
			if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, store.ErrBadBackup) || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
}
