package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

const (
	// listenerNamespace is where guest modules that are listeners register.
	listenerNamespace = "sessions.listeners"
	// listenerKey names the module among the options of a listener.
	listenerKey = "module"
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
// Hear may be called before the configuration has started and, for a moment,
// after its Cleanup: see [session.Listener].
type Listener interface {
	session.Listener
	// Hears returns the kinds of events that the module is told of. It is
	// asked once, after Provision and Validate.
	Hears() []session.EventKind
}

// PendingLimiter is what a listener implements besides, if its configuration
// says how many events may wait for it. 0 stands for the default. It is asked
// once, after Provision and Validate.
type PendingLimiter interface{ PendingLimit() int }

// checkMaxPending checks the number of a listener's configuration.
func checkMaxPending(n int) error {
	if n < 0 || n > maxPending {
		return fmt.Errorf("max_pending is %d, and must be 1 to %d", n, maxPending)
	}
	return nil
}

// maxPending is the largest number of events that may wait for a listener.
const maxPending = 1_000_000_000

// eventKinds are all kinds of events.
var eventKinds = []session.EventKind{
	session.EventCreate, session.EventSave, session.EventRotate, session.EventDelete, session.EventRollback,
}

// loadListeners loads the modules of a handler and names them.
func (h *Handler) loadListeners(ctx caddy.Context) ([]session.Subscription, error) {
	if h.ListenersRaw == nil {
		return nil, nil
	}
	names, err := moduleNames(h.ListenersRaw)
	if err != nil {
		return nil, err
	}
	loaded, err := ctx.LoadModule(h, "ListenersRaw")
	if err != nil {
		return nil, fmt.Errorf("loading session listeners: %w", err)
	}
	modules, ok := loaded.([]any)
	if !ok || len(modules) != len(names) {
		return nil, fmt.Errorf("loading session listeners: %T is no list of %d modules", loaded, len(names))
	}
	subs := make([]session.Subscription, 0, len(modules))
	count := make(map[string]int)
	for i, mod := range modules {
		listener, ok := mod.(Listener)
		if !ok {
			return nil, fmt.Errorf("loading session listener %s: %T is not a session listener", names[i], mod)
		}
		kinds := listener.Hears()
		for _, kind := range kinds {
			if !slices.Contains(eventKinds, kind) {
				return nil, fmt.Errorf("loading session listener %s: there are no events of the kind %q", names[i], kind)
			}
		}
		count[names[i]]++
		name := fmt.Sprintf("%s/%s/%d", h.Manager, names[i], count[names[i]])
		sub := session.Subscription{Name: name, Kinds: kinds, Listener: listener}
		if limiter, ok := mod.(PendingLimiter); ok {
			sub.MaxPending = limiter.PendingLimit()
		}
		subs = append(subs, sub)
	}
	return subs, nil
}

// moduleNames returns the names of the modules in a list.
func moduleNames(list []json.RawMessage) ([]string, error) {
	names := make([]string, 0, len(list))
	for _, raw := range list {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(raw, &object); err != nil {
			return nil, fmt.Errorf("reading session listener: %w", err)
		}
		var name string
		if err := json.Unmarshal(object[listenerKey], &name); err != nil || name == "" {
			return nil, errors.New("a session listener needs the name of its module in `" + listenerKey + "`")
		}
		names = append(names, name)
	}
	return names, nil
}
