package redisstore

import (
	"slices"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// TestHold: access times are held of sessions that have the slack for it, in
// their order, up to a number.
func TestHold(t *testing.T) {
	var all touches
	key, start := store.Key{Manager: "shop", ID: store.ID{1}}, time.UnixMilli(1_700_000_000_000)
	touch := func(incarnation uint64, said, accessed time.Duration) bool {
		return all.hold(store.Touch{Key: key, Incarnation: incarnation, Accessed: start.Add(accessed)}, start.Add(said))
	}
	if touch(7, 0, 0) {
		t.Error("a session that was never seen is held")
	}
	all.know(key, &store.Record{Idle: 19 * time.Second})
	if touch(7, 0, 0) {
		t.Error("a session without slack is held")
	}
	all.know(key, &store.Record{Idle: 20 * time.Second})
	if !touch(7, 0, 0) || !touch(7, 0, time.Second) || !touch(7, 2*time.Second, time.Second) {
		t.Error("a session with slack is not held")
	}
	if touch(8, 0, 0) {
		t.Error("another life of the session is held with it")
	}
	want := []string{"7", "2", "1700000000000", "1700000001000", "1700000002000", "1700000001000"}
	if got := all.args(key); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for i := 2; i < maxPairs; i++ {
		if !touch(7, time.Duration(i+1)*time.Second, 0) {
			t.Fatalf("%d are too many", i)
		}
	}
	if touch(7, time.Hour, 0) {
		t.Error("there is no end of them")
	}
}

// TestGenerations: the last keys are known, and memory has an end.
func TestGenerations(t *testing.T) {
	var g generations[int, int]
	const n = 5*maxGeneration + 17
	for i := range n {
		g.put(i, i)
	}
	for i := n - maxGeneration; i < n; i++ {
		if v, ok := g.get(i); !ok || v != i {
			t.Fatalf("%d is forgotten", i)
		}
	}
	if have := len(g.now) + len(g.old); have > 2*maxGeneration {
		t.Errorf("%d are kept", have)
	}
	if _, ok := g.get(0); ok {
		t.Error("nothing is forgotten")
	}
}
