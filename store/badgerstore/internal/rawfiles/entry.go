package rawfiles

import "github.com/dgraph-io/badger/v4/y"

// Entry is one version of a key, as the engine has it in tables and logs.
type Entry struct {
	Key     []byte // without its version
	Version uint64
	Meta    byte
	User    byte
	Expires uint64
	Value   []byte
}

// Bits of Entry.Meta.
const (
	metaDelete  = 1 << 0
	metaPointer = 1 << 1 // the value is in the value log
	metaDiscard = 1 << 2 // of earlier versions
	metaTxn     = 1 << 6
	metaFin     = 1 << 7

	kinds = metaDelete | metaPointer | metaDiscard | metaTxn | metaFin
)

// IsDeletion reports whether the entry removes its key.
func (e *Entry) IsDeletion() bool { return e.Meta&metaDelete != 0 }

// IsPointer reports whether the value is in the value log.
func (e *Entry) IsPointer() bool { return e.Meta&metaPointer != 0 }

// setKey takes a key that ends with a version.
func (e *Entry) setKey(key []byte) bool {
	at := len(key) - 8
	if at <= 0 {
		return false
	}
	e.Key, e.Version = key[:at], y.ParseTs(key)
	return e.Version > 0
}

// isWhole reports whether the entry has a checksum of its own, which is right.
func (e *Entry) isWhole(isSealed func(*Entry) bool) bool {
	return !e.IsDeletion() && !e.IsPointer() && isSealed(e)
}
