package guard_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/guard"
)

func TestRun(t *testing.T) {
	own := errors.New("no answer")
	if err := guard.Run(func() error { return own }); !errors.Is(err, own) {
		t.Errorf("an error became %v", err)
	}
	if err := guard.Run(func() error { return nil }); err != nil {
		t.Errorf("success became %v", err)
	}
	err := guard.Run(func() error { panic("secret of a session") })
	if err == nil || !strings.HasPrefix(err.Error(), "it panicked with a string\n") || strings.Contains(err.Error(), "secret") {
		t.Errorf("a panic became %v", err)
	}
	var none map[string]int
	err = guard.Run(func() error { none["a"] = 1; return nil })
	if err == nil || !strings.Contains(err.Error(), "nil map") {
		t.Errorf("a panic of the runtime became %v", err)
	}
}
