package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/internal/crc32c"
)

func keyOf(n byte) store.Key { return store.Key{Manager: "shop", ID: store.ID{n}} }

func record(data string) store.Record {
	now := time.Unix(1e9, 0).UTC()
	return store.Record{Data: []byte(data), Created: now, Accessed: now, Idle: time.Hour, Absolute: now.Add(time.Hour), Incarnation: 1, Version: store.Version{Counter: 1, Nonce: 1}}
}

// written returns a backup of n sessions; change may spoil it.
func written(t testing.TB, n int, change func(*Writer)) []byte {
	t.Helper()
	var b bytes.Buffer
	a, err := NewWriter(&b, "store", time.Unix(1e9, 0))
	for i := range n {
		rec := record(fmt.Sprint(i))
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

func readArchive(b []byte) (n int, err error) {
	a, err := NewReader(bytes.NewReader(b))
	for err == nil {
		var f *Frame
		if f, err = a.Next(); err == nil && f.Kind == KindEnd {
			return n, nil
		}
		n++
	}
	return n, err
}

// What is whole, frame by frame, and yet is no backup.
func TestArchiveIsInOrder(t *testing.T) {
	rec := record("x")
	n := Event{Kind: store.EventSaved, Record: rec}
	for name, change := range map[string]func(*Writer){
		"a session twice": func(a *Writer) { _ = a.Session(keyOf(2), &rec) },
		"a manager in two places": func(a *Writer) {
			_ = errors.Join(a.Session(store.Key{Manager: "cart"}, &rec), a.Session(keyOf(9), &rec))
		},
		"an event without a delivery": func(a *Writer) { _ = a.Event(1, store.Key{Manager: "shop"}, &n) },
		"a delivery without an event": func(a *Writer) { _ = a.Delivery("hook", &State{}) },
		"a delivery twice": func(a *Writer) {
			_ = errors.Join(a.Event(1, store.Key{Manager: "shop"}, &n), a.Delivery("hook", &State{}), a.Delivery("hook", &State{}))
		},
		"a seq twice": func(a *Writer) {
			_ = errors.Join(a.Event(1, store.Key{Manager: "shop"}, &n), a.Delivery("hook", &State{}), a.Event(1, store.Key{Manager: "shop"}, &n), a.Delivery("hook", &State{}))
		},
		"a seq beyond all": func(a *Writer) {
			_ = errors.Join(a.Event(1<<63, store.Key{Manager: "shop"}, &n), a.Delivery("hook", &State{}))
		},
		"a session after an event": func(a *Writer) {
			_ = errors.Join(a.Event(1, store.Key{Manager: "shop"}, &n), a.Delivery("hook", &State{}), a.Session(keyOf(9), &rec))
		},
		"another number of sessions": func(a *Writer) { a.sessions++ },
		"another sum":                func(a *Writer) { a.sum.Write([]byte{1}) },
		"a frame of an unknown kind": func(a *Writer) { _ = a.frame('?', a.begin()) },
		"a header once more":         func(a *Writer) { _ = a.frame(kindHeader, AppendTime(AppendText(a.begin(), "x"), time.Time{})) },
		"a record that is cut off": func(a *Writer) {
			_ = a.frame(KindSession, append(AppendText(a.begin(), "shop"), make([]byte, 20)...))
		},
		"a manager's name that is too long": func(a *Writer) { _ = a.Session(store.Key{Manager: strings.Repeat("m", maxName+1)}, &rec) },
		"a text that is longer than all":    func(a *Writer) { _ = a.frame(KindSession, binary.BigEndian.AppendUint32(a.begin(), 1<<31)) },
		"data that is too large":            func(a *Writer) { _ = a.Session(keyOf(9), &store.Record{Data: make([]byte, store.MaxData+1)}) },
		"cookies that are too large": func(a *Writer) {
			_ = a.Session(keyOf(9), &store.Record{Cookies: make([]byte, store.MaxCookies+1)})
		},
		"an event with cookies": func(a *Writer) {
			_ = errors.Join(a.Event(1, store.Key{Manager: "shop"}, &Event{Kind: store.EventEnded, Record: store.Record{Cookies: []byte("x")}}), a.Delivery("hook", &State{}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := readArchive(written(t, 3, change)); !errors.Is(err, store.ErrBadBackup) {
				t.Fatalf("got %v", err)
			}
		})
	}
	good := written(t, 3, func(a *Writer) {
		_ = errors.Join(a.Event(1, store.Key{Manager: "shop"}, &n), a.Delivery("hook", &State{}), a.Delivery("files", &State{}), a.Event(7, store.Key{Manager: "cart"}, &n), a.Delivery("hook", &State{}))
	})
	if n, err := readArchive(good); n != 8 || err != nil {
		t.Fatalf("%d frames, %v", n, err)
	}
	newer := bytes.Clone(good)
	newer[len(magic)+3]++
	if _, err := readArchive(newer); !errors.Is(err, store.ErrBadBackup) || !strings.Contains(err.Error(), fmt.Sprintf("format %d", Format+1)) {
		t.Fatalf("got %v", err)
	}
}

// A length that the file does not keep costs no memory.
func TestArchiveAllocatesWhatIsThere(t *testing.T) {
	b := binary.BigEndian.AppendUint32([]byte(magic), Format)
	b = append(b, kindHeader, 0, 0xf, 0xff, 0xff)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		if _, err := readArchive(b); !errors.Is(err, store.ErrBadBackup) {
			t.Fatalf("got %v", err)
		}
	}
	runtime.ReadMemStats(&after)
	if used := (after.TotalAlloc - before.TotalAlloc) / 100; used > 256<<10 {
		t.Fatalf("%d bytes for %d", used, len(b))
	}
}

func FuzzReadArchive(f *testing.F) {
	n := Event{Kind: store.EventEnded, Reason: store.Idle, Keys: []string{"a"}, Record: record("x")}
	f.Add(written(f, 0, nil))
	f.Add(written(f, 2, func(a *Writer) {
		_ = errors.Join(a.Event(1, store.Key{Manager: "shop"}, &n), a.Delivery("hook", &State{Failure: "e"}))
	}))
	f.Fuzz(func(t *testing.T, b []byte) {
		mend(b)
		if _, err := readArchive(b); err != nil && !errors.Is(err, store.ErrBadBackup) {
			t.Fatal(err)
		}
	})
}

// mend puts right checksums under the fuzzer's changes, so that what is
// behind them is reached.
func mend(b []byte) {
	for i := len(magic) + 4; i+9 <= len(b); {
		n := int(binary.BigEndian.Uint32(b[i+1:]))
		if n > maxFrame || i+9+n > len(b) {
			return
		}
		if b[i] == KindEnd && n == 28 {
			binary.BigEndian.PutUint32(b[i+29:], crc32.Checksum(b[:i], crc32c.Table))
		}
		binary.BigEndian.PutUint32(b[i+5+n:], crc32.Checksum(b[i:i+5+n], crc32c.Table))
		i += 9 + n
	}
}
