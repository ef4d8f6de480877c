package adminapi

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"

	"github.com/sessionproxy/sessionproxy/store"
)

// LetterView is a dead letter as operators see it: no data of the session.
type LetterView struct {
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
	outbox, err := require(c.node.Features.Outbox)
	if err != nil {
		return err
	}
	q, err := c.query("limit", "cursor")
	if err != nil {
		return err
	}
	limit, cursor, err := pageParams(q)
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
	views := make([]LetterView, 0, len(letters))
	for _, l := range letters {
		views = append(views, LetterView{
			ID: l.ID, Listener: l.Listener, Event: string(l.Kind), Reason: string(l.Reason), Manager: l.Key.Manager,
			Session: l.Key.ID.String(), Principal: l.Info.Principal, Keys: l.Keys, At: unixSeconds(l.At),
			Attempts: l.Attempts, Error: l.Error,
		})
	}
	return c.answer(struct {
		Letters []LetterView `json:"dead_letters"`
		Next    string       `json:"next,omitempty"`
	}{views, next})
}

func retryDeadLetter(c *adminCall) error {
	if err := c.withLetter(store.Outbox.RetryDeadLetter); err != nil {
		return err
	}
	return c.answer(map[string]any{"id": c.r.PathValue("id")})
}

func discardDeadLetter(c *adminCall) error {
	if err := c.withLetter(store.Outbox.DeleteDeadLetter); err != nil {
		return err
	}
	return c.answer(map[string]any{"id": c.r.PathValue("id")})
}

// withLetter does something with the dead letter of the path.
func (c *adminCall) withLetter(do func(store.Outbox, context.Context, string) error) error {
	outbox, err := require(c.node.Features.Outbox)
	if err != nil {
		return err
	}
	if _, err := c.query(); err != nil {
		return err
	}
	id := c.r.PathValue("id")
	if len(id) <= maxCursor {
		err = do(outbox, c.r.Context(), id)
	}
	if len(id) > maxCursor || errors.Is(err, store.ErrGone) {
		return problemOf(http.StatusNotFound, "there is no such dead letter")
	}
	return err
}

// discardBacklog drops what waits for a listener that no configuration has any
// more. One of a configuration that is going still counts as configured.
func discardBacklog(c *adminCall) error {
	outbox, err := require(c.node.Features.Outbox)
	if err != nil {
		return err
	}
	q, err := c.query("listener")
	if err != nil {
		return err
	}
	name := q.Get("listener")
	if name == "" {
		return badRequest("say for which `listener` nothing is to be kept; `/sessions/stats` lists them")
	}
	if _, ok := c.node.Subscriptions.All()[name]; ok {
		return problemOf(http.StatusConflict, fmt.Sprintf("the listener %s is configured, and is to be told what waits for it; remove it from the configuration first, or discard single dead letters", name))
	}
	n, err := outbox.PurgeListener(c.r.Context(), name)
	switch {
	case err != nil:
		return err
	case n == 0:
		return problemOf(http.StatusNotFound, "nothing waits for a listener of that name")
	}
	return c.answer(map[string]any{"discarded": n})
}
