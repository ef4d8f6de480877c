package caddymodule

import (
	"context"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddy.OnExit(func(context.Context) { leave(exitPatience) })
}

// exitPatience is how long the process waits, when it exits, for stores that
// somebody still uses: it ends calls of operators, but no request.
const exitPatience = 5 * time.Second

// leaving ends when the process is about to exit, and with it every call of an
// operator: a backup that nobody reads must not keep its store open.
var leaving, exit = context.WithCancel(context.Background())

// leave ends the calls of operators, and waits until all stores are closed,
// but no longer than that. It reports whether they are. All apps have stopped.
func leave(patience time.Duration) bool {
	exit()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		lifetimes.Range(func(_, value any) bool {
			lifetime := value.(*sync.Mutex)
			lifetime.Lock() // when it is closed
			defer lifetime.Unlock()
			return true
		})
	}()
	select {
	case <-closed:
		return true
	case <-time.After(patience):
		adminLogger().Warn("a session store is in use still and is not closed; nothing that was committed is lost")
		return false
	}
}
