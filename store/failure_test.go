package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/sessionproxy/sessionproxy/store"
)

func TestFailureWord(t *testing.T) {
	for err, want := range map[error]string{
		store.ErrGone: "gone", store.ErrConflict: "conflict", store.ErrLimit: "limit", store.ErrUnknown: "unknown",
		store.ErrUnavailable: "unavailable", context.Canceled: "cancelled", context.DeadlineExceeded: "cancelled", errors.New("other"): "",
	} {
		if got := store.FailureWord(fmt.Errorf("calling: %w", err)); got != want {
			t.Errorf("%v is %q, not %q", err, got, want)
		}
	}
}
