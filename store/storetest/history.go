package storetest

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/sessionproxy/sessionproxy/store"
)

// Calls of a history, on one key.
const (
	callLoad = iota
	callCreate
	callSave // of what was loaded before
	callDelete
)

// call is what a client asked for; life and version are those of its record.
type call struct {
	kind    int
	life    uint64
	version store.Version // that the record gets
	cond    store.Version // that it must have
}

// result is what the store answered.
type result struct {
	err     error
	life    uint64
	version store.Version
}

// register is the model: one record, or none (life 0).
type register struct {
	life    uint64
	version store.Version
}

var registerModel = porcupine.Model{
	Init: func() any { return register{} },
	Step: func(s, in, out any) (bool, any) {
		now, c, r := s.(register), in.(call), out.(result)
		there := now.life != 0
		switch c.kind {
		case callLoad:
			if r.err != nil {
				return !there && errors.Is(r.err, store.ErrGone), now
			}
			return now == register{r.life, r.version}, now
		case callDelete:
			return r.err == nil, register{}
		case callCreate:
			if r.err != nil {
				return there && errors.Is(r.err, store.ErrConflict), now
			}
			return !there, register{c.life, c.version}
		}
		switch same := there && now.life == c.life; {
		case r.err == nil:
			return same && now.version == c.cond, register{c.life, c.version}
		case errors.Is(r.err, store.ErrConflict):
			return same && now.version != c.cond, now
		default:
			return errors.Is(r.err, store.ErrGone) && !same, now
		}
	},
	Equal: func(a, b any) bool { return a == b },
}

// testHistories has clients load, create, save and delete one record at once:
// what they were answered must fit some order of the calls, one by one.
func testHistories(t *testing.T, r *rig) {
	for seed := range uint64(8) {
		key := keyOf("shop", byte(seed))
		var clock atomic.Int64
		var mu sync.Mutex
		var history []porcupine.Operation
		var wg sync.WaitGroup
		for client := range 4 {
			random := rand.New(rand.NewPCG(seed, uint64(client)))
			wg.Go(func() {
				var seen store.Record // as last loaded, or saved
				for range 12 {
					c := call{kind: random.IntN(4)}
					if c.kind == callDelete && random.IntN(3) > 0 || c.kind == callSave && seen.Incarnation == 0 {
						c.kind = callLoad
					}
					begin := clock.Add(1)
					out := r.make(t, key, &c, &seen)
					end := clock.Add(1)
					mu.Lock()
					history = append(history, porcupine.Operation{ClientId: client, Input: c, Call: begin, Output: out, Return: end})
					mu.Unlock()
					runtime.Gosched() // so that others come in between
				}
			})
		}
		wg.Wait()
		if !porcupine.CheckOperations(registerModel, history) {
			t.Fatalf("seed %d: what was answered cannot have happened one after the other: %v", seed, history)
		}
	}
}

// make makes one call, and fills in what it was about.
func (r *rig) make(t *testing.T, key store.Key, c *call, seen *store.Record) (out result) {
	ctx := t.Context()
	switch c.kind {
	case callLoad:
		rec, err := r.store.Load(ctx, key)
		if err == nil {
			*seen = rec
		}
		return result{err, rec.Incarnation, rec.Version}
	case callCreate:
		rec := r.record("created")
		c.life, c.version = rec.Incarnation, rec.Version
		if out.err = r.store.Save(ctx, key, store.Write{Record: rec}, store.Create()); out.err == nil {
			*seen = rec
		}
	case callSave:
		rec := *seen
		c.life, c.cond, c.version = rec.Incarnation, rec.Version, rec.Version.Next()
		rec.Version = c.version
		if out.err = r.store.Save(ctx, key, store.Write{Record: rec}, store.IfVersion(c.cond)); out.err == nil {
			*seen = rec
		}
	case callDelete:
		out.err = r.store.Delete(ctx, key, store.Destroyed)
	}
	return out
}
