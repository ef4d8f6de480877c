package badgerstore

import (
	"math"
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// watermarks are how far the sweep has come in each manager's expiry index. It
// seeks there: what it has removed before would make a scan from the front slow.
type watermarks struct {
	mu sync.Mutex
	of map[number]*watermark // protected by mu
}

type watermark struct {
	at      int64 // nothing is filed before it,
	low     int64 // but for what was filed here since the sweep began
	written int64 // what is on disk: never after anything that is filed. Changed by the writer alone
	past    place // the first place that the last sweep has not looked at, if it was not the end
}

func (s *Store) loadWatermarks() error {
	s.sweep.mu.Lock()
	defer s.sweep.mu.Unlock()
	s.sweep.of = make(map[number]*watermark)
	return s.view(func(txn *badger.Txn) error {
		for _, name := range s.managers.all() {
			n, _ := s.managers.number(name)
			at, err := readUint64(txn, numberKey(nil, keySwept, n))
			if err != nil {
				return err
			}
			s.sweep.of[n] = &watermark{at: int64(at), low: math.MaxInt64, written: int64(at)}
		}
		return nil
	})
}

// begin returns where a sweep has to begin. A watermark beyond now, since the
// clock was set back, counts as now.
func (c *watermarks) begin(n number, now int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.of[n]
	if k == nil {
		return now
	}
	k.at, k.low = min(k.at, k.low, now), math.MaxInt64
	return k.at
}

// advance notes how far a sweep has come since it began, and the first place that
// it has not looked at. What was filed before that meanwhile is found by the
// next one.
func (c *watermarks) advance(n number, at int64, past place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.of[n]; k != nil {
		k.at, k.past = at, past
	}
}

// resumeAt returns the first place that the last sweep has not looked at; the
// first one of all if it came to the end.
func (c *watermarks) resumeAt(n number) (p place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.of[n]; k != nil {
		p = k.past
	}
	return p
}

// first returns a place before which nothing is filed.
func (c *watermarks) first(n number) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.of[n]; k != nil {
		return min(k.at, k.low)
	}
	return 0
}

// lowWater returns the time before which no session of any manager is unswept;
// false if there is no manager.
func (c *watermarks) lowWater() (at int64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at = math.MaxInt64
	for _, k := range c.of {
		at = min(at, k.at, k.low)
	}
	return at, len(c.of) > 0
}

// unwritten returns the managers whose watermark on disk is at least that far
// behind, in milliseconds.
func (c *watermarks) unwritten(behind int64) (all []number) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n, k := range c.of {
		if min(k.at, k.low)-k.written >= behind {
			all = append(all, n)
		}
	}
	return all
}

// wrote follows a committed batch.
func (c *watermarks) wrote(filed, swept map[number]int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n, at := range swept {
		if c.of[n] == nil {
			c.of[n] = &watermark{at: at, low: math.MaxInt64}
		}
		c.of[n].written = at
	}
	for n, due := range filed {
		k := c.of[n]
		k.low = min(k.low, due)
	}
}

// watermark returns a manager's watermark on disk, as the batch has it so far.
func (b *batch) watermark(n number) int64 {
	if at, ok := b.swept[n]; ok {
		return at
	}
	b.s.sweep.mu.Lock()
	defer b.s.sweep.mu.Unlock()
	if k := b.s.sweep.of[n]; k != nil {
		return k.written
	}
	return 0
}

// writeWatermark stages a manager's watermark.
func (b *batch) writeWatermark(n number, at int64) error {
	setIn(&b.swept, n, at)
	return b.set(numberKey(nil, keySwept, n), uint64Value(at), 0)
}

// writeWatermarks stages those that have moved.
func (b *batch) writeWatermarks(all []number) error {
	for _, n := range all {
		at := b.s.sweep.first(n)
		if due, ok := b.filed[n]; ok {
			at = min(at, due)
		}
		if err := b.writeWatermark(n, at); err != nil {
			return err
		}
		b.staged++
	}
	return nil
}
