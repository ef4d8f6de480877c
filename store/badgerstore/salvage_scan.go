package badgerstore

import (
	"encoding/binary"
	"slices"

	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"
)

// scanBudget bounds the bytes that are hashed to find the blocks of a table
// whose index is lost, for each byte of it.
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
