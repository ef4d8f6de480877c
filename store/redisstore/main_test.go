package redisstore_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/redis/rueidis"

	"github.com/sessionproxy/sessionproxy/internal/redistest"
)

// shared is the server of all tests that need none of their own.
var shared *redistest.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if redistest.IsHere() {
		dir, err := os.MkdirTemp("", "redisstore")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if shared, err = redistest.Start(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer shared.Kill()
	}
	return m.Run()
}

// address returns that of the shared server.
func address(t *testing.T) string {
	t.Helper()
	redistest.Need(t)
	return shared.Address
}

// admin returns a client of the server, for what the store does not do itself.
func admin(t *testing.T, address string) rueidis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{address}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
