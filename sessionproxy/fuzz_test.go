package sessionproxy

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// FuzzReadWrites: whatever an app answers, reading it ends in changes that can
// be applied, or in an error that does not repeat the app's bytes.
func FuzzReadWrites(f *testing.F) {
	for _, name := range writeHeaders {
		f.Add(name, `{"a":1}`, `{"idle":60}, "x"`)
	}
	f.Add(HeaderAction, "touch, destroy", "rollback,,regenerate")
	f.Add(HeaderPrincipal, `"Zoë"`, `null`)
	f.Add(HeaderPatch, "{\"a\":\"\\u0000\"}", `{"a":{"b":null}},{"a":[{}]}`)
	f.Fuzz(func(t *testing.T, name, first, second string) {
		const maxSize = 1 << 12
		h := http.Header{name: {first, second}, HeaderIfVersion: {`"` + "1" + `"`}}
		c, err := readWrites(h, maxSize)
		if err != nil {
			if len(first) > 40 && strings.Contains(err.Error(), first) {
				t.Fatalf("the error repeats the value: %v", err)
			}
			return
		}
		data := applied(t, c, `{"n":1,"o":{"p":[]}}`)
		again, err := document.Parse(data, 0)
		if err != nil || string(again) != string(data) {
			t.Fatalf("applied to %q: %v", data, err)
		}
		for i := range len(data) {
			if data[i] < ' ' || data[i] > '~' {
				t.Fatalf("%q cannot be a header value", data)
			}
		}
	})
}

// FuzzStripReserved: afterwards no header that a gateway could take for one
// of ours is left, and Connection names none.
func FuzzStripReserved(f *testing.F) {
	f.Add("Session-Data", "keep-alive, session-id")
	f.Add("session_data", ",,Session-State ,x")
	aliases := strings.NewReplacer("_", "-", ".", "-")
	f.Fuzz(func(t *testing.T, name, connection string) {
		r := &http.Request{Header: http.Header{name: {"x"}, "Connection": {connection}, "X-Kept": {"1"}}}
		stripReserved(r)
		for left := range r.Header {
			if strings.HasPrefix(aliases.Replace(strings.ToLower(left)), "session-") {
				t.Fatalf("%q is left", left)
			}
		}
		for token := range strings.SplitSeq(r.Header.Get("Connection"), ",") {
			if isReserved(strings.TrimSpace(token)) {
				t.Fatalf("Connection: %q", r.Header.Get("Connection"))
			}
		}
		if name != "X-Kept" && r.Header.Get("X-Kept") != "1" {
			t.Fatal("another header was lost")
		}
	})
}

// applied returns the data after the steps, each if it fits.
func applied(t *testing.T, c change.Changes, data string) []byte {
	t.Helper()
	m, err := session.NewManager("fuzz", session.DefaultPolicy(), session.Options{
		Provider: session.Fixed(memstore.New(time.Now)), NewCredential: CredentialSource("fuzz"),
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.Open(t.Context(), session.Request{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Rollback()
	if err := s.Stage(change.Changes{Ops: []change.Op{change.Replace([]byte(data))}}); err != nil {
		t.Fatal(err)
	}
	for _, step := range c.Ops {
		_ = s.Stage(change.Changes{Ops: []change.Op{step}})
	}
	after, _ := s.Staged()
	return after
}
