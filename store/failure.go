package store

import (
	"context"
	"errors"
)

// failureWords name the errors of a store's calls in one word.
var failureWords = []struct {
	err  error
	word string
}{
	{ErrGone, "gone"},
	{ErrConflict, "conflict"},
	{ErrLimit, "limit"},
	{ErrUnknown, "unknown"},
	{context.Canceled, "cancelled"},
	{context.DeadlineExceeded, "cancelled"},
	{ErrUnavailable, "unavailable"},
}

// FailureWord names an error of a store's call in one word, for metrics and
// traces; it is empty for an error of no kind that is known.
func FailureWord(err error) string {
	for _, f := range failureWords {
		if errors.Is(err, f.err) {
			return f.word
		}
	}
	return ""
}
