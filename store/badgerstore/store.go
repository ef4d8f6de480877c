package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/disk"
	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/panics"
)

// Store is a session store on Badger. Safe for concurrent use; Close waits
// for the calls under way.
type Store struct {
	opts      Options
	id        string     // of what is in the directory
	db        *badger.DB // nil while the engine is not open; use it through view, update and engage
	log       *zap.Logger
	managers  *interner
	listeners *interner
	cache     *cache
	writer    *writer
	space     *disk.Guard
	counts    counts
	sweep     watermarks
	outbox    outboxIndex
	observe   func(store.Ended)
	subscribe func(manager string, kind store.EventKind) []string // nil before Subscribe
	wakeups   store.Wakeups
	sweeping  sync.Mutex  // held by the sweep that is under way
	restoring atomic.Bool // set while a backup is loaded

	uses  atomic.Pointer[inflight] // of the engine that is open, or was open last
	fault atomic.Pointer[fault]    // nil while the engine works

	life      sync.Mutex // protects what follows
	isServing bool       // the engine is open, and may be used
	isClosing bool
	repairs   sync.WaitGroup

	isClosed             atomic.Bool   // for readers of hot records
	stop                 chan struct{} // closed by Close; ends the upkeep
	wakeup               chan struct{} // touches have to be written
	upkeep               sync.WaitGroup
	closing              func()        // closes ending, once
	ending               chan struct{} // closed at the begin of Close: what takes long gives up
	damaged, damagedLogs atomic.Int64
	swept                atomic.Int64
	usage                disk.Usage
}

var (
	_ store.Store      = (*Store)(nil)
	_ store.Updater    = (*Store)(nil)
	_ store.Sweeper    = (*Store)(nil)
	_ store.Outbox     = (*Store)(nil)
	_ store.Pager      = (*Store)(nil)
	_ store.Counter    = (*Store)(nil)
	_ store.Observable = (*Store)(nil)
	_ store.Archiver   = (*Store)(nil)
	_ store.Reporter   = (*Store)(nil)
)

// Open opens the store in a directory, or begins one there. Only one process
// can have it open. What it refuses, it refuses without having changed
// anything, and the error says what to do.
func Open(o Options) (*Store, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	s := &Store{
		opts: o, log: o.Logger, cache: newCache(o.CacheBytes),
		managers: newInterner(keyManager), listeners: newInterner(keyListener),
		stop: make(chan struct{}), wakeup: make(chan struct{}, 1), ending: make(chan struct{}),
	}
	s.closing = sync.OnceFunc(func() { close(s.ending) })
	s.uses.Store(newUses())
	s.space = o.guard()
	faults, err := damagedLogs(o.Dir, o.EncryptionKey)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("opening session store %s: %w", o.Dir, explain(err))
	}
	if s.db, s.id, err = openDatabase(&s.opts, s.space); err != nil {
		if !isHeld(err) { // else the logs are another process's, and change
			s.reportLogs(faults)
		}
		return nil, err
	}
	s.reportLogs(faults)
	s.space.Refresh()
	if err := errors.Join(s.endRestore(), s.convertOutbox(), s.begin(), s.space.MarkInUse()); err != nil {
		return nil, errors.Join(fmt.Errorf("opening session store %s: %w", o.Dir, explain(err)), s.opts.abandon(s.db, s.space))
	}
	s.writer = newWriter(s)
	s.isServing = true
	s.upkeep.Go(s.maintain)
	s.log.Info("session store is open", zap.String("dir", o.Dir), zap.Int64("sessions", s.counts.total()),
		zap.Stringer("durability", o.Durability), zap.Int("format", markerFormat),
		zap.Bool("encrypted", len(o.EncryptionKey) > 0), zap.Bool("compressed", o.Compress))
	return s, nil
}

// begin reads what is kept in memory of the whole.
func (s *Store) begin() error {
	for _, load := range []func() error{
		func() error { return s.managers.load(s.view) }, func() error { return s.listeners.load(s.view) },
		s.loadCounts, s.loadWatermarks, s.loadOutbox,
	} {
		if err := load(); err != nil {
			return err
		}
	}
	return nil
}

// Observe implements store.Observable.
func (s *Store) Observe(f func(store.Ended)) { s.observe = f }

// Close writes what is pending and closes the store, after the last call
// under way has ended. Later calls answer store.ErrUnavailable. Closing twice
// is an error. It takes no longer than Options.CloseTimeout: see CloseWithin.
func (s *Store) Close() error { return s.CloseWithin(s.opts.CloseTimeout) }

// CloseWithin closes the store as Close does, within that time. What takes
// longer goes on meanwhile, and needs not be waited for: whatever was
// acknowledged is in the logs, which the next opening reads.
func (s *Store) CloseWithin(limit time.Duration) error {
	s.life.Lock()
	again := s.isClosing
	s.isClosing = true
	s.life.Unlock()
	if again {
		return errors.New("closing session store: it is closed already")
	}
	s.isClosed.Store(true)
	s.closing()
	closed := make(chan error, 1)
	go func() { closed <- panics.Catch(s.close) }()
	var err error
	select {
	case err = <-closed:
	case <-s.opts.after(limit):
		err = fmt.Errorf("it is not done after %v, and is left: what was acknowledged is in its logs", limit)
	}
	if err != nil {
		return fmt.Errorf("closing session store %s: %w", s.opts.Dir, err)
	}
	return nil
}

func (s *Store) close() (err error) {
	s.repairs.Wait()
	s.uses.Load().end()
	close(s.stop)
	s.upkeep.Wait()
	if s.broken() == nil {
		err = errors.Join(s.flushTouches(true), s.writeWatermarks(context.Background(), 0))
	}
	s.writer.close()
	return errors.Join(err, s.closeEngine())
}

// Load implements store.Store. A hot record costs no disk access and no allocation.
func (s *Store) Load(ctx context.Context, key store.Key) (store.Record, error) {
	if rec, ok := s.hot(key); ok && ctx.Err() == nil {
		return rec, nil
	}
	if err := s.enter(ctx); err != nil {
		return store.Record{}, err
	}
	defer s.leave()
	e, err := s.load(key)
	return e.rec, err
}

// hot returns a record that is in memory, also while the engine has failed.
func (s *Store) hot(key store.Key) (store.Record, bool) {
	e, ok, _ := s.cache.shard(key).get(key)
	if !ok || s.isClosed.Load() || !e.rec.Alive(s.opts.Now()) {
		return store.Record{}, false
	}
	return e.rec, true
}

// load returns the live entry from memory or disk.
func (s *Store) load(key store.Key) (entry, error) {
	shard := s.cache.shard(key)
	e, ok, changes := shard.get(key)
	if !ok {
		ahead := shard.pendingTouch(key)
		var err error
		if e, err = s.read(key); err != nil {
			return entry{}, err
		}
		ahead.merge(&e.rec)
		e = shard.install(key, e, changes)
	}
	if !e.rec.Alive(s.opts.Now()) {
		return entry{}, store.ErrGone
	}
	return e, nil
}

// read returns the entry on disk, whether or not it is past its deadline.
func (s *Store) read(key store.Key) (e entry, err error) {
	n, ok := s.managers.number(key.Manager)
	if !ok {
		return entry{}, store.ErrGone
	}
	err = s.view(func(txn *badger.Txn) error {
		e, err = s.readIn(txn, n, key)
		return err
	})
	if err != nil && !errors.Is(err, store.ErrGone) {
		return entry{}, fmt.Errorf("reading session %s: %w: %w", key.ID, store.ErrUnavailable, err)
	}
	return e, err
}

func (s *Store) readIn(txn *badger.Txn, n number, key store.Key) (e entry, err error) {
	if e, err = s.recordIn(txn, n, key); err == nil {
		err = accessIn(txn, n, key.ID, &e)
	}
	return e, err
}

// recordIn returns what is under the session key alone.
func (s *Store) recordIn(txn *badger.Txn, n number, key store.Key) (entry, error) {
	item, err := txn.Get(sessionKey(n, key.ID))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return entry{}, store.ErrGone
	}
	if err != nil {
		return entry{}, err
	}
	return s.recordOf(item, key)
}

func (s *Store) recordOf(item *badger.Item, key store.Key) (e entry, err error) {
	raw := item.Key()
	err = item.Value(func(b []byte) (err error) { e, err = decode(raw, b); return err })
	if errors.Is(err, errDamaged) {
		return entry{}, s.lost(key)
	}
	return e, err
}

// accessIn adds what is under the access key.
func accessIn(txn *badger.Txn, n number, id store.ID, e *entry) error {
	item, err := txn.Get(accessKey(n, id))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil
	}
	if err == nil {
		err = item.Value(func(b []byte) error { e.mergeAccess(b); return nil })
	}
	return err
}

// lost tells of a record that fails its checksum: it is an ended session, and
// not an error for ever.
func (s *Store) lost(key store.Key) error {
	s.damaged.Add(1)
	s.log.Error("session record is damaged and counts as ended; a damaged disk is likely",
		zap.String("manager", key.Manager), zap.Stringer("session_id", key.ID))
	return errLost
}

// errLost is errDamaged for callers that only want to know that it is gone.
var errLost = fmt.Errorf("%w: %w", store.ErrGone, errDamaged)

func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.broken(); err != nil {
		return err
	}
	if s.isClosed.Load() || !s.uses.Load().begin() {
		return fmt.Errorf("session store %s is closed: %w", s.opts.Dir, store.ErrUnavailable)
	}
	return nil
}

// leave follows enter: the uses are the same ones, since they are replaced
// only after the last call has left.
func (s *Store) leave() { s.uses.Load().done() }
