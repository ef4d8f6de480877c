package archive

import (
	"encoding/binary"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// TestEventsAndStatesAreWhole: each is read to its last byte, and one that is
// cut off anywhere, or has a byte too many, is damaged.
func TestEventsAndStatesAreWhole(t *testing.T) {
	n := Event{Kind: store.EventEnded, Reason: store.Idle, At: time.Unix(1e9, 0).UTC(), Keys: []string{"a", "bc"}, Size: 7, Record: record("")}
	n.Record.Principal = "alice"
	b := n.Append(nil)
	var got Event
	if err := got.Read(NewDecoder(b)); err != nil || !reflect.DeepEqual(got, n) {
		t.Errorf("got %+v, %v, want %+v", got, err, n)
	}
	for i := range b {
		if err := new(Event).Read(NewDecoder(b[:i])); err == nil {
			t.Errorf("an event cut off at %d of %d", i, len(b))
		}
	}
	s := State{Tag: 1, Attempts: 2, Next: time.Unix(1e9, 0).UTC(), Dead: true, Failure: strings.Repeat("e", store.MaxDeliveryError)}
	b = s.Append(nil)
	var state State
	if err := state.Read(NewDecoder(b)); err != nil || state != s {
		t.Errorf("got %+v, %v, want %+v", state, err, s)
	}
	for i := range b {
		if err := new(State).Read(NewDecoder(b[:i])); err == nil {
			t.Errorf("a state cut off at %d of %d", i, len(b))
		}
	}
	if err := new(State).Read(NewDecoder(append(b, 0))); err == nil {
		t.Error("a byte behind a state")
	}
	s.Failure += "e"
	if err := new(State).Read(NewDecoder(s.Append(nil))); err == nil {
		t.Error("an error that is too long")
	}
}

// TestCountsThatAreNotThere: a number of keys, or a length, that the bytes do
// not keep costs no memory.
func TestCountsThatAreNotThere(t *testing.T) {
	n := Event{Kind: store.EventSaved, Record: record("")}
	b := n.Append(nil)
	at := len(b) - len(AppendRecord(nil, &n.Record)) - 8
	binary.BigEndian.PutUint32(b[at:], 1<<20)
	allocs := testing.AllocsPerRun(1, func() {
		var n Event
		if err := n.Read(NewDecoder(b)); err == nil || len(n.Keys) > 1000 {
			t.Errorf("%d keys, %v", len(n.Keys), err)
		}
	})
	if allocs > 1000 {
		t.Errorf("%g allocations", allocs)
	}
	f := NewDecoder([]byte{0, 0, 0, 200, 'x'})
	if s := f.Text(); s != "" || !f.Failed() || f.Rest() != nil || f.Uint64() != 0 {
		t.Errorf("got %q", s)
	}
}

func TestDeliveryID(t *testing.T) {
	id := DeliveryID(7, 1<<63)
	if seq, tag, ok := ParseDeliveryID(id); seq != 7 || tag != 1<<63 || !ok {
		t.Errorf("%q is %d, %d, %t", id, seq, tag, ok)
	}
	for _, bad := range []string{"", id[:16], id + "0", id + "00", id[:31] + "g"} {
		if seq, tag, ok := ParseDeliveryID(bad); ok || seq != 0 || tag != 0 {
			t.Errorf("%q is %d, %d", bad, seq, tag)
		}
	}
}
