package archive

import (
	"io"

	"github.com/sessionproxy/sessionproxy/store"
)

// Read reads a whole backup. visit is called with each frame but the end.
func Read(r io.Reader, visit func(*Frame) error) error {
	a, err := NewReader(r)
	for err == nil {
		var f *Frame
		if f, err = a.Next(); err != nil || f.Kind == KindEnd {
			break
		}
		err = visit(f)
	}
	return err
}

// Checker has check look at what a backup holds, and names what it refuses: by
// its number, and for people by its key. Without check everything passes.
func Checker(check store.CheckRecord) func(*Frame) error {
	sessions, events, deliveries := 0, 0, 0
	return func(f *Frame) error {
		if check == nil {
			return nil
		}
		switch f.Kind {
		case KindSession:
			sessions++
			if err := check(f.Key, &f.Record); err != nil {
				return bad("session %d of it, %s of manager %q: %w", sessions, f.Key.ID, f.Key.Manager, err)
			}
		case KindEvent:
			events++
			rec := f.Event.Checkable()
			if err := check(f.Key, &rec); err != nil {
				return bad("event %d of it, on %s of manager %q: %w", events, f.Key.ID, f.Key.Manager, err)
			}
		case KindDelivery:
			deliveries++
			if err := CheckDelivery(f.Listener, f.State.Failure); err != nil {
				return bad("delivery %d of it, on %s of manager %q: %w", deliveries, f.Key.ID, f.Key.Manager, err)
			}
		}
		return nil
	}
}

// Checkable returns the record of an event so that it can be checked as one of
// a session.
func (n *Event) Checkable() store.Record {
	rec := n.Record
	if n.Kind != store.EventEnded {
		rec.Data = []byte("{}") // the others have none
	}
	return rec
}

// CheckDelivery tells what is wrong with what a delivery has besides its event.
func CheckDelivery(listener, failure string) error {
	if err := store.CheckListener(listener); err != nil {
		return err
	}
	return store.CheckDeliveryError(failure)
}
