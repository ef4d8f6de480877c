package store_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sessionproxy/sessionproxy/store"
)

func TestIDHasOneSpelling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var id store.ID
		copy(id[:], rapid.SliceOfN(rapid.Byte(), len(id), len(id)).Draw(t, "id"))
		text := id.String()
		if got, err := store.ParseID(text); err != nil || got != id {
			t.Fatalf("%s: %v, %v", text, got, err)
		}
	})
	good := store.ID{15: 4}.String()
	for name, text := range map[string]string{
		"empty": "", "short": good[:21], "long": good + "A", "other alphabet": "+" + good[1:],
		"line break": good[:10] + "\n" + good[11:], "line break besides": good + "\n",
		"last bits": good[:21] + "B", "padding": good + "==",
	} {
		if id, err := store.ParseID(text); err == nil {
			t.Errorf("%s: %q is taken for %s", name, text, id)
		}
	}
}

func TestVersionHasOneSpelling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := store.Version{Counter: rapid.Uint64().Draw(t, "counter"), Nonce: rapid.Uint64().Draw(t, "nonce")}
		if got, err := store.ParseVersion(v.String()); err != nil || got != v {
			t.Fatalf("%s: %v, %v", v, got, err)
		}
		next := v.Next()
		if next.Counter != v.Counter+1 || next == v.Next() {
			t.Fatalf("%s is followed by %s", v, next)
		}
	})
	if v, err := store.ParseVersion(""); err != nil || !v.IsZero() {
		t.Errorf("the version of nothing: %v, %v", v, err)
	}
	good := store.Version{Counter: 7, Nonce: 0xab}.String()
	for name, text := range map[string]string{
		"no nonce": "7", "short nonce": "7-ab", "upper case": strings.ToUpper(good), "leading zero": "0" + good,
		"sign": "+" + good, "blank": " " + good, "more": good + "0", "zero": "0-0000000000000000", "too large": "99999999999999999999" + good[1:],
	} {
		if v, err := store.ParseVersion(text); err == nil {
			t.Errorf("%s: %q is taken for %s", name, text, v)
		}
	}
}

// TestTurnedVersions are other versions to a store, and the same to apps.
func TestTurnedVersions(t *testing.T) {
	v := store.Version{}.Next()
	turned := v.NextMinor().NextMinor()
	if turned == v || turned.Counter != v.Counter+2 || !turned.Same(v) || !v.Same(turned) || !v.Same(v) {
		t.Errorf("%s is followed by %s", v, turned)
	}
	for _, other := range []store.Version{v.Next(), turned.Next(), {}} {
		if v.Same(other) || other.Same(v) {
			t.Errorf("%s is taken for %s", other, v)
		}
	}
	if !(store.Version{}).Same(store.Version{}) {
		t.Error("nothing is not the same as nothing")
	}
}

func TestDeadline(t *testing.T) {
	start := time.UnixMilli(1_700_000_000_000)
	for _, c := range []struct {
		name              string
		idle              time.Duration
		absolute          time.Time
		expires, deadline time.Duration // after start
	}{
		{"idle comes first", 100 * time.Second, start.Add(time.Hour), 100 * time.Second, 105 * time.Second},
		{"absolute comes first", time.Hour, start.Add(time.Minute), time.Minute, time.Minute},
		{"absolute within the slack", 100 * time.Second, start.Add(102 * time.Second), 100 * time.Second, 102 * time.Second},
	} {
		r := store.Record{Accessed: start, Idle: c.idle, Absolute: c.absolute}
		if got := r.Expires().Sub(start); got != c.expires {
			t.Errorf("%s: expires after %v, want %v", c.name, got, c.expires)
		}
		if got := r.Deadline().Sub(start); got != c.deadline {
			t.Errorf("%s: the deadline is after %v, want %v", c.name, got, c.deadline)
		}
		end := r.Deadline()
		if !r.Alive(end.Add(-1)) || r.Alive(end) {
			t.Errorf("%s: the deadline itself is not the first moment of the end", c.name)
		}
	}
}

func TestIncarnationsDiffer(t *testing.T) {
	if a, b := store.NewIncarnation(), store.NewIncarnation(); a == b || a == 0 {
		t.Errorf("%d, %d", a, b)
	}
}
