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
const maxBlockKeys = 8 << 20

// unzip bounds what a damaged block may claim to hold.
var unzip, _ = zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxBlock), zstd.WithDecoderConcurrency(1)) // these options are valid

// block returns the entries of a block, and whether they are all that was
// written.
func (f tableForm) block(b []byte) (entries []Entry, whole bool, err error) {
	if f.key != nil {
		if b, err = decrypted(b, f.key); err != nil {
			return nil, false, err
		}
	}
	switch f.compression {
	case options.None:
	case options.ZSTD:
		if b, err = unzip.DecodeAll(b, nil); err != nil {
			return nil, false, fmt.Errorf("decompressing: %w", err)
		}
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
	entries = blockEntries(body[:last-4*n], body[last-4*n:last])
	return entries, whole && len(entries) == n, nil
}

// blockEntries returns those entries of a block that can be read. starts are
// where they begin. A key is written as how much of the block's first key it
// begins with, and what follows that.
func blockEntries(b, starts []byte) (entries []Entry) {
	const head = 4
	if len(b) < head {
		return nil
	}
	base := b[head:]
	base = base[:min(len(base), int(binary.NativeEndian.Uint16(b[2:])))]
	last, keys := 0, 0 // where the entry before ends, and how long all keys are
	for at := 0; at < len(starts); at += 4 {
		start, end := int(binary.NativeEndian.Uint32(starts[at:])), len(b)
		if at+4 < len(starts) {
			end = int(binary.NativeEndian.Uint32(starts[at+4:]))
		}
		if start < last || end > len(b) || start+head > end {
			continue // entries do not overlap
		}
		same, more := int(binary.NativeEndian.Uint16(b[start:])), int(binary.NativeEndian.Uint16(b[start+2:]))
		rest := b[start+head : end]
		if same > len(base) || more > len(rest) {
			continue
		}
		if keys += same + more; keys > maxBlockKeys {
			break
		}
		last = end
		if e, ok := tableEntry(slices.Concat(base[:same], rest[:more]), rest[more:]); ok {
			entries = append(entries, e)
		}
	}
	return entries
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
