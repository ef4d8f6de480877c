package sessionproxy_test

import (
	"bufio"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// streamRig is a handler whose clock is that of the test's bubble, so that
// hours pass at once, and a session in it.
func streamRig(t *testing.T) (h *sessionproxy.Handler, in http.Header) {
	t.Helper()
	ring, err := ticket.NewRing(ticket.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	policy := session.DefaultPolicy()
	policy.IdleTimeout = 10 * time.Minute
	m, err := session.NewManager("shop", policy, session.Options{
		Provider: session.Fixed(memstore.New(time.Now)), NewCredential: sessionproxy.CredentialSource("shop"),
	})
	if err != nil {
		t.Fatal(err)
	}
	h, err = sessionproxy.NewHandler(sessionproxy.Config{
		Manager: m, Metrics: sessionproxy.NewMetrics(), EndStreams: true, InlineLimit: 4096,
		Ring:     func() (*ticket.Ring, error) { return ring, nil },
		Carriers: []ticket.Carrier{&ticket.Cookie{Name: cookieName}},
		Secure:   func(*http.Request) bool { return false },
	})
	if err != nil {
		t.Fatal(err)
	}
	w := serve(t, h, nil, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Session-Data", `{"a":1}`) })
	return h, http.Header{"Cookie": {w.Result().Cookies()[0].String()}}
}

func serve(t *testing.T, h *sessionproxy.Handler, header http.Header, app http.HandlerFunc) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	if err := h.Serve(w, r, func(w http.ResponseWriter, r *http.Request) error { app(w, r); return nil }); err != nil {
		t.Fatal(err)
	}
	return w
}

// stream serves an event stream until its context ends, and returns how long
// it was open. tick is called every minute.
func stream(t *testing.T, h *sessionproxy.Handler, in http.Header, tick func(w http.ResponseWriter)) time.Duration {
	t.Helper()
	begin := time.Now()
	header := in.Clone()
	header.Set("Accept", "text/event-stream")
	serve(t, h, header, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		for {
			select {
			case <-r.Context().Done():
				return
			case <-time.After(time.Minute):
				tick(w)
			}
		}
	})
	return time.Since(begin)
}

func TestAnIdleStreamEndsWithItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, in := streamRig(t)
		open := stream(t, h, in, func(http.ResponseWriter) {})
		if open < 10*time.Minute || open > 11*time.Minute {
			t.Fatalf("it was open for %v, and the idle timeout is 10m", open)
		}
	})
}

// Bytes that flow are activity, up to the absolute end.
func TestAStreamThatFlowsKeepsItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, in := streamRig(t)
		open := stream(t, h, in, func(w http.ResponseWriter) { _, _ = io.WriteString(w, "data: x\n\n") })
		if open < 12*time.Hour-time.Minute || open > 12*time.Hour+time.Minute {
			t.Fatalf("it was open for %v, and the absolute timeout is 12h", open)
		}
	})
}

func TestAStreamWithoutSessionIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := streamRig(t)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Hour)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
		r.Header.Set("Accept", "text/event-stream")
		begin := time.Now()
		if err := h.Serve(httptest.NewRecorder(), r, func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(http.StatusOK)
			<-r.Context().Done()
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if open := time.Since(begin); open < 99*time.Hour {
			t.Fatalf("it was cut off after %v", open)
		}
	})
}

// hijackable lets a recorder's connection be taken over.
type hijackable struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.conn, nil, nil }

// What takes the connection over may not look at the context: it is closed.
func TestAConnectionThatWasTakenOverIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, in := streamRig(t)
		ours, theirs := net.Pipe()
		defer theirs.Close()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header = in.Clone()
		r.Header.Set("Upgrade", "websocket")
		if err := h.Serve(hijackable{httptest.NewRecorder(), ours}, r, func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(http.StatusSwitchingProtocols)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return err
			}
			go func() {
				logout := httptest.NewRequestWithContext(r.Context(), http.MethodGet, "/", nil)
				logout.Header = in.Clone()
				if err := h.Serve(httptest.NewRecorder(), logout, func(w http.ResponseWriter, _ *http.Request) error {
					w.Header().Set("Session-Action", "destroy")
					return nil
				}); err != nil {
					t.Error(err)
				}
			}()
			_, err = conn.Read(make([]byte, 1)) // ends when it is closed
			if err == nil {
				t.Error("it is not closed")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
}

// A logout while the app was still thinking: the stream ends as it begins.
func TestAStreamOfASessionThatHasEndedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, in := streamRig(t)
		header := in.Clone()
		header.Set("Accept", "text/event-stream")
		var open time.Duration
		serve(t, h, header, func(w http.ResponseWriter, r *http.Request) {
			serve(t, h, in, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Session-Action", "destroy") })
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(http.StatusOK)
			begin := time.Now()
			<-r.Context().Done()
			open = time.Since(begin)
		})
		if open > time.Second {
			t.Fatalf("it was open for %v", open)
		}
	})
}

// TestAStreamThatNobodyAskedForIsCutOff: a script that fetches a stream sends
// no Accept for it. It ends while it is idle, and takes no further byte.
func TestAStreamThatNobodyAskedForIsCutOff(t *testing.T) {
	for _, kind := range []string{"text/event-stream", "application/x-ndjson", ""} {
		synctest.Test(t, func(t *testing.T) {
			h, in := streamRig(t)
			serve(t, h, in, func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Content-Type"] = []string{kind}
				_, _ = io.WriteString(w, "data: 1\n\n")
				serve(t, h, in, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Session-Action", "destroy") })
				begin := time.Now()
				<-r.Context().Done()
				if open := time.Since(begin); open > time.Second {
					t.Errorf("%q: it was open for %v", kind, open)
				}
				if _, err := io.WriteString(w, "data: 2\n\n"); err == nil {
					t.Errorf("%q: it goes on after the logout", kind)
				}
			})
		})
	}
	t.Run("a response of known length goes on", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, in := streamRig(t)
			serve(t, h, in, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "4")
				_, _ = io.WriteString(w, "da")
				serve(t, h, in, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Session-Action", "destroy") })
				time.Sleep(time.Minute)
				if _, err := io.WriteString(w, "ta"); err != nil || r.Context().Err() != nil {
					t.Error("it was cut off", err)
				}
			})
		})
	})
}

// A new ticket of the same session ends no stream of it.
func TestAStreamOutlivesARotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, in := streamRig(t)
		header := in.Clone()
		header.Set("Accept", "text/event-stream")
		serve(t, h, header, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(http.StatusOK)
			serve(t, h, in, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Session-Action", "regenerate") })
			select {
			case <-r.Context().Done():
				t.Error("it was cut off")
			case <-time.After(time.Minute):
			}
		})
	})
}
