package command

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// TestTopGoesOn: a server that is away for a moment ends no picture, and
// Ctrl-C ends them without an error.
func TestTopGoesOn(t *testing.T) {
	calls := 0
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/sessions/locks" {
			_, _ = io.WriteString(w, `{"locks":[]}`)
			return
		}
		switch calls++; calls {
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"detail":"reloading"}`)
		case 4:
			cancel()
			fallthrough
		default:
			_, _ = fmt.Fprintf(w, `{"managers":[{"id":"shop","sessions":1,"opened":%d}],"listeners":[]}`, calls*10)
		}
	}))
	defer server.Close()
	client, err := newAdminClient(strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	now := caddytest.Begin
	c := newCLI(nil, &out, &out)
	c.now = func() time.Time { return now }
	c.tick = func(d time.Duration) <-chan time.Time {
		now = now.Add(d)
		tick := make(chan time.Time, 1)
		tick <- now
		return tick
	}
	p := &top{cli: c, client: client, every: 2 * time.Second, inPlace: true, size: func() (int, int) { return 40, 5 }}
	if err := p.run(ctx, false); err != nil {
		t.Fatal(err)
	}
	pictures := strings.Split(out.String(), "\x1b[H")[1:]
	if len(pictures) != 3 || !strings.Contains(pictures[0], "  -  ") || !strings.Contains(pictures[1], "reloading") || !strings.Contains(pictures[2], "  5.0  ") {
		t.Errorf("%q", pictures)
	}
	for _, picture := range pictures {
		if strings.Count(picture, "\n") > 4 {
			t.Errorf("it scrolls in 5 lines: %q", picture)
		}
		if !strings.HasPrefix(picture, "\x1b[?7l") || !strings.HasSuffix(picture, "\x1b[J\x1b[?7h") || strings.Contains(strings.ReplaceAll(picture, "\x1b[K\n", ""), "\n") {
			t.Errorf("not drawn in place: %q", picture)
		}
	}
}

// TestPicturesFitTheTerminal cuts what a narrow terminal would wrap, and finds
// the terminal behind the writer that notes errors.
func TestPicturesFitTheTerminal(t *testing.T) {
	const text = "MANAGER                 SESSIONS\nshop   1\nänderungen   \n"
	const want = "MANAGER…\nshop   1\nänderun…\n"
	if got := string(cutLines([]byte(text), 8)); got != want {
		t.Errorf("%q", got)
	}
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if f, ok := terminal(&output{w: file}); !ok || f != file {
		t.Error("the terminal is not found")
	}
}
