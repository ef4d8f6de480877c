package storetest_test

import (
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/storetest"
)

// The model passes the suite that it is the measure of.
func TestMemoryConforms(t *testing.T) {
	storetest.Run(t, storetest.Engine{Volatile: true, Open: func(_ *testing.T, _ string, now func() time.Time) storetest.Closer {
		return storetest.NewMemory(now)
	}})
}

func TestMemoryWithLeasesConforms(t *testing.T) {
	storetest.Run(t, storetest.Engine{Volatile: true, Open: func(_ *testing.T, _ string, now func() time.Time) storetest.Closer {
		return storetest.NewMemory(now).WithLeases()
	}})
}

func TestMemoryWithUpdaterConforms(t *testing.T) {
	storetest.Run(t, storetest.Engine{Volatile: true, Open: func(_ *testing.T, _ string, now func() time.Time) storetest.Closer {
		return storetest.NewMemory(now).WithUpdater().(interface {
			store.Updater
			storetest.Closer
		})
	}})
}
