package rawfiles

import (
	"crypto/aes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/y"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"

	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/panics"
)

// A table is read from its bytes alone, since the engine gives up all of a
// table for one damaged block, maps the file for writing, and may remove it.
// It is: blocks, one behind another; the index; the index's length, its
// checksum, the checksum's length. A block is: entries, where each begins, how
// many there are, a checksum, and its length.

// tableForm is how the blocks of a table are written.
type tableForm struct {
	key         []byte // of the encryption, or none
	compression options.CompressionType
}

// tableBlock is where a block stands in a table.
type tableBlock struct {
	at, n int
	base  []byte // its first key, with the version, if an intact index says so
}

// tableIndex is what the end of a table says.
type tableIndex struct {
	blocks     []tableBlock
	end        int    // of the last block
	maxVersion uint64 // no entry has a later one
	isIntact   bool
}

// errTable says that nothing in a table makes sense.
var errTable = errors.New("its index cannot be read")

// readTableIndex reads the index, also one that fails its checksum: each block
// has a checksum of its own.
func readTableIndex(b, key []byte) (index tableIndex, err error) {
	index.maxVersion = math.MaxUint64
	err = panics.Catch(func() error { // the index is read without a look at its bounds
		end := len(b) - 4
		sum := new(pb.Checksum)
		at := end - int(binary.BigEndian.Uint32(b[end:]))
		if err := proto.Unmarshal(b[at:end], sum); err != nil {
			return err
		}
		end = at - 4
		index.end = end - int(binary.BigEndian.Uint32(b[end:]))
		raw := b[index.end:end]
		raw, index.isIntact = corrected(raw, sum)
		if key != nil {
			if raw, err = decrypted(raw, key); err != nil {
				return err
			}
		}
		root := fb.GetRootAsTableIndex(raw, 0)
		if root.OffsetsLength() > len(b) {
			return errTable
		}
		if index.isIntact {
			index.maxVersion = root.MaxVersion()
		}
		for i := range root.OffsetsLength() {
			var o fb.BlockOffset
			if !root.Offsets(&o, i) {
				return errTable
			}
			block := tableBlock{at: int(o.Offset()), n: int(o.Len())}
			if index.isIntact {
				block.base = o.KeyBytes()
			}
			if block.n > 0 && block.at+block.n <= index.end {
				index.blocks = append(index.blocks, block)
			}
		}
		return nil
	})
	if err == nil && len(index.blocks) == 0 {
		err = errTable
	}
	if err != nil {
		index.isIntact, index.maxVersion = false, math.MaxUint64
	}
	slices.SortFunc(index.blocks, func(a, b tableBlock) int { return a.at - b.at })
	index.blocks = bounded(index.blocks, len(b))
	return index, err
}

// errBlock says that nothing in a block makes sense.
var errBlock = errors.New("block is damaged")

// errBudget ends the reading of a table that claims more than one can hold.
var errBudget = errors.New("table claims more than one holds")

// bounded leaves out blocks that are longer than one can be, and those beyond
// a few times the length of the table: a damaged index may have some overlap,
// and none makes more work than that.
func bounded(blocks []tableBlock, table int) []tableBlock {
	budget := 4 * table
	return slices.DeleteFunc(blocks, func(b tableBlock) bool {
		if b.n > min(maxBlock, budget) {
			return true
		}
		budget -= b.n
		return false
	})
}

// decrypted undoes what the engine does to a block, whose last bytes are its IV.
func decrypted(b, key []byte) ([]byte, error) {
	if len(b) < aes.BlockSize {
		return nil, errBlock
	}
	at := len(b) - aes.BlockSize
	b, err := y.XORBlockAllocate(b[:at], key, b[at:])
	if err != nil {
		return nil, fmt.Errorf("decrypting: %w", err)
	}
	return b, nil
}

// maxBlock is more than the longest block.
const maxBlock = 2 << 20

// maxBlockKeys is more than all keys of a block take when they are whole.
const maxBlockKeys = 1 << 20

// tableBudget is how many bytes decompression and whole keys may take of the
// reading of a table of a length: far more than they do in one of the engine.
func tableBudget(n int) int { return 64<<20 + scanBudget*n }

// unzip bounds what a damaged block may claim to hold.
var unzip, _ = zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxBlock), zstd.WithDecoderConcurrency(1)) // these options are valid

// block returns the entries of a block, and whether they are all that was
// written. left is what is left of the budget of the table.
func (f tableForm) block(b []byte, left *int) (entries []Entry, whole bool, err error) {
	if f.key != nil {
		if b, err = decrypted(b, f.key); err != nil {
			return nil, false, err
		}
	}
	switch f.compression {
	case options.None:
	case options.ZSTD:
		if *left <= 0 {
			return nil, false, errBudget
		}
		if b, err = unzip.DecodeAll(b, nil); err != nil {
			*left -= maxBlock // it may have failed late
			return nil, false, fmt.Errorf("decompressing: %w", err)
		}
		*left -= len(b)
	default:
		return nil, false, fmt.Errorf("compression %d is none of a session store", f.compression)
	}
	last := len(b) - 4
	if last < 8 {
		return nil, false, errBlock
	}
	n := int(binary.BigEndian.Uint32(b[last:]))
	if n > last-4 {
		return nil, false, errBlock
	}
	sum, body := new(pb.Checksum), b[:last-n]
	if proto.Unmarshal(b[last-n:last], sum) == nil {
		body, whole = corrected(body, sum)
	}
	last = len(body) - 4
	n = int(binary.BigEndian.Uint32(body[last:]))
	if n > last/4 {
		return nil, false, errBlock
	}
	entries = blockEntries(body[:last-4*n], body[last-4*n:last], left)
	return entries, whole && len(entries) == n, nil
}

// entrySpan is where a block says that one of its entries is.
type entrySpan struct {
	start, end int
	same, more int // how much of the block's first key its key begins with, and what follows
}

// cost is how much memory and hashing an entry takes.
func (s entrySpan) cost() int { return s.end - s.start + s.same }

const spanHead = 4 // same and more

// blockEntries returns those entries of a block that can be read. starts are
// where they begin.
func blockEntries(b, starts []byte, left *int) (entries []Entry) {
	if len(b) < spanHead {
		return nil
	}
	base := b[spanHead:]
	base = base[:min(len(base), int(binary.NativeEndian.Uint16(b[2:])))]
	var spans []entrySpan
	for at := 0; at < len(starts); at += 4 {
		s := entrySpan{start: int(binary.NativeEndian.Uint32(starts[at:])), end: len(b)}
		if at+4 < len(starts) {
			s.end = int(binary.NativeEndian.Uint32(starts[at+4:]))
		}
		if s.start < 0 || s.end > len(b) || s.start+spanHead > s.end {
			continue
		}
		s.same, s.more = int(binary.NativeEndian.Uint16(b[s.start:])), int(binary.NativeEndian.Uint16(b[s.start+2:]))
		if s.same <= len(base) && s.start+spanHead+s.more <= s.end {
			spans = append(spans, s)
		}
	}
	for _, s := range affordable(spans, min(*left, 4*len(b)+maxBlockKeys)) {
		*left -= s.cost()
		rest := b[s.start+spanHead : s.end]
		if e, ok := tableEntry(slices.Concat(base[:s.same], rest[:s.more]), rest[s.more:]); ok {
			entries = append(entries, e)
		}
	}
	return entries
}

// affordable returns all entries of a block if they do not take more than the
// budget, and otherwise as many of the shortest as do not: a damaged start
// makes entries that are too long, and they must not push out the others.
func affordable(spans []entrySpan, budget int) []entrySpan {
	all := 0
	for _, s := range spans {
		all += s.cost()
	}
	if all <= budget {
		return spans
	}
	slices.SortFunc(spans, func(a, b entrySpan) int { return a.cost() - b.cost() })
	for i, s := range spans {
		if budget -= s.cost(); budget < 0 {
			return spans[:i]
		}
	}
	return spans
}

func tableEntry(key, b []byte) (e Entry, ok bool) {
	if len(b) < 3 {
		return e, false
	}
	expires, n := binary.Uvarint(b[2:])
	if n <= 0 || !e.setKey(key) {
		return e, false
	}
	e.Meta, e.User, e.Expires, e.Value = b[0], b[1], expires, b[2+n:]
	return e, true
}
