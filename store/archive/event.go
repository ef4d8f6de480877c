package archive

import (
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// Event is what all deliveries of one event share.
type Event struct {
	Kind   store.EventKind
	Reason store.Reason
	At     time.Time
	Keys   []string
	Size   int          // of the data, which only the event of an end has
	Record store.Record // without cookies, and with Data if the session has ended
}

// Append writes an event.
func (n *Event) Append(b []byte) []byte {
	b = AppendText(AppendText(b, string(n.Kind)), string(n.Reason))
	b = AppendTime(b, n.At)
	b = binary.BigEndian.AppendUint32(b, uint32(len(n.Keys)))
	for _, k := range n.Keys {
		b = AppendText(b, k)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(n.Size))
	return AppendRecord(b, &n.Record)
}

// Read reads what Append wrote, to the end.
func (n *Event) Read(f *Decoder) (err error) {
	n.Kind, n.Reason, n.At = store.EventKind(f.Text()), store.Reason(f.Text()), f.Time()
	for range f.Uint32() {
		if n.Keys = append(n.Keys, f.Text()); f.failed {
			return ErrDamaged
		}
	}
	n.Size = int(f.Uint32())
	n.Record, err = DecodeRecord(f.Rest()) // which has nothing left if something was not there
	return err
}

// Info returns the metadata of the record that the event is of.
func (n *Event) Info(id store.ID) store.Info {
	info := n.Record.Info(id)
	info.Size = n.Size
	return info
}

// State is the state of one delivery.
type State struct {
	Tag      uint64 // the second part of its ID
	Attempts int
	Next     time.Time
	Dead     bool
	Failure  string
}

// Append writes a state.
func (s *State) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, s.Tag)
	b = binary.BigEndian.AppendUint32(b, uint32(s.Attempts))
	b = AppendTime(b, s.Next)
	dead := byte(0)
	if s.Dead {
		dead = 1
	}
	return AppendText(append(b, dead), s.Failure)
}

// Read reads what Append wrote, to the end.
func (s *State) Read(f *Decoder) error {
	s.Tag, s.Attempts, s.Next = f.Uint64(), int(f.Uint32()), f.Time()
	s.Dead = f.Take(1)[0] == 1
	if s.Failure = f.Text(); !f.Done() || len(s.Failure) > store.MaxDeliveryError {
		return ErrDamaged
	}
	return nil
}

// DeliveryID is how a delivery is named outside of a store: where it stands in
// the order of events, and its tag, a number by which no two stores give the same one.
func DeliveryID(seq, tag uint64) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], seq)
	binary.BigEndian.PutUint64(b[8:], tag)
	return hex.EncodeToString(b[:])
}

// ParseDeliveryID reads what DeliveryID wrote.
func ParseDeliveryID(id string) (seq, tag uint64, ok bool) {
	b, err := hex.DecodeString(id)
	if err != nil || len(b) != 16 {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), true
}
