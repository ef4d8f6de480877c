package redisstore_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store/redisstore"
	"github.com/sessionproxy/sessionproxy/store/storetest"
)

// prefix gives each directory of the suite keys of its own.
func prefix(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return hex.EncodeToString(sum[:8])
}

func TestConforms(t *testing.T) {
	storetest.Run(t, storetest.Engine{Open: func(t *testing.T, dir string, now func() time.Time) storetest.Closer {
		s, err := redisstore.Open(t.Context(), redisstore.Options{Address: address(t), Prefix: prefix(dir), Now: now})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}})
}
