package badgerstore

import (
	"github.com/sessionproxy/sessionproxy/store"
)

// What became of a session that a sweep has looked at.
type outcome int

const (
	sweptEnded outcome = iota
	sweptAnew          // it lives on, or is not there any more
	sweptStuck         // it lives on, and stays where it is
)

// sweep decides about a session that was found due.
func (b *batch) sweep(d due, w *sweep) (outcome, error) {
	current, err := b.current(d.key)
	if err != nil {
		return 0, err
	}
	alive := current != nil && current.rec.Alive(w.at)
	if alive && w.low {
		return sweptStuck, nil
	}
	if current != nil && !alive {
		if err := b.room(endCost(&current.rec, w.listeners[d.key.Manager])); err != nil {
			return 0, err
		}
	}
	if current == nil || current.due != d.at { // a place that nobody minds
		if err := b.remove(expiryKey(d.at, d.n, d.key.ID)); err != nil {
			return 0, err
		}
		b.staged++
	}
	switch {
	case current == nil:
		return sweptAnew, nil
	case alive:
		return sweptAnew, b.refile(d, current)
	}
	return sweptEnded, b.end(d.key, current, store.End{Reason: current.rec.EndsBy(), Listeners: w.listeners[d.key.Manager]})
}

// refile files a session that lives on where it will end now, without its data.
func (b *batch) refile(d due, current *entry) error {
	e := *current
	e.due = dueOf(e.rec.Deadline())
	if e.due != current.due {
		if err := b.remove(expiryKey(current.due, d.n, d.key.ID)); err != nil {
			return err
		}
	}
	ttl := b.s.ttlOf(e.rec.Absolute)
	if err := b.expiry(d.n, d.key.ID, e.due, ttl); err != nil {
		return err
	}
	b.overlay[d.key] = &e
	b.staged++
	return b.set(accessKey(d.n, d.key.ID), access{e.rec.Incarnation, e.rec.Accessed}.encode(e.due), ttl)
}
