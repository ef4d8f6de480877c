package memstore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// Backup implements store.Archiver.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	leave, err := s.enter(ctx, "backup", store.Key{})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	err = s.write(&b)
	leave()
	if err == nil {
		_, err = w.Write(b.Bytes())
	}
	if err != nil {
		return fmt.Errorf("backing up: %w", err)
	}
	return nil
}

// write writes all there is. Callers hold mu.
func (s *Store) write(w io.Writer) error {
	a, err := archive.NewWriter(w, "memory", s.now())
	if err != nil {
		return err
	}
	keys := slices.SortedFunc(maps.Keys(s.records), func(a, b store.Key) int {
		return cmp.Or(strings.Compare(a.Manager, b.Manager), bytes.Compare(a.ID[:], b.ID[:]))
	})
	for _, key := range keys {
		rec := s.records[key]
		if err := a.Session(key, &rec); err != nil {
			return err
		}
	}
	last := uint64(0)
	for i, d := range s.deliveries {
		seq, tag, _ := archive.ParseDeliveryID(d.ID)
		if i == 0 || seq != last { // those of one event stand together
			last = seq
			if err := a.Event(seq, d.Key, &archive.Event{Kind: d.Kind, Reason: d.Reason, At: d.At, Keys: d.Keys, Size: d.Info.Size, Record: d.rec}); err != nil {
				return err
			}
		}
		if err := a.Delivery(d.Listener, &archive.State{Tag: tag, Attempts: d.Attempts, Next: d.Next, Dead: d.Dead, Failure: d.Error}); err != nil {
			return err
		}
	}
	return a.End()
}

// Restore implements store.Archiver. Other calls wait until it has read all.
func (s *Store) Restore(ctx context.Context, r io.Reader, check store.CheckRecord) (int64, error) {
	leave, err := s.enter(ctx, "restore", store.Key{})
	if err != nil {
		return 0, err
	}
	defer leave()
	l := loaded{records: make(map[store.Key]store.Record), check: archive.Checker(check)}
	if err := archive.Read(r, l.add); err != nil {
		return 0, fmt.Errorf("restoring: %w", err)
	}
	slices.SortFunc(l.deliveries, func(a, b *delivery) int { return strings.Compare(a.ID, b.ID) })
	if len(s.records)+len(s.deliveries) > 0 {
		return 0, store.ErrNotEmpty
	}
	s.records, s.deliveries, s.filed = l.records, l.deliveries, max(l.filed, s.filed)
	s.wakeups.WakeAll()
	return int64(len(s.records)), nil
}

// loaded is what was read of a backup.
type loaded struct {
	check      func(*archive.Frame) error
	records    map[store.Key]store.Record
	event      archive.Event
	deliveries []*delivery
	filed      int64
}

func (l *loaded) add(f *archive.Frame) error {
	if err := l.check(f); err != nil {
		return err
	}
	switch f.Kind {
	case archive.KindSession:
		l.records[f.Key] = f.Record
	case archive.KindEvent:
		l.event, l.filed = f.Event, int64(f.Seq)
	case archive.KindDelivery:
		d := &delivery{rec: l.event.Record, Delivery: store.Delivery{
			ID: archive.DeliveryID(f.Seq, f.State.Tag), Listener: f.Listener, Kind: l.event.Kind, Reason: l.event.Reason,
			Key: f.Key, At: l.event.At, Keys: l.event.Keys, Info: l.event.Info(f.Key.ID),
			Attempts: f.State.Attempts, Next: f.State.Next, Error: f.State.Failure, Dead: f.State.Dead,
		}}
		if d.Kind == store.EventEnded {
			d.Data = d.rec.Data
		}
		l.deliveries = append(l.deliveries, d)
	}
	return nil
}
