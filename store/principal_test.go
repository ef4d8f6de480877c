package store_test

import (
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/store"
)

func TestCheckPrincipal(t *testing.T) {
	for _, name := range []string{"a", "Ada Lovelace", "ä@例.jp", strings.Repeat("x", store.MaxPrincipal), strings.Repeat("ä", store.MaxPrincipal/2)} {
		if err := store.CheckPrincipal(name); err != nil {
			t.Errorf("%q %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"": "empty", strings.Repeat("x", store.MaxPrincipal+1): "longer", strings.Repeat("ä", store.MaxPrincipal/2) + "x": "longer",
		"a\xff": "UTF-8", "a\nb": "control", "\x7f": "control", "\u0085": "control",
	} {
		if err := store.CheckPrincipal(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
