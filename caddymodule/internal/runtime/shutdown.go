package runtime

import (
	"context"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddy.OnExit(func(context.Context) { shutdown(exitGrace) })
}

// exitGrace is how long the process waits, when it exits, for stores that
// are still in use: it ends calls of operators, but no request.
const exitGrace = 5 * time.Second

// Exiting ends when the process is about to exit, and with it every call of an
// operator: a backup that no client reads must not keep its store open.
func Exiting() context.Context { return process.exiting }

// shutdown ends the calls of operators, and waits until all stores are closed,
// but no longer than that. It reports whether they are. All apps have stopped.
func shutdown(patience time.Duration) bool {
	process.exit()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		process.lifetimes.Range(func(_, value any) bool {
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
		AdminLogger().Warn("a session store is in use still and is not closed; nothing that was committed is lost")
		return false
	}
}
