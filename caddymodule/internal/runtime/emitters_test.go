package runtime

import "testing"

// TestOneEmitterAtATime is what happens while two configurations use a store.
func TestOneEmitterAtATime(t *testing.T) {
	var l emitters
	a, b := new(Emitter), new(Emitter)
	for _, step := range []struct {
		do   func(*Emitter)
		with *Emitter
		last *Emitter
	}{
		{l.add, a, a}, {l.add, b, b}, {l.remove, b, a}, // the new configuration has failed
		{l.add, b, b}, {l.remove, a, b}, {l.remove, b, nil}, {l.remove, b, nil},
	} {
		if step.do(step.with); l.last() != step.last {
			t.Errorf("the wrong one is the last")
		}
	}
}
