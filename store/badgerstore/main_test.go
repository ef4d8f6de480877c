package badgerstore

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if goroutines outlive the tests. A Badger that could not be
// opened leaves two of its own behind: its Open starts them first and ends
// without them. One that was opened and never closed leaves others as well.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/dgraph-io/badger/v4.(*DB).monitorCache"),
		goleak.IgnoreTopFunction("github.com/dgraph-io/ristretto/v2/z.(*AllocatorPool).freeupAllocators"),
	)
}
