package badgerstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// salvager reads the files of a store. It writes nothing to its directory.
type salvager struct {
	o   *SalvageOptions
	to  *rebuild
	out *Salvaged

	manifest map[uint64]badger.TableManifest // nil if it cannot be read
	keys     *badger.KeyRegistry             // nil if it cannot be read
}

func (s *salvager) fault(format string, args ...any) {
	s.out.Faults = append(s.out.Faults, fmt.Sprintf(format, args...))
}

// read takes all that can be read.
func (s *salvager) read() error {
	crashed := false
	if _, err := os.Stat(filepath.Join(s.o.Dir, inUseFile)); err == nil {
		crashed = true
	}
	if err := s.openKeys(); err != nil {
		return err
	}
	if err := s.openManifest(); err != nil {
		s.fault("%s: %v; the form of each table is tried", badger.ManifestFilename, err)
		if crashed { // else the engine has removed the tables that it had replaced
			s.to.lost(everything)
		}
	}
	tables, err := filesOf(s.o.Dir, "*.sst")
	if err != nil {
		return err
	}
	found := make(map[uint64]bool)
	for _, name := range tables {
		id, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(name), ".sst"), 10, 64)
		if err != nil {
			continue
		}
		found[id] = true
		if _, ok := s.manifest[id]; !ok && s.manifest != nil {
			continue // it was replaced: what it has deleted meanwhile would be back
		}
		if err := errors.Join(s.o.ctx.Err(), s.table(name, id)); err != nil {
			return err
		}
	}
	for id := range s.manifest {
		if !found[id] {
			s.fault("table %06d.sst is missing", id)
			s.to.lost(everything)
		}
	}
	slices.Sort(s.out.Faults)
	return s.logs()
}

// openManifest reads which tables there are, and in which form.
func (s *salvager) openManifest() error {
	f, err := os.Open(filepath.Join(s.o.Dir, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("it is missing")
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return guarded(func() error {
		m, _, err := badger.ReplayManifestFile(f, 0, badger.DefaultOptions("").WithLogger(nil))
		if err == nil {
			s.manifest = m.Tables
		}
		return err
	})
}

// openKeys reads the keys of the encryption.
func (s *salvager) openKeys() error {
	err := guarded(func() (err error) {
		s.keys, err = badger.OpenKeyRegistry(badger.KeyRegistryOptions{Dir: s.o.Dir, ReadOnly: true, EncryptionKey: s.o.EncryptionKey})
		return err
	})
	if errors.Is(err, badger.ErrEncryptionKeyMismatch) {
		return explain(err)
	}
	if err != nil {
		s.keys = nil
		s.fault("%s: %v; what is encrypted cannot be read", badger.KeyRegistryFileName, err)
	}
	return nil
}

// dataKey returns the key of that number: none for 0.
func (s *salvager) dataKey(id uint64) ([]byte, error) {
	if id == 0 {
		return nil, nil
	}
	if s.keys == nil {
		return nil, errors.New("its encryption key cannot be read")
	}
	key, err := s.keys.DataKey(id)
	if err != nil {
		return nil, err
	}
	return key.Data, nil
}

// maxKeys is far more than there are keys of the encryption: one each ten days.
const maxKeys = 1000

// forms returns in which forms a table may be.
func (s *salvager) forms(id uint64) (forms []tableForm, err error) {
	if m, ok := s.manifest[id]; ok {
		key, err := s.dataKey(m.KeyID)
		return []tableForm{{key, m.Compression}}, err
	}
	for n := range uint64(maxKeys) {
		key, err := s.dataKey(n)
		if err != nil {
			break
		}
		for _, c := range []options.CompressionType{options.None, options.ZSTD} {
			forms = append(forms, tableForm{key, c})
		}
	}
	return forms, nil //nolint:nilerr // a key that is not there ends the list
}

// logs reads the engine's logs.
func (s *salvager) logs() error {
	ids, err := logs(s.o.Dir)
	if err != nil {
		return err
	}
	for _, id := range ids {
		name := logName(id)
		b, err := os.ReadFile(filepath.Join(s.o.Dir, name))
		if err == nil && len(b) == 0 {
			continue // made ahead
		}
		var key []byte
		if err == nil {
			key, err = s.dataKey(logKeyID(b))
		}
		if err != nil {
			s.fault("log %s: %v", name, err)
			s.to.lost(everything)
			continue
		}
		l := logReader{b: b, key: key, visit: s.to.add}
		if err := errors.Join(s.o.ctx.Err(), l.read()); err != nil {
			return err
		}
		if l.holes > 0 {
			s.fault("log %s: damaged in %d place(s)", name, l.holes)
			s.to.lost(everything)
		}
	}
	missing, err := missingLogs(s.o.Dir, s.o.EncryptionKey)
	for _, fault := range missing {
		s.fault("%s", fault)
		s.to.lost(everything)
	}
	return err
}
