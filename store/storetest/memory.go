package storetest

import (
	"time"

	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// Memory is the store of package memstore.
type Memory = memstore.Store

// NewMemory returns an empty store of package memstore.
func NewMemory(now func() time.Time) *Memory { return memstore.New(now) }
