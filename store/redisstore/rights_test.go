package redisstore_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/internal/redistest"
	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/redisstore"
	"github.com/sessionproxy/sessionproxy/store/storetest"
)

// TestRights: a user with the rights that docs/scale.md names, and no others,
// can do everything.
func TestRights(t *testing.T) {
	text, err := os.ReadFile("../../docs/scale.md")
	if err != nil {
		t.Fatal(err)
	}
	rights := regexp.MustCompile("(?m)^ACL SETUSER sessions .*$").Find(text)
	if rights == nil {
		t.Fatal("docs/scale.md names no rights")
	}
	srv := redistest.New(t)
	c := admin(t, srv.Address)
	if err := c.Do(t.Context(), c.B().Arbitrary(strings.Fields(string(rights))...).Build()).Error(); err != nil {
		t.Fatal(err)
	}
	s := open(t, redisstore.Options{Address: srv.Address, Username: "sessions", Password: "password"})
	filed := s.Filed("hook")
	create(t, s, keyOf("shop", 1), "x")
	s.Subscribe(toHook)
	if err := s.Delete(t.Context(), keyOf("shop", 1), store.Revoked); err != nil {
		t.Fatal(err)
	}
	woken(t, "a delete", filed)
	storetest.Run(t, storetest.Engine{Volatile: true, Open: func(t *testing.T, _ string, now func() time.Time) storetest.Closer {
		if err := c.Do(t.Context(), c.B().Flushdb().Build()).Error(); err != nil {
			t.Fatal(err)
		}
		return open(t, redisstore.Options{Address: srv.Address, Username: "sessions", Password: "password", Now: now})
	}})
}
