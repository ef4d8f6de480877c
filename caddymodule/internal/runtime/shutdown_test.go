package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/sessionproxy/sessionproxy/caddymodule/app"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/store"
)

// restoring is a store that restores as a test says.
type restoring struct {
	*caddytest.AbleStore
	restore func(context.Context, io.Reader) (int64, error)
}

func (r *restoring) Restore(ctx context.Context, from io.Reader, _ store.CheckRecord) (int64, error) {
	return r.restore(ctx, from)
}

// TestOperatorsDoNotHoldUpTheExit has calls under way that would go on: a
// backup that no client reads, and a restore that no client sends.
func TestOperatorsDoNotHoldUpTheExit(t *testing.T) {
	for _, request := range []string{
		"GET /sessions/backup HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /sessions/restore HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx",
	} {
		t.Run(strings.Fields(request)[1], func(t *testing.T) {
			t.Cleanup(runtime.ResetExit())
			st := &restoring{AbleStore: caddytest.NewAbleStore()}
			begun, ended := make(chan struct{}), make(chan error, 1)
			st.BackupBy = func(_ context.Context, w io.Writer) error {
				close(begun)
				var err error
				for err == nil {
					_, err = w.Write(make([]byte, 64<<10))
				}
				ended <- err
				return err
			}
			st.restore = func(_ context.Context, r io.Reader) (int64, error) {
				close(begun)
				_, err := io.Copy(io.Discard, r)
				ended <- err
				return 0, err
			}
			s := caddytest.NewSite(t)
			s.Load(s.Config(caddytest.Prepare(t, st), "", "session shop\nrespond ok"))
			server := httptest.NewServer(caddytest.AdminMux())
			defer server.Close()
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := fmt.Fprint(conn, request); err != nil {
				t.Fatal(err)
			}
			<-begun
			s.Stop()
			if !runtime.Shutdown(time.Minute) {
				t.Error("the store stays open")
			}
			if err := <-ended; err == nil || errors.Is(err, http.ErrAbortHandler) {
				t.Errorf("it ended by %v", err)
			}
		})
	}
}

// TestARequestHoldsUpTheExitForAWhile: what cannot be ended is not waited for
// without end.
func TestARequestHoldsUpTheExitForAWhile(t *testing.T) {
	t.Cleanup(runtime.ResetExit())
	s := caddytest.NewSite(t)
	s.Load(s.Config(caddytest.Prepare(t, caddytest.NewAbleStore()), "", "session shop\nrespond ok"))
	loaded, err := caddy.ActiveContext().App(runtime.AppID)
	if err != nil {
		t.Fatal(err)
	}
	b := loaded.(*app.App).Provider()
	if _, _, err := b.Acquire(); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if runtime.Shutdown(time.Millisecond) {
		t.Error("the store was closed under a request")
	}
	b.Release()
	if !runtime.Shutdown(time.Minute) {
		t.Error("the store stays open")
	}
}

// boundedStore notes how long its close may take.
type boundedStore struct {
	*caddytest.AbleStore
	limit chan time.Duration
}

func (b *boundedStore) CloseWithin(limit time.Duration) error {
	b.limit <- limit
	return nil
}

// TestTheStopTakesNoLongerThanTheGracePeriod also while a store cannot write.
func TestTheStopTakesNoLongerThanTheGracePeriod(t *testing.T) {
	st := &boundedStore{caddytest.NewAbleStore(), make(chan time.Duration, 1)}
	s := caddytest.NewSite(t)
	s.Load(s.Config(caddytest.Prepare(t, st), "", "session shop\nrespond ok"))
	s.Stop()
	if got := <-st.limit; got != 10*time.Second {
		t.Fatalf("closed within %v", got)
	}
}
