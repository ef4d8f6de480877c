package badgerstore

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"github.com/dgraph-io/badger/v4"
)

// rebuild is a database that is made of what can be read of another one. The
// engine itself decides which version of a key counts.
type rebuild struct {
	db      *badger.DB
	batch   *badger.WriteBatch
	entries int
	last    uint64 // the highest version
	gaps    []gap
}

// gap is a range of keys of which versions may be lost.
type gap struct {
	from, to   []byte // to is in it; nil is no bound
	maxVersion uint64 // no lost version is higher
}

// everything is the gap where nothing is known of what was lost.
var everything = gap{maxVersion: math.MaxUint64}

func newRebuild(o *Options) (*rebuild, error) {
	db, err := badger.OpenManaged(o.badger(new(space)).WithSyncWrites(false).WithLogger(nil))
	if err != nil {
		return nil, fmt.Errorf("making a temporary database: %w", explain(err))
	}
	return &rebuild{db: db, batch: db.NewManagedWriteBatch()}, nil
}

// engineKeys begin the keys that the engine keeps for itself.
var engineKeys = []byte("!badger!")

// add takes a version of a key.
func (r *rebuild) add(e rawEntry) error {
	if bytes.HasPrefix(e.key, engineKeys) || e.version > math.MaxInt64 {
		return nil
	}
	r.entries++
	r.last = max(r.last, e.version)
	switch {
	case e.meta&metaPointer != 0: // the store has nothing there
		r.gaps = append(r.gaps, gap{from: e.key, to: e.key, maxVersion: e.version})
		return nil
	case e.meta&metaDelete != 0:
		return r.batch.DeleteAt(e.key, e.version)
	}
	return r.batch.SetEntryAt(&badger.Entry{Key: e.key, Value: e.value, UserMeta: e.user, ExpiresAt: e.expires}, e.version)
}

// flush makes what was added readable.
func (r *rebuild) flush() error {
	err := r.batch.Flush()
	r.batch = r.db.NewManagedWriteBatch()
	return err
}

// view reads the latest version of each key.
func (r *rebuild) view(f func(*badger.Txn) error) error {
	txn := r.db.NewTransactionAt(math.MaxUint64, false)
	defer txn.Discard()
	return f(txn)
}

// set and remove come after all that was read.
func (r *rebuild) set(key, value []byte) error {
	return r.batch.SetEntryAt(&badger.Entry{Key: key, Value: value}, r.last+1)
}

func (r *rebuild) remove(key []byte) error { return r.batch.DeleteAt(key, r.last+1) }

func (r *rebuild) close() error {
	r.batch.Cancel()
	return guarded(r.db.Close)
}

// lost notes that versions of the keys from one to another are lost.
func (r *rebuild) lost(g gap) { r.gaps = append(r.gaps, g) }

// isDoubtful reports whether a version of the key that is later than this one
// may be lost.
func (r *rebuild) isDoubtful(key []byte, version uint64) bool {
	for _, g := range r.gaps {
		if g.maxVersion > version && bytes.Compare(key, g.from) >= 0 && (g.to == nil || bytes.Compare(key, g.to) <= 0) {
			return true
		}
	}
	return false
}

// has reports whether a key is there.
func has(txn *badger.Txn, key []byte) (bool, error) {
	_, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return false, nil
	}
	return err == nil, err
}
