package rawfiles

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/dgraph-io/badger/v4/options"
	"github.com/klauspost/compress/zstd"
)

// TestOverlappingEntriesAreBounded: the entries of a block take no more memory
// than it may have, whatever it claims.
func TestOverlappingEntriesAreBounded(t *testing.T) {
	b := make([]byte, 70<<10)
	binary.NativeEndian.PutUint16(b[2:], 60<<10) // the length of the first key
	var starts []byte
	for range 10000 { // each is the whole block
		starts = binary.NativeEndian.AppendUint32(starts, 0)
		starts = binary.NativeEndian.AppendUint32(starts, uint32(len(b)))
	}
	all := tableBudget(0)
	left := all
	blockEntries(b, starts, &left)
	if took := all - left; took == 0 || took > 4*len(b)+maxBlockKeys {
		t.Errorf("%d bytes of a block of %d", took, len(b))
	}
	left = 100 << 10
	if entries := blockEntries(b, starts, &left); len(entries) > 1 || left < 0 {
		t.Errorf("%d entries, %d bytes of the table are left", len(entries), left)
	}
}

// TestADamagedStartHidesNoOthers: of the entries of a block only the two are
// lost that it parts.
func TestADamagedStartHidesNoOthers(t *testing.T) {
	table := tableOf(t, 60)
	index, err := readTableIndex(table, nil)
	if err != nil {
		t.Fatal(err)
	}
	block := table[index.blocks[0].at:][:index.blocks[0].n]
	last := len(block) - 4
	body := block[:last-int(binary.BigEndian.Uint32(block[last:]))]
	last = len(body) - 4
	n := int(binary.BigEndian.Uint32(body[last:]))
	body, starts := body[:last-4*n], body[last-4*n:last]
	read := func(starts []byte) (keys []string) {
		left := tableBudget(len(table))
		for _, e := range blockEntries(body, starts, &left) {
			keys = append(keys, string(e.Key))
		}
		return keys
	}
	whole := read(starts)
	if len(whole) != n || n < 20 {
		t.Fatalf("%d of %d entries", len(whole), n)
	}
	holds := func(keys []string, but ...int) {
		t.Helper()
		for i, key := range whole {
			if !slices.Contains(but, i) && !slices.Contains(keys, key) {
				t.Errorf("entry %d of %d is lost with the start of %d", i, n, but)
			}
		}
	}
	for i := range n {
		for _, wrong := range []int{0, len(body) / 2, len(body) - 10, len(body), 1 << 30} {
			damaged := bytes.Clone(starts)
			binary.NativeEndian.PutUint32(damaged[4*i:], uint32(wrong))
			holds(read(damaged), i-1, i)
		}
	}
	// Ends that are too far, at each third: more than a block may have in all.
	body = append(make([]byte, 0, 2*maxBlock), body...)
	body = append(body, make([]byte, maxBlock-len(body))...)
	damaged, lost := bytes.Clone(starts), []int{n - 1} // it ends with the block
	for i := 1; i < n-1; i += 3 {
		binary.NativeEndian.PutUint32(damaged[4*i:], uint32(len(body)-n+i))
		lost = append(lost, i-1, i)
	}
	holds(read(damaged), lost...)
}

// TestOverlappingBlocksAreBounded: an index makes no more work than a few
// readings of the table.
func TestOverlappingBlocksAreBounded(t *testing.T) {
	blocks := []tableBlock{{n: maxBlock + 1}}
	for range 100 {
		blocks = append(blocks, tableBlock{n: 1000})
	}
	if n := len(bounded(blocks, 1000)); n != 4 {
		t.Errorf("%d blocks are read", n)
	}
}

// TestDecompressionIsBounded: small blocks that become large ones take no more
// than a table may hold.
func TestDecompressionIsBounded(t *testing.T) {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	const blocks = 500
	nonsense := append(make([]byte, maxBlock/2), "\xff\xff\xff\xff"...) // the length of its checksum
	for name, block := range map[string][]byte{
		"zeros":  w.EncodeAll(nonsense, nil),
		"excess": w.EncodeAll(make([]byte, 2*maxBlock), nil),
	} {
		left, n := tableBudget(blocks*len(block)), 0
		for range blocks {
			if _, _, err := (tableForm{compression: options.ZSTD}).block(block, &left); errors.Is(err, errBudget) {
				break
			}
			n++
		}
		if n < 10 || n == blocks {
			t.Errorf("%s: %d blocks of %d bytes are decompressed", name, n, len(block))
		}
	}
}

// TestASearchOfALogIsBounded: entries that claim to be as long as the log
// are not hashed for each byte of it, and what they hide counts as damage.
func TestASearchOfALogIsBounded(t *testing.T) {
	b := make([]byte, LogHeader)
	for range 1 << 15 { // kind, user, key, value of 130 000 bytes, expiry
		b = append(b, 0, 0, 1, 0xd0, 0xf7, 7, 0, 1)
	}
	s := newEntrySearch(b)
	all := s.left
	if at := s.next(LogHeader); at != 0 || !s.isSpent() || all-s.left > all+len(b) {
		t.Errorf("found at %d, after %d bytes were hashed", at, all-s.left)
	}
	if _, damaged := DamageIn(b); !damaged {
		t.Error("what was not searched counts as whole")
	}
	l := logReader{b: b, visit: func(Entry) error { return nil }}
	if err := l.read(); err != nil || l.holes != 1 {
		t.Errorf("%d holes, %v", l.holes, err)
	}
	if at, damaged := DamageIn(nil); at != LogHeader || damaged {
		t.Errorf("an empty log is damaged at %d", at)
	}
}
