package archive

import (
	"encoding/binary"
	"errors"
	"reflect"
	"testing"
	"time"
)

// TestRecordOfTheFirstFormat: it has no extension, and is read as it is.
func TestRecordOfTheFirstFormat(t *testing.T) {
	rec := record(`{"a":1}`)
	rec.Principal, rec.Since, rec.OwnIdle = "alice", rec.Created, true
	b := AppendRecord(nil, &rec)
	b[5*8] &^= 0x80
	at := recordLen - 2
	b = append(b[:at:at], b[at+extensionLen:]...)
	got, err := DecodeRecord(b)
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
	rec := record(`{"a":1}`)
	without := AppendRecord(nil, &rec)
	rec.Cookies = []byte("jar")
	b := AppendRecord(nil, &rec)
	if len(b) != len(without)+4+len("jar") {
		t.Errorf("%d bytes with cookies, %d without", len(b), len(without))
	}
	if got, err := DecodeRecord(b); err != nil || !reflect.DeepEqual(got, rec) {
		t.Errorf("got %+v, %v, want %+v", got, err, rec)
	}
	at := len(b) - len(rec.Data) - len("jar") - 4
	for _, length := range []uint32{0, uint32(len("jar")+len(rec.Data)) + 1, 1 << 31} {
		binary.BigEndian.PutUint32(b[at:], length)
		if got, err := DecodeRecord(b); err == nil {
			t.Errorf("length %d: %+v", length, got)
		}
	}
	if got, err := DecodeRecord(b[:at+3]); err == nil {
		t.Errorf("cut off: %+v", got)
	}
}

// TestRecordsThatAreCutOff: without data, which goes to the end, a record that
// is cut off anywhere is damaged, in each format.
func TestRecordsThatAreCutOff(t *testing.T) {
	rec := record("")
	rec.Principal = "alice"
	b := AppendRecord(nil, &rec)
	first := append([]byte(nil), b...)
	first[5*8] &^= 0x80
	at := recordLen - 2
	first = append(first[:at:at], first[at+extensionLen:]...)
	for _, b := range [][]byte{b, first} {
		if _, err := DecodeRecord(b); err != nil {
			t.Error(err)
		}
		for i := range b {
			if _, err := DecodeRecord(b[:i]); !errors.Is(err, ErrDamaged) {
				t.Errorf("cut off at %d of %d: %v", i, len(b), err)
			}
		}
	}
}
