// Package badgerstore is the embedded session store: Badger, with one writer
// that groups commits, an exact copy of hot records in memory, and guards
// against what would take the host process down.
package badgerstore
