package sessionproxy_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// stuckWriter is a response whose client does not read: a write waits for the
// deadline.
type stuckWriter struct {
	*httptest.ResponseRecorder
	deadline chan time.Time
}

func (w stuckWriter) Write([]byte) (int, error) {
	<-w.deadline
	return 0, os.ErrDeadlineExceeded
}

// SetWriteDeadline returns at once, as a server's does, also if no write waits.
func (w stuckWriter) SetWriteDeadline(d time.Time) error {
	select {
	case w.deadline <- d:
	default:
	}
	return nil
}

// notingWriter stands before the server's writer as Caddy's idle timeouts do: it
// notes deadlines for the goroutine that writes, and has no lock for them.
type notingWriter struct {
	http.ResponseWriter
	t *testing.T
}

func (w notingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w notingWriter) SetWriteDeadline(time.Time) error {
	w.t.Error("another goroutine sets a deadline through a writer that is no server's")
	return nil
}

// TestAStreamWhoseClientDoesNotReadEnds, and nothing sets the deadline of a
// connection whose response is over.
func TestAStreamWhoseClientDoesNotReadEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, in := streamRig(t)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header["Cookie"] = in["Cookie"]
		w := stuckWriter{httptest.NewRecorder(), make(chan time.Time)}
		if err := h.Serve(notingWriter{w, t}, r, func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(http.StatusOK)
			go func() {
				synctest.Wait() // for the write to wait for its client
				serve(t, h, in, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Session-Action", "destroy") })
			}()
			if _, err := w.Write([]byte("more")); err == nil {
				t.Error("it goes on")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
}
