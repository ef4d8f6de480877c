package rawfiles

import (
	"bytes"
	"hash/crc32"
	"math/bits"
	"slices"

	"github.com/dgraph-io/badger/v4/pb"

	"github.com/sessionproxy/sessionproxy/store/internal/crc32c"
)

// One flipped bit is not only found by a CRC but also located: each bit of a
// text this short changes the checksum in a way of its own.

// corrected returns a text for which its checksum is right, if that takes one
// bit at most; otherwise the text as it is.
func corrected(b []byte, sum *pb.Checksum) (text []byte, ok bool) {
	if sum.Algo != pb.Checksum_CRC32C || sum.Sum>>32 != 0 {
		return b, false
	}
	return correct(b, uint32(sum.Sum))
}

func correct(b []byte, sum uint32) (text []byte, ok bool) {
	change := crc32.Checksum(b, crc32c.Table) ^ sum
	if bits.OnesCount32(change) <= 1 { // one is a bit of the checksum itself
		return b, true
	}
	var effects [8]uint32 // of each bit of a byte
	for i := range effects {
		effects[i] = crc32c.Table[1<<i]
	}
	for at := range slices.Backward(b) {
		for i, effect := range effects {
			if effect == change {
				b = bytes.Clone(b)
				b[at] ^= 1 << i
				return b, true
			}
			effects[i] = crc32c.Table[byte(effect)] ^ effect>>8
		}
	}
	return b, false
}
