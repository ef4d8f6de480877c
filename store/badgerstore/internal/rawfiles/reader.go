package rawfiles

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/panics"
)

// Visitor takes what a Reader finds.
type Visitor struct {
	// Entry takes a version of a key.
	Entry func(Entry) error
	// Lost takes where versions of keys may be lost.
	Lost func(Gap)
	// Fault takes a line about what could not be read.
	Fault func(string)
	// IsSealed reports whether an entry of a damaged block is whole: its value
	// has a checksum of its own.
	IsSealed func(*Entry) bool
}

func (v *Visitor) fault(format string, args ...any) { v.Fault(fmt.Sprintf(format, args...)) }

// Gap is a range of keys of which versions may be lost.
type Gap struct {
	From, To   []byte // To is in it; nil is no bound
	MaxVersion uint64 // no lost version is higher
}

// Everything is the gap where nothing is known of what was lost.
var Everything = Gap{MaxVersion: math.MaxUint64}

// Reader reads the files of a directory that no process has open.
type Reader struct {
	dir         string
	manifest    map[uint64]badger.TableManifest // nil if it cannot be read
	manifestErr error
	keys        *badger.KeyRegistry // nil if it cannot be read
	keysErr     error
}

// Open reads which tables there are, and the keys of the encryption. It fails
// for a wrong key alone: what is damaged is a fault when the tables are read.
func Open(dir string, encryptionKey []byte) (*Reader, error) {
	r := &Reader{dir: dir}
	r.keysErr = panics.Catch(func() (err error) {
		if _, err := ReadFile(filepath.Join(dir, badger.KeyRegistryFileName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		r.keys, err = badger.OpenKeyRegistry(badger.KeyRegistryOptions{Dir: dir, ReadOnly: true, EncryptionKey: encryptionKey})
		return err
	})
	if errors.Is(r.keysErr, badger.ErrEncryptionKeyMismatch) {
		return nil, r.keysErr
	}
	if r.keysErr != nil {
		r.keys = nil
	}
	r.manifestErr = r.openManifest()
	return r, nil
}

// openManifest reads which tables there are, and in which form.
func (r *Reader) openManifest() error {
	name := filepath.Join(r.dir, badger.ManifestFilename)
	_, err := ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("it is missing")
	}
	if err != nil {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return panics.Catch(func() error {
		m, _, err := badger.ReplayManifestFile(f, 0, badger.DefaultOptions("").WithLogger(nil))
		if err == nil {
			r.manifest = m.Tables
		}
		return err
	})
}

// ReadTables takes all that can be read of the tables. After a crash tables may
// be there that the engine had replaced.
func (r *Reader) ReadTables(ctx context.Context, crashed bool, v *Visitor) error {
	if r.keysErr != nil {
		v.fault("%s: %v; what is encrypted cannot be read", badger.KeyRegistryFileName, r.keysErr)
	}
	if r.manifestErr != nil {
		v.fault("%s: %v; the form of each table is tried", badger.ManifestFilename, r.manifestErr)
		if crashed { // else the engine has removed the tables that it had replaced
			v.Lost(Everything)
		}
	}
	tables, err := r.tables()
	if err != nil {
		return err
	}
	for id, name := range tables {
		if _, ok := r.manifest[id]; !ok && r.manifest != nil {
			continue // it was replaced: what it has deleted meanwhile would be back
		}
		if err := errors.Join(ctx.Err(), r.table(name, id, v)); err != nil {
			return err
		}
	}
	for id := range r.manifest {
		if tables[id] == "" {
			v.fault("table %06d.sst is missing", id)
			v.Lost(Everything)
		}
	}
	return nil
}

// tables returns the paths of the tables by their numbers.
func (r *Reader) tables() (map[uint64]string, error) {
	names, err := Files(r.dir, "*.sst")
	tables := make(map[uint64]string, len(names))
	for _, name := range names {
		if id, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(name), ".sst"), 10, 64); err == nil {
			tables[id] = name
		}
	}
	return tables, err
}

// table reads what can be read of a table.
func (r *Reader) table(name string, id uint64, v *Visitor) error {
	base := filepath.Base(name)
	b, err := ReadFile(name)
	var forms []tableForm
	if err == nil {
		forms, err = r.forms(id)
	}
	if err != nil {
		v.fault("table %s: %v", base, err)
		v.Lost(Everything)
		return nil
	}
	t := chooseForm(b, forms)
	if t.good == 0 {
		v.fault("table %s: nothing in it can be read", base)
	}
	if !t.index.isIntact && t.good > 0 {
		v.fault("table %s: its index is damaged", base)
	}
	return t.read(base, b, v)
}

// dataKey returns the key of that number: none for 0.
func (r *Reader) dataKey(id uint64) ([]byte, error) {
	if id == 0 {
		return nil, nil
	}
	if r.keys == nil {
		return nil, errors.New("its encryption key cannot be read")
	}
	key, err := r.keys.DataKey(id)
	if err != nil {
		return nil, err
	}
	return key.Data, nil
}

// maxKeys is far more than there are keys of the encryption: one each ten days.
const maxKeys = 1000

// forms returns in which forms a table may be.
func (r *Reader) forms(id uint64) (forms []tableForm, err error) {
	if m, ok := r.manifest[id]; ok {
		key, err := r.dataKey(m.KeyID)
		return []tableForm{{key, m.Compression}}, err
	}
	for n := range uint64(maxKeys) {
		key, err := r.dataKey(n)
		if err != nil {
			break
		}
		for _, c := range []options.CompressionType{options.None, options.ZSTD} {
			forms = append(forms, tableForm{key, c})
		}
	}
	return forms, nil //nolint:nilerr // a key that is not there ends the list
}

// ReadLogs takes all that can be read of the logs.
func (r *Reader) ReadLogs(ctx context.Context, v *Visitor) error {
	ids, err := Logs(r.dir)
	if err != nil {
		return err
	}
	for _, id := range ids {
		name := LogName(id)
		l, err := r.log(id)
		switch {
		case err != nil:
			v.fault("log %s: %v", name, err)
			v.Lost(Everything)
			continue
		case len(l.b) == 0:
			continue // made ahead
		}
		l.visit = v.Entry
		if err := errors.Join(ctx.Err(), l.read()); err != nil {
			return err
		}
		if l.holes > 0 {
			v.fault("log %s: damaged in %d place(s)", name, l.holes)
			v.Lost(Everything)
		}
	}
	return nil
}

// log opens a log with the key that it names.
func (r *Reader) log(id int) (*logReader, error) {
	b, err := ReadFile(filepath.Join(r.dir, LogName(id)))
	if err != nil {
		return nil, err
	}
	key, err := r.dataKey(logKeyID(b))
	return &logReader{b: b, key: key}, err
}

// IsFlushed reports whether tables hold what was written before that log. What
// cannot be found out counts as that.
func (r *Reader) IsFlushed(log int) bool {
	l, err := r.log(log)
	if err != nil {
		return true
	}
	first := uint64(math.MaxUint64)
	l.visit = func(e Entry) error { first = min(first, e.Version); return nil }
	if err := l.read(); err != nil || first == math.MaxUint64 {
		return true // nothing in it says where it begins
	}
	return r.reaches(first - 1)
}

// reaches reports whether a table holds a version, or a later one.
func (r *Reader) reaches(version uint64) bool {
	tables, err := r.tables()
	if err != nil {
		return true
	}
	for id, name := range tables {
		b, err := ReadFile(name)
		if err != nil {
			return true
		}
		forms, _ := r.forms(id)
		for _, form := range forms {
			index, err := readTableIndex(b, form.key)
			if err == nil && index.isIntact && index.maxVersion >= version && index.maxVersion < math.MaxInt64 {
				return true
			}
		}
	}
	return false
}
