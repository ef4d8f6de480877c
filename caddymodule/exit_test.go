package caddymodule

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

	"github.com/sessionproxy/sessionproxy/store"
)

// restoring is a store that restores as a test says.
type restoring struct {
	*ableStore
	restore func(context.Context, io.Reader) (int64, error)
}

func (r *restoring) Restore(ctx context.Context, from io.Reader, _ store.CheckRecord) (int64, error) {
	return r.restore(ctx, from)
}

// TestOperatorsDoNotHoldUpTheExit has calls under way that would go on: a
// backup that nobody reads, and a restore that nobody sends.
func TestOperatorsDoNotHoldUpTheExit(t *testing.T) {
	for _, request := range []string{
		"GET /sessions/backup HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /sessions/restore HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx",
	} {
		t.Run(strings.Fields(request)[1], func(t *testing.T) {
			before, exitBefore := leaving, exit
			leaving, exit = context.WithCancel(context.Background())
			t.Cleanup(func() { leaving, exit = before, exitBefore })
			st := &restoring{ableStore: newAbleStore()}
			begun, ended := make(chan struct{}), make(chan error, 1)
			st.backup = func(_ context.Context, w io.Writer) error {
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
			s := newSite(t)
			s.load(s.config(prepare(t, st), "", "session shop\nrespond ok"))
			server := httptest.NewServer(adminMux())
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
			s.stop()
			if !leave(time.Minute) {
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
	before, exitBefore := leaving, exit
	leaving, exit = context.WithCancel(context.Background())
	t.Cleanup(func() { leaving, exit = before, exitBefore })
	s := newSite(t)
	s.load(s.config(prepare(t, newAbleStore()), "", "session shop\nrespond ok"))
	b := activeApp(t).backend
	if _, _, err := b.Borrow(); err != nil {
		t.Fatal(err)
	}
	s.stop()
	if leave(time.Millisecond) {
		t.Error("the store was closed under a request")
	}
	b.Return()
	if !leave(time.Minute) {
		t.Error("the store stays open")
	}
}

// boundedStore notes how long its close may take.
type boundedStore struct {
	*ableStore
	limit chan time.Duration
}

func (b *boundedStore) CloseWithin(limit time.Duration) error {
	b.limit <- limit
	return nil
}

// TestTheStopTakesNoLongerThanTheGracePeriod also while a store cannot write.
func TestTheStopTakesNoLongerThanTheGracePeriod(t *testing.T) {
	st := &boundedStore{newAbleStore(), make(chan time.Duration, 1)}
	s := newSite(t)
	s.load(s.config(prepare(t, st), "", "session shop\nrespond ok"))
	s.stop()
	if got := <-st.limit; got != 10*time.Second {
		t.Fatalf("closed within %v", got)
	}
}
