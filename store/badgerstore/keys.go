package badgerstore

import (
	"encoding/binary"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// The layout. Each key begins with a letter; number is the manager's interned
// number, four bytes, so that a key is short whatever the manager's name.
//
//	!                            → the store's id (the sentinel, see marker.go)
//	m name                       → number
//	s number id                  → record
//	a number id                  → incarnation and access time: touching moves no data
//	x due(8) number id           → nothing: sessions in the order in which they may end
const (
	keySentinel = '!'
	keyManager  = 'm'
	keySession  = 's'
	keyAccess   = 'a'
	keyExpiry   = 'x'
)

type number [4]byte

func sessionKey(n number, id store.ID) []byte { return recordKey(keySession, n, id) }
func accessKey(n number, id store.ID) []byte  { return recordKey(keyAccess, n, id) }

func recordKey(kind byte, n number, id store.ID) []byte {
	k := make([]byte, 0, 1+len(n)+len(id))
	k = append(k, kind)
	k = append(k, n[:]...)
	return append(k, id[:]...)
}

func expiryKey(due int64, n number, id store.ID) []byte {
	k := make([]byte, 0, 1+8+len(n)+len(id))
	k = append(k, keyExpiry)
	k = binary.BigEndian.AppendUint64(k, uint64(due))
	k = append(k, n[:]...)
	return append(k, id[:]...)
}

func managerKey(name string) []byte { return append([]byte{keyManager}, name...) }

// expiryStep is how coarse the expiry index is, in seconds: what ends within
// one step is filed at its end.
const expiryStep = 60

// dueOf returns where a deadline is filed: in seconds, rounded up to a step,
// so that nothing is due before it has ended.
func dueOf(deadline time.Time) int64 {
	s := deadline.Unix() + 1
	return (s + expiryStep - 1) / expiryStep * expiryStep
}

// backstop is how long after the absolute end the engine itself drops a
// record that nobody swept. It tells no listener, hence so late.
const backstop = 72 * time.Hour

func ttlOf(absolute time.Time) uint64 { return uint64(absolute.Add(backstop).Unix()) }
