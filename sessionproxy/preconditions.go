package sessionproxy

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/sessionproxy/sessionproxy/store"
)

func quoted(tag string) string { return `"` + tag + `"` }

// preconditions evaluates If-Match and If-None-Match of a write (RFC 9110
// §13.1). there says whether the call's target exists.
func preconditions(h http.Header, tag string, there bool) error {
	if lines, ok := h["If-Match"]; ok {
		match, err := matches(lines, tag, there, strong)
		if err != nil {
			return err
		}
		if !match {
			return errPrecondition
		}
	}
	if lines, ok := h["If-None-Match"]; ok {
		match, err := matches(lines, tag, there, weak)
		if err != nil {
			return err
		}
		if match {
			return errPrecondition
		}
	}
	return nil
}

// noneMatch reports whether a reader has the current state already.
func noneMatch(h http.Header, tag string) (same bool, err error) {
	lines, ok := h["If-None-Match"]
	if !ok {
		return false, nil
	}
	return matches(lines, tag, true, weak)
}

// sameTag reports whether two tags stand for the same data. A rotation by timer
// makes another version of the same data.
func sameTag(a, b string) bool {
	if a == b {
		return true
	}
	v, err := store.ParseVersion(a)
	w, err2 := store.ParseVersion(b)
	return err == nil && err2 == nil && !v.IsZero() && v.Same(w)
}

// comparison is how entity tags are compared (RFC 9110 §8.8.3.2): a weak tag
// matches only in a weak comparison.
type comparison bool

const strong, weak comparison = false, true

// matches compares a list of entity tags with the current one; "*" matches
// what is there.
func matches(lines []string, tag string, there bool, how comparison) (bool, error) {
	list := strings.TrimSpace(strings.Join(lines, ","))
	if list == "*" {
		return there, nil
	}
	found, any := false, false
	for list != "" {
		isWeak := strings.HasPrefix(list, "W/")
		list = strings.TrimPrefix(list, "W/")
		if !strings.HasPrefix(list, `"`) {
			return false, errBadTag
		}
		value, rest, ok := strings.Cut(list[1:], `"`)
		if !ok {
			return false, errBadTag
		}
		any = true
		found = found || there && sameTag(value, tag) && (how == weak || !isWeak)
		if rest = strings.TrimLeft(rest, " \t"); rest != "" && rest[0] != ',' {
			return false, errBadTag
		}
		list = strings.TrimLeft(rest, ", \t")
	}
	if !any {
		return false, errBadTag
	}
	return found, nil
}

var errBadTag = fmt.Errorf("%w: an entity tag is a quoted string", errBadWrite)
