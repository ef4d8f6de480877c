package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// view is a session's data as an app was shown it.
type view struct {
	Owner  string           `json:"owner"`
	Sum    int64            `json:"sum"`
	Values map[string]int64 `json:"values"`
}

// outcome is what the answer to a write says.
type outcome int

const (
	unknown outcome = iota // there was no answer, or one that leaves it open
	acknowledged
	refused // the answer says that nothing was stored
)

// attempt is one write: the writer's next value under its own name, and an
// addition to the sum, in one transaction.
type attempt struct {
	writer string
	value  int64
	add    int64
	began  moment
}

// slot is what is known of the value of one writer, which writes one value
// after the other, each larger than the last.
type slot struct {
	acked   int64
	last    int64   // that was ever tried
	pending []int64 // tried, and of unknown outcome
}

func (s *slot) drop(value int64) {
	s.pending = slices.DeleteFunc(s.pending, func(v int64) bool { return v == value })
}

// ledger is what one session's data may be, by the answers so far: a write
// that was acknowledged is there for ever, one that was refused is not, and
// one whose outcome is unknown may be there, also later.
type ledger struct {
	mu      sync.Mutex
	owner   string
	slots   map[string]*slot
	sum     int64     // what was acknowledged
	maybe   []attempt // additions of unknown outcome, those under way included
	flying  int       // how many of maybe are under way
	history []string
}

func newLedger(owner string) *ledger {
	return &ledger{owner: owner, slots: make(map[string]*slot)}
}

// begin notes that a write is about to be sent.
func (l *ledger) begin(writer string, add int64, now moment) attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.slot(writer)
	s.last++
	s.pending = append(s.pending, s.last)
	a := attempt{writer, s.last, add, now}
	l.maybe = append(l.maybe, a)
	l.flying++
	return a
}

// end notes what became of it.
func (l *ledger) end(a attempt, o outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flying--
	if o == unknown {
		return
	}
	s := l.slot(a.writer)
	s.drop(a.value)
	l.maybe = slices.DeleteFunc(l.maybe, func(m attempt) bool { return m.writer == a.writer && m.value == a.value })
	if o == acknowledged {
		s.acked = max(s.acked, a.value)
		l.sum += a.add
	}
}

// mark is what was known when a read began.
type mark struct {
	sum   int64
	slots map[string]slot
}

func (l *ledger) mark() mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := mark{l.sum, make(map[string]slot, len(l.slots))}
	for name, s := range l.slots {
		m.slots[name] = slot{s.acked, s.last, slices.Clone(s.pending)}
	}
	return m
}

// check says what is wrong with the data that a read returned, which began
// when the mark was made.
func (l *ledger) check(m mark, v view) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v.Owner != l.owner {
		return fmt.Errorf("the session of %s has the data of %q", l.owner, v.Owner)
	}
	most := l.sum
	for _, a := range l.maybe {
		most += a.add
	}
	if v.Sum < m.sum || v.Sum > most {
		return fmt.Errorf("the sum is %d; %d is acknowledged, and %d was tried", v.Sum, m.sum, most)
	}
	for name, now := range l.slots {
		then, got := m.slots[name], v.Values[name]
		possible := got == then.acked || got == now.acked || slices.Contains(then.pending, got) || got > then.last && got <= now.last
		if !possible {
			return fmt.Errorf("writer %s: the value is %d; %d is acknowledged, %v may be", name, got, then.acked, then.pending)
		}
	}
	for name := range v.Values {
		if l.slots[name] == nil {
			return fmt.Errorf("a value of %q, which never wrote here", name)
		}
	}
	return nil
}

// settled reports whether nothing is under way, and no write of unknown
// outcome can still be carried out.
func (l *ledger) settled(over func(moment) bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flying == 0 && !slices.ContainsFunc(l.maybe, func(a attempt) bool { return !over(a.began) })
}

// settle takes what a read returned for what is stored. It was checked, the
// ledger is settled, and nothing was begun since.
func (l *ledger) settle(v view) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sum, l.maybe = v.Sum, nil
	for name, s := range l.slots {
		s.acked, s.pending = v.Values[name], nil
	}
}

// note keeps the last events for the description of a violation.
func (l *ledger) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.history) >= 40 {
		l.history = slices.Delete(l.history, 0, 1)
	}
	l.history = append(l.history, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// String describes the session, with its last events.
func (l *ledger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "session of %s: sum %d", l.owner, l.sum)
	for _, name := range slices.Sorted(maps.Keys(l.slots)) {
		fmt.Fprintf(&b, "; %s has %d, perhaps %v", name, l.slots[name].acked, l.slots[name].pending)
	}
	for _, line := range l.history {
		b.WriteString("\n    " + line)
	}
	return b.String()
}

func (l *ledger) slot(writer string) *slot {
	s := l.slots[writer]
	if s == nil {
		s = new(slot)
		l.slots[writer] = s
	}
	return s
}
