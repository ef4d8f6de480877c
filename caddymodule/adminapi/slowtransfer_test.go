package adminapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/store"
)

func TestSlowBackupEnds(t *testing.T) {
	st := caddytest.NewAbleStore()
	st.BackupBy = func(ctx context.Context, w io.Writer) error {
		for range 10 {
			time.Sleep(30 * time.Second)
			if err := ctx.Err(); err != nil {
				return err
			}
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return err
			}
		}
		return nil
	}
	inBubble(t, st, func(t *testing.T, client *http.Client) {
		resp, err := client.Get("http://admin/sessions/backup")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != 640<<10 {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

// TestBackupThatNobodyReads gives the store free.
func TestBackupThatNobodyReads(t *testing.T) {
	st := caddytest.NewAbleStore()
	inBubble(t, st, func(t *testing.T, client *http.Client) {
		failed := make(chan error, 1)
		st.BackupBy = func(_ context.Context, w io.Writer) error {
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					failed <- err
					return err
				}
			}
		}
		began := time.Now()
		resp, err := client.Get("http://admin/sessions/backup")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("it ended by %v", err)
		}
		if waited := time.Since(began); waited != stall {
			t.Errorf("it ended after %v", waited)
		}
	})
}

// slowly gives one byte at a time, with a pause before each.
type slowly struct {
	r     io.Reader
	pause time.Duration
}

func (s slowly) Read(b []byte) (int, error) {
	time.Sleep(s.pause)
	return s.r.Read(b[:min(1, len(b))])
}

func TestSlowRestoreEnds(t *testing.T) {
	full := caddytest.NewAbleStore()
	caddytest.Fill(t, full, "shop", 1, "")
	var copied bytes.Buffer
	if err := full.Store.Backup(t.Context(), &copied); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		pause  time.Duration
		status int
	}{"it moves": {30 * time.Second, 200}, "it stands still": {10 * time.Minute, 400}} {
		t.Run(name, func(t *testing.T) {
			st := caddytest.NewAbleStore()
			inBubble(t, st, func(t *testing.T, client *http.Client) {
				resp, err := client.Post("http://admin/sessions/restore", "", slowly{bytes.NewReader(copied.Bytes()), c.pause})
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if c.status != http.StatusOK && !strings.Contains(string(body), "broke off while it was sent") {
					t.Errorf("%s", body)
				}
				if err != nil || resp.StatusCode != c.status || (st.Len() == 1) != (c.status == http.StatusOK) {
					t.Errorf("%d %s, %v", resp.StatusCode, body, err)
				}
				time.Sleep(c.pause) // until the client's end of the body sees that it is over
			})
		})
	}
}

// TestSlowPurgeEnds: the time limit for reading a request does not end a call
// that works for longer.
func TestSlowPurgeEnds(t *testing.T) {
	st := caddytest.NewAbleStore()
	caddytest.Fill(t, st, "shop", 1, "")
	inBubble(t, st, func(t *testing.T, client *http.Client) {
		slow := false
		st.SetBefore(func(op string, _ store.Key) error {
			if op == "page" && !slow {
				slow = true
				time.Sleep(time.Minute)
			}
			return nil
		})
		req, err := http.NewRequest(http.MethodDelete, "http://admin"+caddytest.OfShop+"?all=true", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "{\"ended\":1}\n" {
			t.Errorf("%s, %v", body, err)
		}
	})
}
