package storetest_test

import (
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store/storetest"
)

// The store of the example passes the suite, without anything optional.
func TestSmallStoreConforms(t *testing.T) {
	storetest.Run(t, storetest.Engine{
		Open:     func(_ *testing.T, _ string, now func() time.Time) storetest.Closer { return newSmallStore(now) },
		Volatile: true,
	})
}
