package badgerstore

import (
	"bytes"
	"testing"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

func FuzzDecodeRecord(f *testing.F) {
	key := []byte("s\x00\x00\x00\x01key")
	e := entry{rec: archive.Truncate(record(`{"a":1}`)), due: 60}
	e.rec.Principal = "alice"
	good := e.encode(key)
	f.Add(key, good)
	with := e
	with.rec.Cookies = []byte("jar")
	f.Add(key, with.encode(key))
	f.Add(key, good[:len(good)-1])
	f.Add([]byte("another"), good)
	f.Add(key, bytes.Repeat([]byte{1}, sealLen+8+200))
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

func TestRecordIsBoundToItsKey(t *testing.T) {
	e := entry{rec: archive.Truncate(record("x"))}
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
