package badgerstore

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

func FuzzDecodeRecord(f *testing.F) {
	key := []byte("s\x00\x00\x00\x01key")
	e := entry{rec: truncated(record(`{"a":1}`)), due: 60}
	e.rec.Principal = "alice"
	good := e.encode(key)
	f.Add(key, good)
	with := e
	with.rec.Cookies = []byte("jar")
	f.Add(key, with.encode(key))
	f.Add(key, good[:len(good)-1])
	f.Add([]byte("another"), good)
	f.Add(key, bytes.Repeat([]byte{1}, sealLen+8+recordLen))
	f.Fuzz(func(t *testing.T, key, b []byte) {
		e, err := decode(key, b)
		if err != nil {
			return
		}
		if again := e.encode(key); !bytes.Equal(again, b) {
			// Only times beyond what Go can say may change their form.
			if _, err := decode(key, again); err != nil {
				t.Fatalf("%x became %x", b, again)
			}
		}
	})
}

// TestRecordOfTheFirstFormat: it has no extension, and is read as it is.
func TestRecordOfTheFirstFormat(t *testing.T) {
	rec := truncated(record(`{"a":1}`))
	rec.Principal, rec.Since, rec.OwnIdle = "alice", rec.Created, true
	b := appendRecord(nil, &rec)
	b[5*8] &^= 0x80
	at := recordLen - 2
	b = append(b[:at:at], b[at+extensionLen:]...)
	got, err := decodeRecord(b)
	if err != nil {
		t.Fatal(err)
	}
	rec.Since, rec.OwnIdle = time.Time{}, false
	if !reflect.DeepEqual(got, rec) {
		t.Errorf("got %+v, want %+v", got, rec)
	}
}

// TestCookiesAreApartFromData: a length that does not fit is damage, and a
// record without cookies takes no room for them.
func TestCookiesAreApartFromData(t *testing.T) {
	rec := truncated(record(`{"a":1}`))
	without := appendRecord(nil, &rec)
	rec.Cookies = []byte("jar")
	b := appendRecord(nil, &rec)
	if len(b) != len(without)+4+len("jar") {
		t.Errorf("%d bytes with cookies, %d without", len(b), len(without))
	}
	if got, err := decodeRecord(b); err != nil || !reflect.DeepEqual(got, rec) {
		t.Errorf("got %+v, %v, want %+v", got, err, rec)
	}
	at := len(b) - len(rec.Data) - len("jar") - 4
	for _, length := range []uint32{0, uint32(len("jar")+len(rec.Data)) + 1, 1 << 31} {
		binary.BigEndian.PutUint32(b[at:], length)
		if got, err := decodeRecord(b); err == nil {
			t.Errorf("length %d: %+v", length, got)
		}
	}
	if got, err := decodeRecord(b[:at+3]); err == nil {
		t.Errorf("cut off: %+v", got)
	}
}

func TestRecordIsBoundToItsKey(t *testing.T) {
	e := entry{rec: truncated(record("x"))}
	b := e.encode([]byte("one"))
	if _, err := decode([]byte("two"), b); err == nil {
		t.Fatal("a record was accepted under another key")
	}
	for i := range b {
		b[i] ^= 0x10
		if _, err := decode([]byte("one"), b); err == nil {
			t.Fatalf("damage at byte %d was not seen", i)
		}
		b[i] ^= 0x10
	}
}

func BenchmarkDecode(b *testing.B) {
	e := entry{rec: store.Record{Data: bytes.Repeat([]byte("x"), 300)}}
	raw := e.encode([]byte("key"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode([]byte("key"), raw); err != nil {
			b.Fatal(err)
		}
	}
}
