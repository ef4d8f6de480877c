package handler

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/sessionproxy/sessionproxy/caddymodule/app"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
)

// loadListeners loads the modules of a handler and names them.
func (h *Handler) loadListeners(ctx caddy.Context) ([]event.Subscription, error) {
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
	subs := make([]event.Subscription, 0, len(modules))
	count := make(map[string]int)
	for i, mod := range modules {
		listener, ok := mod.(app.Listener)
		if !ok {
			return nil, fmt.Errorf("loading session listener %s: %T is not a session listener", names[i], mod)
		}
		kinds := listener.EventKinds()
		for _, kind := range kinds {
			if !slices.Contains(app.EventKinds, kind) {
				return nil, fmt.Errorf("loading session listener %s: there are no events of the kind %q", names[i], kind)
			}
		}
		count[names[i]]++
		name := fmt.Sprintf("%s/%s/%d", h.Manager, names[i], count[names[i]])
		sub := event.Subscription{Name: name, Kinds: kinds, Listener: listener}
		if limiter, ok := mod.(app.PendingLimiter); ok {
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
		if err := json.Unmarshal(object[app.ListenerKey], &name); err != nil || name == "" {
			return nil, errors.New("a session listener needs the name of its module in `" + app.ListenerKey + "`")
		}
		names = append(names, name)
	}
	return names, nil
}
