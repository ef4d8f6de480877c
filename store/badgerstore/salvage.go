package badgerstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/disk"
	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/panics"
	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/rawfiles"
)

// SalvageOptions say what Salvage reads, and where it works.
type SalvageOptions struct {
	// Dir is the directory of the store, which no process may have open.
	Dir string
	// Temp is where a copy is built; it takes as much space as the store, and
	// holds sessions in clear until Salvage returns. Required.
	Temp string
	// EncryptionKey is that of the store.
	EncryptionKey []byte
	// Certain leaves out what Salvaged.Doubtful counts.
	Certain bool
	// Check is what a restore will check. What it refuses counts as lost.
	Check store.CheckRecord
	// Reserve is the free space that is left on the disk of Temp; default: as
	// that of a store.
	Reserve int64
	Now     func() time.Time // default: time.Now

	ctx context.Context
}

// Salvaged tells what Salvage has found.
type Salvaged struct {
	// Sessions and Deliveries are in the backup.
	Sessions, Deliveries int64
	// LostSessions were there, and are not in the backup. There may be others
	// of which no trace is left.
	LostSessions, LostDeliveries int64
	// Ended is how many records were left out since an index says that the
	// session has ended, or that its principal is another one: what wrote
	// that to the record is lost.
	Ended int64
	// Doubtful is how many sessions may have changed or ended in what was
	// lost: they are as of an earlier moment, as those of an older backup.
	Doubtful int64
	// Faults are what could not be read of the files, one line each.
	Faults []string

	complete bool
}

// Complete reports whether nothing was lost.
func (s *Salvaged) Complete() bool { return s.complete }

// errNothing says that salvaging is in vain.
var errNothing = errors.New("nothing in it can be read")

// Salvage reads what can be read of a store whose files are damaged, and
// writes it to w as a backup. It never writes to the store's directory.
//
// Each table and each log is read by itself, as far as its checksums hold, and
// put into a new database, whose engine decides which version of a key
// counts. That database is opened as any store of its format and backed up.
func Salvage(ctx context.Context, o SalvageOptions, w io.Writer) (out *Salvaged, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("salvaging session store %s: %w", o.Dir, err)
		}
	}()
	o.ctx = ctx
	if err := (&Options{Dir: o.Dir, EncryptionKey: o.EncryptionKey}).fill(); err != nil {
		return nil, err
	}
	unlock, err := disk.TryLock(o.Dir)
	if err != nil {
		return nil, explain(err)
	}
	if unlock == nil {
		return nil, errors.New(held)
	}
	defer unlock()
	temp, err := os.MkdirTemp(o.Temp, ".salvage-*") // for its owner alone
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	copied := Options{Dir: temp, Durability: Async, Reserve: o.Reserve, Now: o.Now}
	if err := copied.fill(); err != nil {
		return nil, err
	}
	out = new(Salvaged)
	if err := o.build(&copied, out); err != nil {
		return out, err
	}
	s, err := Open(copied)
	if err != nil {
		return out, err
	}
	return out, errors.Join(s.Backup(ctx, w), s.Close())
}

// build makes a database of what can be read.
func (o *SalvageOptions) build(copied *Options, out *Salvaged) (err error) {
	to, err := newRebuild(copied)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	if err := errors.Join(o.read(to, out), to.flush()); err != nil {
		return err
	}
	if to.entries == 0 {
		return errNothing
	}
	if err := (&judge{o: o, to: to, out: out}).run(); err != nil {
		return err
	}
	out.complete = len(to.gaps) == 0 && out.LostSessions+out.LostDeliveries == 0
	if err := o.identify(to, copied, out); err != nil {
		return err
	}
	return to.flush()
}

// read takes all that can be read. It writes nothing to the store's directory.
func (o *SalvageOptions) read(to *rebuild, out *Salvaged) error {
	files, err := rawfiles.Open(o.Dir, o.EncryptionKey)
	if err != nil {
		return explain(err)
	}
	v := &rawfiles.Visitor{
		Entry: to.add, Lost: to.lost, Fault: func(text string) { out.Faults = append(out.Faults, text) },
		IsSealed: func(e *rawfiles.Entry) bool { _, err := unseal(e.Key, e.Value); return err == nil },
	}
	_, noMark := os.Stat(filepath.Join(o.Dir, disk.InUseFile))
	if err := files.ReadTables(o.ctx, noMark == nil, v); err != nil {
		return err
	}
	slices.Sort(out.Faults)
	if err := files.ReadLogs(o.ctx, v); err != nil {
		return err
	}
	missing, err := missingLogs(o.Dir, o.EncryptionKey)
	if err != nil {
		missing = append(missing, fmt.Sprintf("%s: %v", disk.InUseFile, err))
	}
	for _, fault := range missing {
		v.Fault(fault)
		v.Lost(rawfiles.Everything)
	}
	return nil
}

// identify has the copy be the store that it is a copy of, in its format.
func (o *SalvageOptions) identify(to *rebuild, copied *Options, out *Salvaged) error {
	mark, err := readMarker(o.Dir)
	switch {
	case err != nil && !errors.Is(err, errMarker):
		return err // of a newer format
	case err != nil || mark == nil:
		out.Faults = append(out.Faults, markerFile+" is damaged or missing")
		mark = &marker{Format: markerFormat, Store: "salvaged"}
		err := to.view(func(txn *badger.Txn) error {
			return each(txn, keySentinel, func(_ *badger.Item, _, value []byte) error {
				mark.Store = string(value)
				return nil
			})
		})
		if err != nil {
			return err
		}
	}
	if err := to.set([]byte{keySentinel}, []byte(mark.Store)); err != nil {
		return err
	}
	return writeMarker(copied.Dir, *mark)
}

// rebuild is a database that is made of what can be read of another one. The
// engine itself decides which version of a key counts.
type rebuild struct {
	db      *badger.DB
	batch   *badger.WriteBatch
	entries int
	last    uint64 // the highest version
	gaps    []rawfiles.Gap
}

func newRebuild(o *Options) (*rebuild, error) {
	db, err := badger.OpenManaged(o.badger(nil).WithSyncWrites(false).WithLogger(nil))
	if err != nil {
		return nil, fmt.Errorf("making a temporary database: %w", explain(err))
	}
	return &rebuild{db: db, batch: db.NewManagedWriteBatch()}, nil
}

// engineKeys begin the keys that the engine keeps for itself.
var engineKeys = []byte("!badger!")

// add takes a version of a key.
func (r *rebuild) add(e rawfiles.Entry) error {
	if bytes.HasPrefix(e.Key, engineKeys) || e.Version > math.MaxInt64 {
		return nil
	}
	r.entries++
	r.last = max(r.last, e.Version)
	switch {
	case e.IsPointer(): // the store has nothing there
		r.gaps = append(r.gaps, rawfiles.Gap{From: e.Key, To: e.Key, MaxVersion: e.Version})
		return nil
	case e.IsDeletion():
		return r.batch.DeleteAt(e.Key, e.Version)
	}
	return r.batch.SetEntryAt(&badger.Entry{Key: e.Key, Value: e.Value, UserMeta: e.User, ExpiresAt: e.Expires}, e.Version)
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
	return panics.Catch(r.db.Close)
}

// lost notes that versions of the keys from one to another are lost.
func (r *rebuild) lost(g rawfiles.Gap) { r.gaps = append(r.gaps, g) }

// isDoubtful reports whether a version of the key that is later than this one
// may be lost.
func (r *rebuild) isDoubtful(key []byte, version uint64) bool {
	for _, g := range r.gaps {
		if g.MaxVersion > version && bytes.Compare(key, g.From) >= 0 && (g.To == nil || bytes.Compare(key, g.To) <= 0) {
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
