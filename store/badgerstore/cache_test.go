package badgerstore

import (
	"testing"

	"github.com/sessionproxy/sessionproxy/store"
)

// TestCacheKeepsWhatIsUsed: what was read since its last turn outlives what
// was not, and nothing outlives for ever.
func TestCacheKeepsWhatIsUsed(t *testing.T) {
	key := func(i byte) store.Key { return store.Key{Manager: "shop", ID: store.ID{15: i}} } // all in one shard
	var e entry
	c := newCache(16 * 4 * e.size())
	s := c.shard(key(0))
	has := func(i byte) bool { _, there := s.entries[key(i)]; return there }
	for i := range byte(4) {
		s.wrote(key(i), &e)
	}
	s.get(key(0))
	s.get(key(1))
	for i := byte(4); i < 6; i++ {
		s.wrote(key(i), &e)
	}
	for i, want := range []bool{true, true, false, false, true, true} {
		if has(byte(i)) != want {
			t.Errorf("%d is kept: %v", i, !want)
		}
	}
	for i := byte(6); i < 10; i++ {
		s.wrote(key(i), &e)
	}
	if has(0) || has(1) {
		t.Error("what was used once is kept for ever")
	}
	if n := s.order.Len(); n != 4 || len(s.entries) != n || s.bytes != 4*e.size() {
		t.Errorf("%d in order, %d entries, %d bytes", n, len(s.entries), s.bytes)
	}
}
