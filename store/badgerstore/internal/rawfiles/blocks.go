package rawfiles

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"
)

// readableTable is a table in the form in which most blocks are whole.
type readableTable struct {
	form      tableForm
	index     tableIndex
	isScanned bool // there is no index
	good      int  // blocks that are whole
}

func chooseForm(b []byte, forms []tableForm) (best readableTable) {
	best.index = tableIndex{end: len(b), maxVersion: math.MaxUint64}
	for _, form := range forms {
		index, err := readTableIndex(b, form.key)
		isScanned := err != nil
		if isScanned {
			if form.key != nil || form.compression != options.None {
				continue
			}
			index.blocks = scanBlocks(b)
		}
		t, left := readableTable{form: form, index: index, isScanned: isScanned}, tableBudget(len(b))
		for _, block := range index.blocks {
			if _, whole, err := form.block(b[block.at:block.at+block.n], &left); err == nil && whole {
				t.good++
			}
		}
		if t.good > best.good || best.good == 0 {
			best = t
		}
	}
	return best
}

// read takes the entries of all blocks. Of a block that is damaged those are
// taken that have a checksum of their own.
func (t *readableTable) read(name string, b []byte, v *Visitor) error {
	var last []byte // the key before
	open := false   // a block is lost behind last
	at, damaged, left := 0, 0, tableBudget(len(b))
	lose := func(to []byte) {
		v.Lost(Gap{From: last, To: to, MaxVersion: t.index.maxVersion})
		open = false
	}
	for _, block := range t.index.blocks {
		if block.at != at {
			damaged++
			open = true
		}
		at = block.at + block.n
		if len(block.base) > 8 && open {
			lose(block.base[:len(block.base)-8])
		}
		entries, whole, err := t.form.block(b[block.at:block.at+block.n], &left)
		if err != nil || !whole {
			damaged++
			if len(block.base) > 8 {
				last = block.base[:len(block.base)-8]
			}
			open = true
		} else if open && len(entries) > 0 {
			lose(entries[0].Key)
		}
		for i := range entries {
			e := entries[i]
			if !whole && (!e.isWhole(v.IsSealed) || e.Version > t.index.maxVersion) {
				continue
			}
			if err := v.Entry(e); err != nil {
				return err
			}
			if whole {
				last = e.Key
			}
		}
	}
	if at != t.index.end {
		open = true // without an index it may not be known where the last block ends
		if !t.isScanned {
			damaged++
		}
	}
	if open || len(t.index.blocks) == 0 {
		lose(nil)
	}
	if damaged > 0 {
		v.fault("table %s: %d of %d blocks are damaged", name, damaged, max(damaged, len(t.index.blocks)))
	}
	return nil
}

// scanBudget bounds the bytes that are hashed to find the blocks of a table
// whose index is lost, or the entries of a damaged log, for each byte of it.
const scanBudget = 256

// scanBlocks finds the blocks of a table without its index, by their
// checksums. It can for tables in clear alone: in others no length of a block
// can be told from another.
func scanBlocks(b []byte) (blocks []tableBlock) {
	const (
		window   = 128 << 10
		shortest = 16
		longSum  = 12 // the checksum's length is at most that
		leastKey = 1 + 8
	)
	var ends []int // where one may end: behind a checksum's length
	for end := shortest; end <= len(b); end++ {
		if n := binary.BigEndian.Uint32(b[end-4:]); n >= 2 && n <= longSum {
			ends = append(ends, end)
		}
	}
	budget := scanBudget * len(b)
	for at := 0; at+shortest <= len(b) && budget > 0; at++ {
		// A block's first key shares nothing with itself.
		if binary.NativeEndian.Uint16(b[at:]) != 0 || binary.NativeEndian.Uint16(b[at+2:]) < leastKey {
			continue
		}
		i, _ := slices.BinarySearch(ends, at+shortest)
		for ; i < len(ends) && ends[i] <= at+window && budget > 0; i++ {
			budget -= ends[i] - at
			if isBlock(b[at:ends[i]]) {
				blocks = append(blocks, tableBlock{at: at, n: ends[i] - at})
				at = ends[i] - 1
				break
			}
		}
	}
	return blocks
}

// isBlock reports whether a block is whole as it stands.
func isBlock(b []byte) bool {
	last := len(b) - 4
	n := int(binary.BigEndian.Uint32(b[last:]))
	sum := new(pb.Checksum)
	return n <= last-4 && proto.Unmarshal(b[last-n:last], sum) == nil && y.VerifyChecksum(b[:last-n], sum) == nil
}
