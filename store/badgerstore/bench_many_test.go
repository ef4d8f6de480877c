package badgerstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/storetest"
)

// fillStore creates sessions from many clients, as fast as the store takes them.
func fillStore(b *testing.B, s *Store, clock *storetest.Clock, n int) {
	b.Helper()
	const clients = 64
	data := []byte(`{"padding":"` + strings.Repeat("x", 286) + `"}`)
	failed := make(chan error, clients)
	for c := range clients {
		go func() {
			var err error
			for i := c; i < n && err == nil; i += clients {
				now := clock.Now().Add(time.Duration(i) * time.Microsecond)
				rec := store.Record{
					Data: data, Created: now, Written: now, Accessed: now, Idle: 30 * time.Minute,
					Absolute: now.Add(12 * time.Hour), Incarnation: store.NewIncarnation(), Version: store.Version{}.Next(),
				}
				err = s.Save(context.Background(), manyKey(i), store.Write{Record: rec}, store.Create())
			}
			failed <- err
		}()
	}
	for range clients {
		if err := <-failed; err != nil {
			b.Fatal(err)
		}
	}
}

// manyKey is random, as ids are.
func manyKey(i int) store.Key {
	var id store.ID
	binary.LittleEndian.PutUint64(id[:], uint64(i)*0x9e3779b97f4a7c15)
	binary.LittleEndian.PutUint32(id[8:], uint32(i))
	return store.Key{Manager: "shop", ID: id}
}

func benchOnClock(b *testing.B) (*Store, *storetest.Clock) {
	b.Helper()
	clock := storetest.NewClock()
	s := open(b, b.TempDir(), func(o *Options) { o.Logger, o.Durability, o.Now = zap.NewNop(), Async, clock.Now })
	b.Cleanup(func() { shut(b, s) })
	return s, clock
}

// BenchmarkSweep is the end of one session.
func BenchmarkSweep(b *testing.B) {
	for name, listeners := range map[string][]string{"nobody": nil, "listener": {"files"}} {
		b.Run(name, func(b *testing.B) {
			s, clock := benchOnClock(b)
			s.Subscribe(to(listeners...))
			fillStore(b, s, clock, b.N)
			clock.Advance(time.Hour)
			b.ReportAllocs()
			b.ResetTimer()
			for left := b.N; left > 0; {
				ended, _, err := s.Sweep(context.Background(), s.opts.Now(), 10_000)
				if err != nil || ended == 0 {
					b.Fatal(ended, err)
				}
				left -= ended
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sessions/s")
		})
	}
}

// BenchmarkSettle is a delivery that was made, asked for and settled by the hundred.
func BenchmarkSettle(b *testing.B) {
	s, clock := benchOnClock(b)
	s.Subscribe(to("files"))
	fillStore(b, s, clock, b.N)
	clock.Advance(time.Hour)
	if ended, _, err := s.Sweep(context.Background(), s.opts.Now(), b.N); err != nil || ended != b.N {
		b.Fatal(ended, err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; {
		due, _, err := s.Deliveries(context.Background(), "files", 100)
		if err != nil || len(due) == 0 {
			b.Fatal(len(due), err)
		}
		done := make([]store.Settlement, len(due))
		for i, d := range due {
			done[i] = store.Settlement{ID: d.ID, Delivered: true}
		}
		if err := s.Settle(context.Background(), done...); err != nil {
			b.Fatal(err)
		}
		left -= len(due)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
}

// BenchmarkDeliveries asks for work behind ten thousand sessions whose
// deliveries are to be tried later, with ninety thousand that wait.
func BenchmarkDeliveries(b *testing.B) {
	s, clock := benchOnClock(b)
	s.Subscribe(to("files"))
	fillStore(b, s, clock, 100_000)
	clock.Advance(time.Hour)
	if _, _, err := s.Sweep(context.Background(), s.opts.Now(), 100_000); err != nil {
		b.Fatal(err)
	}
	due, _, err := s.Deliveries(context.Background(), "files", 10_000)
	if err != nil {
		b.Fatal(err)
	}
	done := make([]store.Settlement, len(due))
	for i, d := range due {
		done[i] = store.Settlement{ID: d.ID, Next: clock.Now().Add(time.Hour)}
	}
	if err := s.Settle(context.Background(), done...); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if due, _, err := s.Deliveries(context.Background(), "files", 32); err != nil || len(due) != 32 {
			b.Fatal(len(due), err)
		}
	}
}

// BenchmarkBackup copies a hundred thousand sessions, and BenchmarkRestore
// brings them back.
func BenchmarkBackup(b *testing.B) {
	s, clock := benchOnClock(b)
	s.Subscribe(to("files"))
	fillStore(b, s, clock, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Backup(context.Background(), io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRestore(b *testing.B) {
	s, clock := benchOnClock(b)
	s.Subscribe(to("files"))
	fillStore(b, s, clock, 100_000)
	var backup bytes.Buffer
	if err := s.Backup(context.Background(), &backup); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		o, _ := benchOnClock(b)
		b.StartTimer()
		if n, err := o.Restore(context.Background(), bytes.NewReader(backup.Bytes()), nil); n != 100_000 || err != nil {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkPage is the first page of a thousand sessions, out of a million.
func BenchmarkPage(b *testing.B) {
	s, clock := benchOnClock(b)
	s.Subscribe(to("files"))
	fillStore(b, s, clock, 1_000_000)
	for _, order := range []store.Order{store.ByCreated, store.ByExpires} {
		b.Run(string(order), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				page, err := s.Page(context.Background(), store.Query{Manager: "shop", Order: order, Limit: 1000})
				if err != nil || len(page.Sessions) != 1000 {
					b.Fatal(len(page.Sessions), err)
				}
			}
		})
	}
}
