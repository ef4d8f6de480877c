package rawfiles

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"

	"github.com/dgraph-io/badger/v4/y"
)

// logReader reads a log of the engine entry by entry, and goes on behind what
// is damaged. What stands between the marks of a transaction is taken when its
// end is there: before, it was not acknowledged.
type logReader struct {
	b     []byte
	key   []byte // of the encryption, or none
	visit func(Entry) error
	holes int // places that are damaged

	pending []Entry // of the transaction that is being read
	torn    bool    // it has a hole
}

// logKeyID returns the number of the key that a log is encrypted with; 0 is none.
func logKeyID(b []byte) uint64 {
	if len(b) < LogHeader {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

func (l *logReader) read() error {
	search := newEntrySearch(l.b)
	for at := LogHeader; at < len(l.b); {
		n, ok := logEntry(l.b[at:])
		if !ok {
			next := search.next(at + 1)
			if next == 0 {
				if search.isSpent() {
					l.holes++
				}
				return nil // as a crash leaves it
			}
			if err := l.hole(at, next); err != nil {
				return err
			}
			at = next
			continue
		}
		if err := l.entry(l.b[at:at+n], at); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// hole takes what is damaged for one entry with one flipped bit, if it can be.
func (l *logReader) hole(at, next int) error {
	if end := next - crc32.Size; end > at {
		b, ok := correct(l.b[at:end], binary.BigEndian.Uint32(l.b[end:]))
		b = append(bytes.Clone(b), l.b[end:next]...)
		if f, whole := logFrameOf(b); ok && whole && f.end == end-at {
			return l.entry(b, at)
		}
	}
	l.holes++
	l.torn = true
	return nil
}

// entry takes the entry that stands at a place.
func (l *logReader) entry(b []byte, at int) error {
	f, _ := logFrameOf(b)
	kv := b[f.key:f.end]
	if l.key != nil {
		iv := make([]byte, aes.BlockSize)
		copy(iv, l.b[8:LogHeader])
		binary.BigEndian.PutUint32(iv[LogHeader-8:], uint32(at))
		var err error
		if kv, err = y.XORBlockAllocate(kv, l.key, iv); err != nil {
			return fmt.Errorf("decrypting a log: %w", err)
		}
	}
	e := Entry{Meta: b[0], User: b[1], Expires: f.expires, Value: slices.Clone(kv[f.value-f.key:])}
	if !e.setKey(slices.Clone(kv[:f.value-f.key])) {
		return nil
	}
	switch {
	case e.Meta&metaFin != 0:
		version, err := strconv.ParseUint(string(e.Value), 10, 64)
		if len(l.pending) > 0 && (err != nil || version != l.pending[0].Version) {
			return l.commit(l.torn)
		}
		return l.commit(true)
	case e.Meta&metaTxn == 0:
		if err := l.commit(l.torn); err != nil {
			return err
		}
		return l.visit(e)
	case len(l.pending) > 0 && l.pending[0].Version != e.Version:
		if err := l.commit(l.torn); err != nil { // its end is in a hole
			return err
		}
	}
	l.pending = append(l.pending, e)
	return nil
}

// commit ends the transaction that is being read.
func (l *logReader) commit(taken bool) error {
	pending := l.pending
	l.pending, l.torn = nil, false
	if !taken {
		return nil
	}
	for _, e := range pending {
		if err := l.visit(e); err != nil {
			return err
		}
	}
	return nil
}
