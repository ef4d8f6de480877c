package badgerstore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
	"github.com/sessionproxy/sessionproxy/store/storetest"
)

// backupOf writes a backup of n sessions by hand; change may spoil it.
func backupOf(t testing.TB, n int, change func(*archive.Writer)) []byte {
	t.Helper()
	var b bytes.Buffer
	a, err := archive.NewWriter(&b, "store", time.Unix(1e9, 0))
	for i := range n {
		rec := archive.Truncate(record(fmt.Sprint(i)))
		err = errors.Join(err, a.Session(keyOf(byte(i)), &rec))
	}
	if change != nil {
		change(a)
	}
	if err = errors.Join(err, a.End()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func FuzzDecodeEvent(f *testing.F) {
	n := event{Event: archive.Event{Kind: store.EventSaved, Keys: []string{"a", "b"}, Record: archive.Truncate(record("x"))}}
	a := deliveryState{State: archive.State{Tag: 7, Attempts: 3, Failure: "e"}}
	key := []byte("key")
	f.Add(n.encode(key)[sealLen:], a.encode(key)[sealLen:])
	f.Fuzz(func(t *testing.T, b, c []byte) {
		sealed := seal(key, append(make([]byte, sealLen), b...))
		if n, err := decodeEvent(key, sealed); err == nil {
			if again, err := decodeEvent(key, n.encode(key)); err != nil || again.Record.Version != n.Record.Version {
				t.Fatalf("%+v, %v", again, err)
			}
		}
		sealed = seal(key, append(make([]byte, sealLen), c...))
		if a, err := decodeDelivery(key, sealed); err == nil {
			if again, err := decodeDelivery(key, a.encode(key)); err != nil || again.Tag != a.Tag {
				t.Fatalf("%+v, %v", again, err)
			}
		}
	})
}

func backup(t *testing.T, s *Store) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A backup is of one moment, however long it takes, and holds no call up.
func TestBackupIsOfOneMoment(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	defer shut(t, s)
	for i := range 200 {
		create(t, s, keyOf(byte(i)), strings.Repeat("x", 2000))
	}
	var b bytes.Buffer
	w := &meanwhile{Buffer: &b, do: func() {
		for i := range 200 {
			if err := s.Delete(t.Context(), keyOf(byte(i)), store.Destroyed); err != nil {
				t.Error(err)
			}
		}
		create(t, s, store.Key{Manager: "later"}, "x")
	}}
	if err := s.Backup(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	o := open(t, t.TempDir(), nil)
	defer shut(t, o)
	if n, err := o.Restore(t.Context(), &b, nil); n != 200 || err != nil {
		t.Fatalf("%d sessions, %v", n, err)
	}
}

// meanwhile does something at the first write.
type meanwhile struct {
	*bytes.Buffer
	do func()
}

func (w *meanwhile) Write(b []byte) (int, error) {
	if w.do != nil {
		w.do()
		w.do = nil
	}
	return w.Buffer.Write(b)
}

// Closing the store ends a backup that is read slowly.
func TestCloseEndsABackup(t *testing.T) {
	s := open(t, t.TempDir(), func(o *Options) { o.Durability = Async })
	for i := range 2 * backupStep {
		create(t, s, crashKey(i), strings.Repeat("x", 1000))
	}
	closed := make(chan error, 1)
	err := s.Backup(t.Context(), &meanwhile{Buffer: new(bytes.Buffer), do: func() {
		go func() { closed <- s.Close() }()
		<-s.ending
	}})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
}

// The file that a backup is checked in shows nothing, and goes.
func TestSpoolIsIllegible(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	defer shut(t, s)
	p, err := s.newSpool(t.Context(), strings.NewReader(strings.Repeat("secret", 1000)))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(p.f.Name())
	if err != nil || len(raw) != 6000 || bytes.Contains(raw, []byte("secret")) {
		t.Fatalf("%d bytes: %.20q, %v", len(raw), raw, err)
	}
	if info, err := os.Stat(p.f.Name()); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	r, err := p.reader()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if _, err := text.ReadFrom(r); err != nil || text.String() != strings.Repeat("secret", 1000) {
		t.Fatalf("%.20q, %v", text.String(), err)
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, spoolPattern)); err != nil || len(left) > 0 {
		t.Fatalf("%v, %v", left, err)
	}
}

// While a backup is loaded nothing else begins, and a crash in the middle
// leaves a store without sessions.
func TestARestoreCutOffLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	if err := s.writer.do(t.Context(), &op{run: (*batch).beginRestore}); err != nil {
		t.Fatal(err)
	}
	l := restoreBatch{s: s, ctx: t.Context()}
	rec := archive.Truncate(record("x"))
	n := archive.Event{Kind: store.EventEnded, Record: rec, At: rec.Created}
	for _, f := range []*archive.Frame{
		{Kind: archive.KindSession, Key: keyOf(1), Record: rec}, {Kind: archive.KindEvent, Key: keyOf(2), Seq: 5, Event: n},
		{Kind: archive.KindDelivery, Key: keyOf(2), Seq: 5, Event: n, Listener: "hook"},
	} {
		if err := l.add(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(t.Context(), keyOf(3), store.Write{Record: rec}, store.Create()); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("a save got between: %v", err)
	}
	if due, _, err := s.Deliveries(t.Context(), "hook", 10); err != nil || len(due) > 0 {
		t.Fatalf("%v, %v", due, err)
	}
	if err := s.writer.do(t.Context(), &op{run: (*batch).beginRestore}); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("another restore began: %v", err)
	}
	write(t, dir, "restore-123.tmp", "left")
	shut(t, s) // as good as a crash: the mark stays
	logs, watched := observer.New(zapcore.WarnLevel)
	s = open(t, dir, func(o *Options) { o.Logger = zap.New(logs) })
	defer shut(t, s)
	if watched.FilterMessageSnippet("cut off").Len() != 1 {
		t.Fatal("nothing was logged")
	}
	if left, err := filepath.Glob(filepath.Join(dir, spoolPattern)); err != nil || len(left) > 0 {
		t.Fatalf("%v, %v", left, err)
	}
	if err := s.db.View(isEmpty); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Counts(t.Context()); err != nil || len(all) != 1 || all[0].Sessions != 0 {
		t.Fatalf("%v, %v", all, err)
	}
	if n, err := s.Restore(t.Context(), bytes.NewReader(backupOf(t, 3, nil)), nil); n != 3 || err != nil {
		t.Fatalf("%d sessions, %v", n, err)
	}
	create(t, s, keyOf(99), "x")
}

// A restore that fails while it is loaded is undone.
func TestARestoreThatFailsIsUndone(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	defer shut(t, s)
	if err := s.writer.do(t.Context(), &op{run: (*batch).beginRestore}); err != nil {
		t.Fatal(err)
	}
	l := restoreBatch{s: s, ctx: t.Context()}
	rec := archive.Truncate(record("x"))
	if err := errors.Join(l.add(&archive.Frame{Kind: archive.KindSession, Key: keyOf(1), Record: rec}), l.flush()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context(), keyOf(1)); err != nil {
		t.Fatal(err)
	}
	if err := s.undoRestore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context(), keyOf(1)); !errors.Is(err, store.ErrGone) {
		t.Fatalf("got %v", err)
	}
	create(t, s, keyOf(1), "new")
	if all, err := s.Counts(t.Context()); err != nil || all[0].Sessions != 1 {
		t.Fatalf("%v, %v", all, err)
	}
}

func TestRestoreOfWhatEndedLongAgo(t *testing.T) {
	clock := storetest.NewClock()
	s := open(t, t.TempDir(), func(o *Options) { o.Now = clock.Now })
	defer shut(t, s)
	rec := archive.Truncate(record("old"))
	rec.Absolute = rec.Absolute.Add(-10 * 365 * 24 * time.Hour) // far behind the engine's backstop
	if n, err := s.Restore(t.Context(), bytes.NewReader(backupOf(t, 0, func(a *archive.Writer) { _ = a.Session(keyOf(1), &rec) })), nil); n != 1 || err != nil {
		t.Fatalf("%d sessions, %v", n, err)
	}
	s.Subscribe(to("hook"))
	ended, _, err := s.Sweep(t.Context(), s.opts.Now(), 10)
	if ended != 1 || err != nil {
		t.Fatalf("%d ended, %v", ended, err)
	}
}

// While a backup is loaded nothing ends what it has brought: what listeners are
// told of that would get the number of something in the backup.
func TestNothingEndsWhileABackupIsLoaded(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	defer shut(t, s)
	if err := s.writer.do(t.Context(), &op{run: (*batch).beginRestore}); err != nil {
		t.Fatal(err)
	}
	l := restoreBatch{s: s, ctx: t.Context()}
	rec := archive.Truncate(record("x"))
	if err := errors.Join(l.add(&archive.Frame{Kind: archive.KindSession, Key: keyOf(1), Record: rec}), l.flush()); err != nil {
		t.Fatal(err)
	}
	s.Subscribe(to("hook"))
	err := s.Delete(t.Context(), keyOf(1), store.Destroyed)
	if !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	if _, err := s.Load(t.Context(), keyOf(1)); err != nil {
		t.Fatal(err)
	}
	if err := s.undoRestore(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// readArchive returns how many frames a backup has.
func readArchive(b []byte) (n int, err error) {
	err = archive.Read(bytes.NewReader(b), func(*archive.Frame) error { n++; return nil })
	return n, err
}
