package app

import (
	"fmt"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/cfblock"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
)

const (
	// ListenerNamespace is where guest modules that are listeners register.
	ListenerNamespace = "sessions.listeners"
	// ListenerKey names the module among the options of a listener.
	ListenerKey = "module"
)

// Listener is what a guest module in the namespace `sessions.listeners`
// implements, beside caddy.Module and, for the Caddyfile, caddyfile.Unmarshaler.
//
// What is to be told is kept until it was told, across reloads and restarts,
// under the manager, the module's name, and its number among the manager's
// listeners of that name: changing an option, an address for instance, hands
// what waits to the changed listener; changing the order of two of one name
// swaps what waits for them.
//
// Handle may be called before the configuration has started and, for a moment,
// after its Cleanup: see [event.Listener].
type Listener interface {
	event.Listener
	// EventKinds returns the kinds of events that the module is told of. It is
	// asked once, after Provision and Validate.
	EventKinds() []event.Kind
}

// PendingLimiter is what a listener implements besides, if its configuration
// says how many events may wait for it. 0 stands for the default. It is asked
// once, after Provision and Validate.
type PendingLimiter interface{ PendingLimit() int }

// maxPending is the largest number of events that may wait for a listener.
const maxPending = 1_000_000_000

// CheckMaxPending checks the number of a listener's configuration.
func CheckMaxPending(n int) error {
	if n < 0 || n > maxPending {
		return fmt.Errorf("max_pending is %d, and must be 1 to %d", n, maxPending)
	}
	return nil
}

// ParseMaxPending reads the option max_pending in a listener's block.
func ParseMaxPending(d *caddyfile.Dispenser, into *int) error {
	var text string
	if err := cfblock.OneArg(d, &text); err != nil {
		return err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPending {
		return d.Errf("parsing max_pending: '%s' is not a number from 1 to %d", text, maxPending)
	}
	*into = n
	return nil
}

// EventKinds are all kinds of events.
var EventKinds = []event.Kind{
	event.Create, event.Save, event.Rotate, event.Delete, event.Rollback,
}
