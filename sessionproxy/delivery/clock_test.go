package delivery_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// TestTheClockIsSet: whatever jumps the wall clock makes, no session is ended
// because of a time that was wrong, and nothing is lost.
func TestTheClockIsSet(t *testing.T) {
	set := func(k *kept, by time.Duration) { k.ahead.Add(int64(by)); time.Sleep(10 * time.Second); synctest.Wait() }
	for _, tc := range []struct {
		name string
		do   func(*kept)
		want string // the reports
		left bool   // the session lives, once the clock is right
	}{
		{"a day ahead, and back", func(k *kept) { set(k, 24*time.Hour); set(k, -24*time.Hour) },
			"clock 24h0m0s, held 10m0s, clock -24h0m0s, held 0s", true},
		{"in two steps, and back in two", func(k *kept) {
			set(k, time.Hour)
			set(k, time.Hour)
			set(k, -time.Hour)
			if k.Store.Len() != 1 {
				k.T.Error("half of the way back is not enough")
			}
			set(k, -time.Hour)
		}, "clock 1h0m0s, held 10m0s, clock 1h0m0s, held 10m0s, clock -1h0m0s, held 9m50s, clock -1h0m0s, held 0s", true},
		{"ahead, for good", func(k *kept) {
			set(k, 24*time.Hour)
			time.Sleep(9*time.Minute + 30*time.Second)
			if k.Store.Len() != 1 {
				k.T.Error("swept while the clock was not to be believed")
			}
			time.Sleep(time.Minute)
		}, "clock 24h0m0s, held 10m0s", false},
		{"a little ahead", func(k *kept) { set(k, 29*time.Second) }, "", true},
		{"back", func(k *kept) { set(k, -24*time.Hour); set(k, 24*time.Hour-20*time.Minute) },
			"clock -24h0m0s, held 0s, clock 23h40m0s, held 10m0s", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKept(t, nil)
				defer k.use()()
				k.start()
				synctest.Wait() // until it has swept
				defer k.close()
				c := k.Begin(`{}`)
				time.Sleep(10 * time.Second)
				tc.do(k)
				if got := k.noted(); got != tc.want {
					t.Errorf("reported %q, want %q", got, tc.want)
				}
				if got := k.Open(c).State() == session.Active; got != tc.left {
					t.Errorf("alive: %v", got)
				}
				k.ahead.Store(0)
				time.Sleep(13 * time.Hour)
				if k.Store.Len() != 0 {
					t.Error("it is not swept in the end")
				}
			})
		})
	}
	t.Run("between look and sweep", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			k := newKept(t, nil)
			defer k.use()()
			c := k.Begin(`{}`)
			isSet := false
			k.Store.Before = func(op string, _ store.Key) error {
				if op == "sweep" && !isSet {
					isSet = true
					k.ahead.Store(int64(24 * time.Hour))
				}
				return nil
			}
			k.start()
			synctest.Wait()
			defer k.close()
			if k.Store.Len() != 1 {
				t.Error("swept by a time that was not looked at")
			}
			k.ahead.Store(0)
			if got := k.Open(c).State(); got != session.Active {
				t.Errorf("the session is %s", got)
			}
		})
	})
	t.Run("seemingly expired", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			k := newKept(t, nil)
			defer k.use()()
			k.start()
			synctest.Wait() // until it has swept
			defer k.close()
			c := k.Begin(`{"a":1}`)
			set(k, 24*time.Hour)
			if got := k.Open(c).State(); got != session.Expired {
				t.Errorf("session is %s", got)
			}
			set(k, -24*time.Hour)
			if got := k.Data(c); got != `{"a":1}` {
				t.Errorf("data is %s", got)
			}
		})
	})
}
