package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// refuses checks that a backup is refused, and why.
func refuses(t *testing.T, b []byte, why string) {
	t.Helper()
	if _, err := readArchive(b); !errors.Is(err, store.ErrBadBackup) || !strings.Contains(err.Error(), why) {
		t.Errorf("got %v, want %q", err, why)
	}
}

// whole returns a backup with something of everything.
func whole(t *testing.T) []byte {
	n := Event{Kind: store.EventEnded, Reason: store.Idle, Keys: []string{"a"}, Record: record("x")}
	return written(t, 3, func(a *Writer) {
		_ = errors.Join(a.Event(1, keyOf(1), &n), a.Delivery("hook", &State{Failure: "e"}))
	})
}

func TestHeader(t *testing.T) {
	refuses(t, nil, "something else")
	refuses(t, bytes.Repeat([]byte("another file "), 10), "something else")
	for format, known := range map[uint32]bool{0: false, 1: true, Format: true, Format + 1: false, 1 << 31: false} {
		b := whole(t)
		binary.BigEndian.PutUint32(b[len(magic):], format)
		mend(b)
		if known {
			if _, err := readArchive(b); err != nil {
				t.Errorf("format %d: %v", format, err)
			}
			continue
		}
		refuses(t, b, "use the version that wrote it, or a newer one")
	}
	b := whole(t)
	at := len(magic) + 4
	without := append(bytes.Clone(b[:at]), b[at+9+int(binary.BigEndian.Uint32(b[at+1:])):]...)
	mend(without)
	refuses(t, without, "no header")
}

// TestDamage: each byte counts, none may be missing, and none follow.
func TestDamage(t *testing.T) {
	b := whole(t)
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 0x04
		refuses(t, bad, "")
		if i > len(magic)+4 {
			refuses(t, b[:i], "cut off")
		}
	}
	refuses(t, append(bytes.Clone(b), 0), "something follows its end")
	broken := errors.New("broken")
	for _, n := range []int{0, len(b) / 2, len(b)} {
		if err := Read(io.MultiReader(bytes.NewReader(b[:n]), iotest.ErrReader(broken)), func(*Frame) error { return nil }); !errors.Is(err, broken) || errors.Is(err, store.ErrBadBackup) {
			t.Errorf("a reader that fails after %d bytes: %v", n, err)
		}
	}
}

// TestLengthBound: a frame is refused by its length, before it is read.
func TestLengthBound(t *testing.T) {
	for length, why := range map[uint32]string{maxFrame: "cut off", maxFrame + 1: "damaged", 1<<32 - 1: "damaged"} {
		b := append(whole(t)[:len(magic)+4], kindHeader)
		refuses(t, binary.BigEndian.AppendUint32(b, length), why)
	}
}

// TestFrameBounds: what has right checksums may yet be of no writer.
func TestFrameBounds(t *testing.T) {
	long := strings.Repeat("n", maxName+1)
	n := Event{Kind: store.EventSaved, Record: record("x")}
	tooLarge := Event{Kind: store.EventEnded, Record: record(string(make([]byte, store.MaxData+1)))}
	session := func(a *Writer) []byte {
		rec := record("x")
		return AppendRecord(append(AppendText(a.begin(), "shop"), make([]byte, 16)...), &rec)
	}
	with := func(head func(a *Writer) []byte, kind byte) func(*Writer) {
		return func(a *Writer) { _ = a.frame(kind, head(a)) }
	}
	for name, change := range map[string]func(*Writer){
		"data of an event":  func(a *Writer) { _ = errors.Join(a.Event(1, keyOf(1), &tooLarge), a.Delivery("hook", &State{})) },
		"a listener's name": func(a *Writer) { _ = errors.Join(a.Event(1, keyOf(1), &n), a.Delivery(long, &State{})) },
		"two events": func(a *Writer) {
			_ = errors.Join(a.Event(1, keyOf(1), &n), a.Event(2, keyOf(1), &n), a.Delivery("hook", &State{}))
		},
		"an error of a delivery": func(a *Writer) {
			_ = errors.Join(a.Event(1, keyOf(1), &n), a.Delivery("hook", &State{Failure: strings.Repeat("e", store.MaxDeliveryError+1)}))
		},
		"a byte behind a delivery": func(a *Writer) {
			_ = a.Event(1, keyOf(1), &n)
			a.deliveries++
			_ = a.frame(KindDelivery, append((&State{}).Append(AppendText(a.begin(), "hook")), 0))
		},
		"a byte behind the header": with(func(a *Writer) []byte { return append(AppendTime(AppendText(a.begin(), "x"), time.Time{}), 0) }, kindHeader),
		"an unknown kind":          with(session, 'T'),
		"a session without an id":  with(func(a *Writer) []byte { return append(AppendText(a.begin(), "shop"), 1) }, KindSession),
	} {
		t.Run(name, func(t *testing.T) {
			b := written(t, 0, change)
			_, err := readArchive(b)
			if !errors.Is(err, store.ErrBadBackup) {
				t.Fatalf("got %v", err)
			}
		})
	}
	trailing := written(t, 1, nil)
	at := len(trailing) - 9 - 28
	trailing = append(trailing[:at:at], append(trailing[at:at+5+28:at+5+28], 0)...)
	binary.BigEndian.PutUint32(trailing[at+1:], 29)
	trailing = append(trailing, 0, 0, 0, 0)
	mend(trailing)
	refuses(t, trailing, "damaged")
}
