package badgerstore

import (
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/store"
)

// TestLongPrincipalIsRefused holds the store to the bound of
// store.CheckPrincipal, on each way by which a principal gets into it.
func TestLongPrincipalIsRefused(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	defer shut(t, s)
	longest := strings.Repeat("x", store.MaxPrincipal)
	for _, tc := range []struct{ principal, want string }{{longest, ""}, {longest + "x", "the principal has 257 bytes"}} {
		refused := func(way string, err error) {
			t.Helper()
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%s with %d bytes: %v", way, len(tc.principal), err)
			}
		}
		key := keyOf(byte(len(tc.principal) - store.MaxPrincipal + 1))
		rec := record("{}")
		rec.Principal = tc.principal
		refused("saving", s.Save(t.Context(), key, store.Write{Record: rec}, store.Create()))
		key.Manager = "other"
		create(t, s, key, "{}")
		_, err := s.Update(t.Context(), key, func(r store.Record) (store.Write, error) {
			r.Principal, r.Version = tc.principal, r.Version.Next()
			return store.Write{Record: r}, nil
		})
		refused("updating", err)
	}
}
