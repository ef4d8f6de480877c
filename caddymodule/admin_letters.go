package caddymodule

import (
	"encoding/base64"
	"errors"
	"net/http"

	"github.com/sessionproxy/sessionproxy/store"
)

// letterView is a dead letter as operators see it: no data of the session.
type letterView struct {
	ID        string   `json:"id"`
	Listener  string   `json:"listener"`
	Event     string   `json:"event"`
	Reason    string   `json:"reason,omitempty"`
	Manager   string   `json:"manager"`
	Session   string   `json:"session"`
	Principal string   `json:"principal,omitempty"`
	Keys      []string `json:"keys,omitempty"`
	At        *int64   `json:"at,omitempty"` // when it happened
	Attempts  int      `json:"attempts"`
	Error     string   `json:"error,omitempty"` // of the last one
}

func listDeadLetters(c *adminCall) error {
	outbox, err := can[store.Outbox](c)
	if err != nil {
		return err
	}
	q, err := c.query("limit", "cursor")
	if err != nil {
		return err
	}
	limit, cursor, err := window(q)
	if err != nil {
		return err
	}
	after, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return badRequest("the cursor is none that this API has given out")
	}
	letters, err := outbox.DeadLetters(c.r.Context(), string(after), limit+1)
	if err != nil {
		return err
	}
	next := ""
	if len(letters) > limit {
		letters = letters[:limit]
		next = base64.RawURLEncoding.EncodeToString([]byte(letters[limit-1].ID))
	}
	views := make([]letterView, 0, len(letters))
	for _, l := range letters {
		views = append(views, letterView{
			ID: l.ID, Listener: l.Listener, Event: string(l.Kind), Reason: string(l.Reason), Manager: l.Key.Manager,
			Session: l.Key.ID.String(), Principal: l.Info.Principal, Keys: l.Keys, At: unixSeconds(l.At),
			Attempts: l.Attempts, Error: l.Error,
		})
	}
	return c.answer(struct {
		Letters []letterView `json:"dead_letters"`
		Next    string       `json:"next,omitempty"`
	}{views, next})
}

func retryDeadLetter(c *adminCall) error {
	outbox, err := can[store.Outbox](c)
	if err != nil {
		return err
	}
	if _, err := c.query(); err != nil {
		return err
	}
	id := c.r.PathValue("id")
	if len(id) > maxCursor {
		return noLetter()
	}
	err = outbox.Revive(c.r.Context(), id)
	switch {
	case errors.Is(err, store.ErrGone):
		return noLetter()
	case err != nil:
		return err
	}
	c.local.Listeners.Wake()
	return c.answer(map[string]any{"id": id})
}

func noLetter() error { return problemOf(http.StatusNotFound, "there is no such dead letter") }
