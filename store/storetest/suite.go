package storetest

import (
	"io"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// Closer is a store that can be closed.
type Closer interface {
	store.Store
	io.Closer
}

// Engine makes the stores that are to be tested.
type Engine struct {
	// Open opens the store that lives in dir, or begins one there, on a
	// clock that the test moves. dir is the test's own. The suite closes it.
	Open func(t *testing.T, dir string, now func() time.Time) Closer
	// Volatile says that nothing outlives Close; tests of reopening are left out.
	Volatile bool
}

// Run runs the whole suite.
func Run(t *testing.T, e Engine) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *rig)
	}{
		{"load", testLoad},
		{"save", testSave},
		{"cookies", testCookies},
		{"delete", testDelete},
		{"touch", testTouch},
		{"expiry", testExpiry},
		{"list", testList},
		{"update", testUpdate},
		{"leases", testLeases},
		{"sweep", testSweep},
		{"sweep beside writes", testSweepBesideWrites},
		{"observe", testObserve},
		{"outbox", testOutbox},
		{"subscribe", testSubscribe},
		{"filed", testFiled},
		{"filed by a restore", testFiledByRestore},
		{"outbox order", testOutboxOrder},
		{"dead letters", testDeadLetters},
		{"limit of what is pending", testLimitPending},
		{"discarded", testDiscarded},
		{"discard beside deliveries", testDiscardBesideDeliveries},
		{"outbox reopened", testOutboxReopened},
		{"limit", testLimit},
		{"parallel sign-ins", testParallelSignIns},
		{"page", testPage},
		{"page by principal", testPageByPrincipal},
		{"cursors", testCursors},
		{"counts", testCounts},
		{"archive", testArchive},
		{"bad archives", testBadArchives},
		{"concurrent saves", testConcurrentSaves},
		{"histories", testHistories},
		{"cancelled", testCancelled},
		{"closed", testClosed},
		{"reopen", testReopen},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.run(t, newRig(t, e))
		})
	}
	t.Run("model", func(t *testing.T) { testModel(t, e) })
}

// rig is one store under test, and its clock.
type rig struct {
	t      *testing.T
	engine Engine
	dir    string
	clock  *Clock
	store  Closer
	closed bool

	mu    sync.Mutex
	ended []store.Ended // what the store told of; protected by mu

	listeners func(manager string, kind store.EventKind) []string // of events; protected by mu
}

func newRig(t *testing.T, e Engine) *rig {
	r := &rig{t: t, engine: e, dir: t.TempDir(), clock: NewClock()}
	r.open()
	t.Cleanup(r.close)
	return r
}

func (r *rig) open() {
	r.store, r.closed = r.engine.Open(r.t, r.dir, r.clock.Now), false
	if o, ok := store.As[store.Observable](r.store); ok {
		o.Observe(func(e store.Ended) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.ended = append(r.ended, e)
		})
	}
	if o, ok := store.As[store.Outbox](r.store); ok {
		o.Subscribe(func(manager string, kind store.EventKind) []string {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.listeners == nil {
				return nil
			}
			return r.listeners(manager, kind)
		})
	}
}

// subscribe has the listeners get all events from now on, and no other one any.
func (r *rig) subscribe(listeners ...string) {
	r.subscribeTo(func(string, store.EventKind) []string { return listeners })
}

func (r *rig) subscribeTo(listeners func(manager string, kind store.EventKind) []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listeners = listeners
}

func (r *rig) delete(key store.Key, reason store.Reason) {
	r.t.Helper()
	if err := r.store.Delete(r.t.Context(), key, reason); err != nil {
		r.t.Fatalf("deleting: %v", err)
	}
}

// ends returns what was told of since the last call.
func (r *rig) ends() []store.Ended {
	r.mu.Lock()
	defer r.mu.Unlock()
	ended := r.ended
	r.ended = nil
	return ended
}

// as returns what a store can do that was found able before, or nil.
func as[T any](s store.Store) T {
	feature, _ := store.As[T](s)
	return feature
}

// ability returns an optional ability of the store.
func ability[T any](t *testing.T, r *rig) T {
	t.Helper()
	a, ok := store.As[T](r.store)
	if !ok {
		t.Skipf("this store has no %v, which is optional", reflect.TypeFor[T]())
	}
	return a
}

func (r *rig) close() {
	if r.closed {
		return
	}
	r.closed = true
	if err := r.store.Close(); err != nil {
		r.t.Errorf("closing: %v", err)
	}
}

func (r *rig) reopen() {
	r.t.Helper()
	r.close()
	r.open()
}

// record is a record that begins now, with that data.
func (r *rig) record(data string) store.Record {
	now := r.clock.Now()
	return store.Record{
		Data: []byte(data), Created: now, Written: now, Accessed: now,
		Idle: 30 * time.Minute, Absolute: now.Add(12 * time.Hour),
		Nonce: [16]byte{1, 2, 3}, Rotated: now, Incarnation: store.NewIncarnation(), Version: store.Version{}.Next(),
	}
}

// create stores such a record under a key of its own.
func (r *rig) create(key store.Key, data string) store.Record {
	r.t.Helper()
	rec := r.record(data)
	if err := r.store.Save(r.t.Context(), key, store.Write{Record: rec}, store.Create()); err != nil {
		r.t.Fatalf("creating: %v", err)
	}
	return rec
}

func (r *rig) load(key store.Key) store.Record {
	r.t.Helper()
	rec, err := r.store.Load(r.t.Context(), key)
	if err != nil {
		r.t.Fatalf("loading: %v", err)
	}
	return rec
}

func (r *rig) gone(key store.Key) {
	r.t.Helper()
	if rec, err := r.store.Load(r.t.Context(), key); !isGone(err) {
		r.t.Fatalf("got %+v, %v; want store.ErrGone", rec, err)
	}
}

// next is the record that follows rec, with other data.
func next(rec store.Record, data string) store.Record {
	rec.Data = []byte(data)
	rec.Version = rec.Version.Next()
	return rec
}

func keyOf(manager string, id byte) store.Key {
	return store.Key{Manager: manager, ID: store.ID{id}}
}
