package badgerstore

import (
	"container/list"
	"sync"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// cache is an exact copy of hot records: whatever it holds is what the store
// holds, since only the one writer changes anything. It also
// keeps the touches that are not written yet. Bounded in bytes: the oldest goes
// first, but one that was used meanwhile gets another turn. So a read changes
// a flag of its own entry, and not an order in memory that has cooled down.
type cache struct {
	shards [16]shard
}

type shard struct {
	mu      sync.Mutex // protects everything below
	entries map[store.Key]*cached
	order   *list.List // of *cached, the oldest last
	bytes   int64
	limit   int64
	// changes counts writes; a reader that missed installs what it found
	// only if it has not moved meanwhile, or it could install a stale copy.
	changes uint64
	// writing are the records of the commit under way: some readers find the
	// old one on disk, and some the new one, so that no copy is kept.
	writing map[store.Key]struct{}
	pending map[store.Key]*touched
	due     []store.Key // pending touches that have to be written now
}

type cached struct {
	key store.Key
	entry
	place *list.Element
	used  bool // since it came, or had its turn
}

// touched is an access time that is ahead of what is written.
type touched struct {
	access
	written  time.Time
	absolute time.Time
	isDue    bool
}

func newCache(limit int64) *cache {
	c := &cache{}
	for i := range c.shards {
		c.shards[i] = shard{
			entries: make(map[store.Key]*cached), order: list.New(),
			limit: limit / int64(len(c.shards)), writing: make(map[store.Key]struct{}), pending: make(map[store.Key]*touched),
		}
	}
	return c
}

func (c *cache) shard(key store.Key) *shard {
	// Ids are random already; the manager must not matter for balance.
	return &c.shards[int(key.ID[0])%len(c.shards)]
}

// get returns the entry, and otherwise the shard's count of changes.
func (s *shard) get(key store.Key) (e entry, ok bool, changes uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.entries[key]
	if !ok {
		return entry{}, false, s.changes
	}
	c.used = true
	return c.entry, true, s.changes
}

// install adds what a reader found on disk, unless something changed since. It
// returns what the reader is to see: the copy, if there is one by now, since
// others have seen it, and the disk may be a commit ahead of it; otherwise the
// entry with the pending access time.
func (s *shard) install(key store.Key, e entry, changes uint64) entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.entries[key]; ok {
		return c.entry
	}
	if p := s.pending[key]; p != nil {
		p.merge(&e.rec)
	}
	if _, writing := s.writing[key]; !writing && s.changes == changes {
		s.put(key, e)
	}
	return e
}

// put adds or replaces an entry. Callers hold mu.
func (s *shard) put(key store.Key, e entry) {
	s.remove(key)
	c := &cached{key: key, entry: e}
	c.place = s.order.PushFront(c)
	s.entries[key] = c
	s.bytes += e.size()
	for s.bytes > s.limit && s.order.Len() > 0 {
		oldest := s.order.Back().Value.(*cached)
		if oldest.used {
			oldest.used = false
			s.order.MoveToFront(oldest.place)
			continue
		}
		s.remove(oldest.key)
	}
}

func (s *shard) remove(key store.Key) {
	if c, ok := s.entries[key]; ok {
		s.order.Remove(c.place)
		delete(s.entries, key)
		s.bytes -= c.size()
	}
}

// writes comes before the commit of a write; wrote or forget follow it.
func (s *shard) writes(key store.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	s.writing[key] = struct{}{}
}

// wrote follows a committed write; a nil entry is a deletion. What a later
// touch has advanced stays ahead.
func (s *shard) wrote(key store.Key, e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	delete(s.writing, key)
	if e == nil {
		s.remove(key)
		delete(s.pending, key)
		return
	}
	next := *e
	if p := s.pending[key]; p != nil {
		if p.incarnation == next.rec.Incarnation && p.at.After(next.rec.Accessed) {
			p.written = next.rec.Accessed
			next.rec.Accessed = p.at
		} else {
			delete(s.pending, key)
		}
	}
	s.put(key, next)
}

// forget drops the copy after a write whose outcome is unknown.
func (s *shard) forget(key store.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	delete(s.writing, key)
	s.remove(key)
}

func (c *cache) bytes() (n int64) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += s.bytes
		s.mu.Unlock()
	}
	return n
}
