package session_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// What the clients of a history do to one session, from its opening to its commit.
const (
	opIncrement = iota // replaces n by the n that was shown, plus one
	opAdd              // adds one to n
	opSet              // sets the client's own key
	opRead
	opDestroy
)

type input struct{ op, client, value int }

// output is what the client has seen and was answered.
type output struct {
	seen  counts
	err   error // of the commit
	ended bool  // the session was not there
}

// counts is the session's data: n, and a key of each client.
type counts struct {
	n    int
	keys [4]int
}

func (c counts) json() string {
	return fmt.Sprintf(`{"n":%d,"k0":%d,"k1":%d,"k2":%d,"k3":%d}`, c.n, c.keys[0], c.keys[1], c.keys[2], c.keys[3])
}

func parseCounts(t *testing.T, data []byte) (c counts) {
	t.Helper()
	if _, err := fmt.Sscanf(strings.NewReplacer(`{"n":`, "", `"k0":`, "", `"k1":`, "", `"k2":`, "", `"k3":`, "", "}", "", ",", " ").Replace(string(data)),
		"%d %d %d %d %d", &c.n, &c.keys[0], &c.keys[1], &c.keys[2], &c.keys[3]); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return c
}

// state is what the model holds: the data, or that the session has ended.
type state struct {
	counts
	ended bool
}

// model says which outcomes a policy allows. atomic: what a commit was made
// for is what it changes. Otherwise a commit's own keys are set on whatever
// is there, and what was shown is not looked at. agreeing: two that set one
// value agree, and are no conflict.
func model(atomic, agreeing bool) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return state{} },
		Step: func(s, in, out any) (bool, any) {
			st, i, o := s.(state), in.(input), out.(output)
			switch {
			case o.ended:
				return st.ended, st
			case errors.Is(o.err, change.ErrConflict):
				return true, st // refused, and without effect
			case errors.Is(o.err, session.ErrGone):
				return st.ended, st
			case o.err != nil:
				return false, st
			}
			next := st
			switch i.op {
			case opDestroy:
				next.ended = true
				return true, next // also when another request was first
			case opRead:
				return !st.ended && o.seen == st.counts || !atomic, st
			case opIncrement:
				next.n = o.seen.n + 1
			case opAdd:
				next.n++
			case opSet:
				next.keys[i.client] = i.value
			}
			fits := !atomic || i.op != opIncrement || st.n == o.seen.n || agreeing && st.n == next.n
			return !st.ended && fits, next
		},
		Equal: func(a, b any) bool { return a == b },
	}
}

// history has clients work on one session at once, and returns what happened.
func history(t *testing.T, s *site, seed uint64, ops []int) []porcupine.Operation {
	t.Helper()
	c := s.Begin(counts{}.json())
	var clock atomic.Int64
	var mu sync.Mutex
	var all []porcupine.Operation
	var wg sync.WaitGroup
	for client := range 4 {
		random := rand.New(rand.NewPCG(seed, uint64(client)))
		wg.Go(func() {
			for n := range 12 {
				in := input{ops[random.IntN(len(ops))], client, n + 1}
				if in.op == opDestroy && n < 8 {
					in.op = opRead // not at once
				}
				call := clock.Add(1)
				out := s.act(t, c, in)
				end := clock.Add(1)
				mu.Lock()
				all = append(all, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: end})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return all
}

func (s *site) act(t *testing.T, c session.Credential, in input) (out output) {
	h, err := s.enter(t, c)
	if err != nil {
		return output{err: err}
	}
	defer h.Rollback()
	if h.State() != session.Active {
		return output{ended: true}
	}
	out.seen = parseCounts(t, h.Data())
	for range rand.IntN(8) {
		runtime.Gosched() // so that others come in between
	}
	var changes change.Changes
	switch in.op {
	case opIncrement:
		changes = sessiontest.MergePatch(t, fmt.Sprintf(`{"n":%d}`, out.seen.n+1))
	case opAdd:
		changes = add(t, `{"n":1}`)
	case opSet:
		changes = sessiontest.MergePatch(t, fmt.Sprintf(`{"k%d":%d}`, in.client, in.value))
	case opDestroy:
		changes.Destroy = true
	}
	_, out.err = h.Commit(t.Context(), carrying(changes))
	return out
}

// enter opens the session with the ticket that is current by then. If tickets
// are replaced by timer, each request finds one that is due.
func (s *site) enter(t *testing.T, c session.Credential) (*session.Session, error) {
	for {
		if every := s.Manager.Policy().RotateEvery; every > 0 {
			s.clock.advance(every)
			if rec, err := s.Store.Load(t.Context(), store.Key{Manager: "shop", ID: c.ID}); err == nil {
				c.Nonce = rec.Nonce
			}
		}
		h, err := s.Manager.Open(t.Context(), session.Request{Credentials: []session.Credential{c}})
		if err != nil || h.State() == session.Active {
			return h, err
		}
		if _, err := s.Store.Load(t.Context(), store.Key{Manager: "shop", ID: c.ID}); errors.Is(err, store.ErrGone) {
			return h, nil
		}
		h.Rollback() // others were faster, twice
	}
}

// TestHistories checks what many clients did at once against what each
// policy promises.
func TestHistories(t *testing.T) {
	all := []int{opIncrement, opAdd, opSet, opRead, opDestroy}
	for _, tc := range []struct {
		name             string
		policy           func(*session.Policy)
		atomic, agreeing bool
		ops              []int
	}{
		{"serialized", func(p *session.Policy) { p.Locking, p.Queue = session.Serialized, 100 }, true, false, all},
		{"optimistic", locking(session.Optimistic), true, false, all},
		{"optimistic merge", func(p *session.Policy) { p.Locking, p.Merge = session.Optimistic, true }, true, true, all},
		{"lossy", nil, false, false, all},
		{"lossy, additions and own keys", nil, true, false, []int{opAdd, opSet}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for seed := range uint64(20) {
				s := newSite(t, tc.policy)
				if seed%2 == 1 { // and every ticket is replaced as soon as it is used
					policy := s.Manager.Policy()
					policy.RotateEvery, policy.RotateGrace = time.Second, time.Second/2
					st := []store.Store{s.Store, s.Store.WithUpdater()}[seed/2%2]
					s.Manager = s.manager(session.Fixed(st), func(p *session.Policy) { *p = policy })
				}
				if h := history(t, s, seed, tc.ops); !porcupine.CheckOperations(model(tc.atomic, tc.agreeing), h) {
					t.Fatalf("seed %d: what happened cannot have happened one after the other: %v", seed, h)
				}
			}
		})
	}
}

// careless is a store that does not look at versions.
type careless struct{ store.Store }

func (c careless) Save(ctx context.Context, key store.Key, w store.Write, cond store.Condition) error {
	if current, err := c.Load(ctx, key); err == nil && !cond.IsCreate() {
		cond = store.IfVersion(current.Version)
	}
	return c.Store.Save(ctx, key, w, cond)
}

// TestTheCheckerFindsLostUpdates: under lossy, and with a store that forgets
// to check the version, increments of one key are lost, and that is seen.
func TestTheCheckerFindsLostUpdates(t *testing.T) {
	for name, s := range map[string]*site{
		"lossy":            newSite(t, nil),
		"a careless store": carelessSite(t),
	} {
		t.Run(name, func(t *testing.T) {
			c := s.Begin(counts{}.json())
			one, two := s.Open(c), s.Open(c) // both see 0
			for _, h := range []*session.Session{one, two} {
				s.Commit(h, sessiontest.MergePatch(t, `{"n":1}`))
			}
			happened := []porcupine.Operation{
				{ClientId: 0, Input: input{op: opIncrement}, Call: 1, Output: output{}, Return: 3},
				{ClientId: 1, Input: input{op: opIncrement}, Call: 2, Output: output{}, Return: 4},
				{ClientId: 0, Input: input{op: opRead}, Call: 5, Output: s.act(t, c, input{op: opRead}), Return: 6},
			}
			if porcupine.CheckOperations(model(true, false), happened) {
				t.Error("the checker takes a lost update for an order of events")
			}
		})
	}
}

func carelessSite(t *testing.T) *site {
	s := newSite(t, nil)
	s.Manager = s.manager(session.Fixed(careless{s.Store}), locking(session.Optimistic))
	return s
}
