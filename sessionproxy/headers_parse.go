package sessionproxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// errBadWrite says that a write header cannot be understood.
var errBadWrite = errors.New("malformed session write")

// writeError names the header and the reason, never the value.
type writeError struct {
	header string
	reason error
}

func (e *writeError) Error() string { return e.header + ": " + e.reason.Error() }

func (e *writeError) Unwrap() []error { return []error{errBadWrite, e.reason} }

// tooLarge is the error of a header whose values, of so many bytes, are more
// than maxSize in compact form.
func tooLarge(header string, values [][]byte, maxSize int) error {
	size := 0
	for _, v := range values {
		size = max(size, len(v)) // each is limited by itself
	}
	return fmt.Errorf("%s: %w: a value of %d bytes, and max_size is %d; raise it, and inline_limit with it unless the app reads the endpoint",
		header, change.ErrTooLarge, size, maxSize)
}

// errTimes tells how often a header came that has to come once.
func errTimes(n int) error {
	if n == 0 {
		return errors.New("it has no value")
	}
	return fmt.Errorf("sent %d times; send it once", n)
}

// readWrites turns the write headers of a response into changes. maxSize
// limits each document, in bytes of its compact form.
func readWrites(h http.Header, maxSize int) (change.Changes, error) {
	var c change.Changes
	for _, read := range []struct {
		header string
		into   func(*change.Changes, [][]byte, int) error
		list   bool
	}{
		{HeaderData, readData, false},
		{HeaderPatch, readPatches, true},
		{HeaderAdd, readAdditions, true},
		{HeaderPrincipal, readPrincipal, false},
		{HeaderTimeout, readTimeout, false},
		{HeaderIfVersion, readIfVersion, false},
	} {
		lines, ok := h[read.header]
		if !ok {
			continue
		}
		values, err := document.SplitList(lines)
		if err != nil {
			return change.Changes{}, &writeError{read.header, err}
		}
		switch n := len(values); {
		case n == 0 || n > 1 && !read.list:
			return change.Changes{}, &writeError{read.header, errTimes(n)}
		case n > change.MaxSteps:
			return change.Changes{}, &writeError{read.header, fmt.Errorf("%d values, and at most %d are taken", n, change.MaxSteps)}
		}
		switch err := read.into(&c, values, maxSize); {
		case errors.Is(err, document.ErrTooLarge):
			return change.Changes{}, tooLarge(read.header, values, maxSize)
		case err != nil:
			return change.Changes{}, &writeError{read.header, err}
		}
	}
	if lines, ok := h[HeaderAction]; ok {
		if err := readActions(&c, lines); err != nil {
			return change.Changes{}, &writeError{HeaderAction, err}
		}
	}
	return c, nil
}

func readData(c *change.Changes, values [][]byte, maxSize int) error {
	if isEmptyArray(values[0]) { // PHP writes an empty array so
		values[0] = []byte("{}")
	}
	data, err := document.Parse(values[0], maxSize)
	c.Ops = append(c.Ops, change.Replace(data))
	return err
}

func isEmptyArray(value []byte) bool {
	inner, array := bytes.CutPrefix(bytes.TrimSpace(value), []byte("["))
	return array && string(bytes.TrimSpace(inner)) == "]"
}

func readPatches(c *change.Changes, values [][]byte, maxSize int) error {
	for _, v := range values {
		p, err := document.ParseMergePatch(v, maxSize)
		if err != nil {
			return err
		}
		c.Ops = append(c.Ops, change.MergePatch(p))
	}
	return nil
}

func readAdditions(c *change.Changes, values [][]byte, maxSize int) error {
	for _, v := range values {
		a, err := document.ParseIncrements(v, maxSize)
		if err != nil {
			return err
		}
		c.Ops = append(c.Ops, change.Add(a))
	}
	return nil
}

func readPrincipal(c *change.Changes, values [][]byte, _ int) error {
	var name string
	if string(values[0]) != "null" {
		var err error
		if name, err = document.ParseString(values[0]); err != nil {
			return err
		}
		switch err := store.CheckPrincipal(name); {
		case name == "":
			return errors.New("it is empty; null is the way to forget the principal")
		case err != nil:
			return fmt.Errorf("it %w", err)
		}
	}
	c.Principal = &name
	return nil
}

// maxTimeoutText is far beyond what two numbers take.
const maxTimeoutText = 1 << 10

func readTimeout(c *change.Changes, values [][]byte, _ int) error {
	compact, err := document.Parse(values[0], maxTimeoutText)
	switch {
	case errors.Is(err, document.ErrTooLarge): // max_size has no part in it
		return fmt.Errorf("it is longer than %d bytes", maxTimeoutText)
	case err != nil:
		return err
	}
	// Into a map, since struct fields would match names in any case.
	var members map[string]json.RawMessage
	if err := json.Unmarshal(compact, &members); err != nil {
		return err
	}
	var t change.Timeout
	for name, raw := range members {
		into := map[string]*time.Duration{"idle": &t.Idle, "absolute": &t.Absolute}[name]
		if into == nil {
			return errors.New("a member that is neither idle nor absolute")
		}
		d, err := readSeconds(raw)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		*into = d
	}
	switch {
	case len(members) == 0:
		return errors.New(`neither idle nor absolute is given, as in {"idle":3600}`)
	case t.Idle > 0 && t.Absolute > 0 && t.Absolute < t.Idle:
		return errors.New("absolute is shorter than idle")
	}
	c.Timeout = &t
	return nil
}

// readSeconds reads a positive integer. Longer than any timeout is the longest one:
// the policy caps it further, and nothing overflows.
func readSeconds(raw []byte) (time.Duration, error) {
	const longest = uint64(session.MaxTimeout / time.Second)
	n, err := strconv.ParseUint(string(raw), 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		n, err = longest, nil
	}
	if err != nil || n == 0 {
		return 0, errors.New("not a positive integer of seconds")
	}
	return time.Duration(min(n, longest)) * time.Second, nil
}

func readIfVersion(c *change.Changes, values [][]byte, _ int) error {
	v, err := document.ParseString(values[0])
	c.IfVersion = &v
	return err
}

func readActions(c *change.Changes, lines []string) error {
	known := 0
	for _, line := range lines {
		for word := range strings.SplitSeq(line, ",") {
			switch strings.Trim(word, " \t") {
			case "":
				continue
			case "destroy":
				c.Destroy = true
			case "regenerate":
				c.Regenerate = true
			case "touch":
				c.Touch = true
			case "rollback":
				c.Rollback = true
			default:
				return fmt.Errorf("unknown action%s; the actions are destroy, regenerate, touch and rollback", named(word))
			}
			known++
		}
	}
	if known == 0 {
		return errTimes(0)
	}
	return nil
}

// named quotes a word that is short and plain enough to be shown in a log.
func named(word string) string {
	word = strings.Trim(word, " \t")
	if len(word) > 24 || strings.ContainsFunc(word, func(c rune) bool { return c != '-' && c != '_' && (c >= 0x80 || !unicode.IsLetter(c)) }) {
		return ""
	}
	return " " + strconv.Quote(word)
}
