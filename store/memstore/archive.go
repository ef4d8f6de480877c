package memstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"fmt"
	"io"

	"github.com/sessionproxy/sessionproxy/store"
)

// Backup implements store.Archiver.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	leave, err := s.enter(ctx, "backup", store.Key{})
	if err != nil {
		return err
	}
	defer leave()
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(archive{s.records, s.deliveries, s.filed}); err != nil {
		return err
	}
	sum := sha256.Sum256(b.Bytes())
	_, err = w.Write(append(b.Bytes(), sum[:]...))
	return err
}

// archive is what a backup of Store holds, before its checksum.
type archive struct {
	Records    map[store.Key]store.Record
	Deliveries []*store.Delivery
	Filed      int64
}

// Restore implements store.Archiver.
func (s *Store) Restore(ctx context.Context, r io.Reader, check store.CheckRecord) (int64, error) {
	leave, err := s.enter(ctx, "restore", store.Key{})
	if err != nil {
		return 0, err
	}
	defer leave()
	b, err := io.ReadAll(r)
	if err != nil {
		return 0, err
	}
	end := len(b) - sha256.Size
	if end < 0 || sha256.Sum256(b[:end]) != [sha256.Size]byte(b[end:]) {
		return 0, store.ErrBadBackup
	}
	var a archive
	if err := gob.NewDecoder(bytes.NewReader(b[:end])).Decode(&a); err != nil {
		return 0, fmt.Errorf("%w: %w", store.ErrBadBackup, err)
	}
	if len(s.records)+len(s.deliveries) > 0 {
		return 0, store.ErrNotEmpty
	}
	for key, rec := range a.Records {
		if check == nil {
			break
		}
		if err := check(key, &rec); err != nil {
			return 0, fmt.Errorf("%w: %s of manager %q: %w", store.ErrBadBackup, key.ID, key.Manager, err)
		}
	}
	s.records, s.deliveries, s.filed = a.Records, a.Deliveries, max(a.Filed, s.filed)
	if s.records == nil {
		s.records = make(map[store.Key]store.Record)
	}
	s.wakeups.WakeAll()
	return int64(len(s.records)), nil
}
