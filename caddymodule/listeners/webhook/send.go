package webhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/store"
)

// webhookPayload is the body of the request. Times are in RFC 3339, UTC.
type webhookPayload struct {
	Type      string       `json:"type"` // session. and the kind
	Timestamp time.Time    `json:"timestamp"`
	Data      webhookEvent `json:"data"`
}

// webhookEvent is what there is to tell of the session.
type webhookEvent struct {
	Manager   string          `json:"manager"`
	Session   string          `json:"session"`
	Reason    store.Reason    `json:"reason,omitempty"`
	Principal string          `json:"principal,omitempty"`
	Created   time.Time       `json:"created,omitzero"`
	Expires   time.Time       `json:"expires,omitzero"`
	Keys      []string        `json:"keys,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"`
}

// maxWebhookAnswer is how much of an answer is read, to use the connection
// again, in bytes.
const maxWebhookAnswer = 4 << 10

// Handle sends the event once.
func (w *Webhook) Handle(ctx context.Context, e event.Event) error {
	body, err := json.Marshal(webhookPayload{
		Type: "session." + string(e.Kind), Timestamp: e.At.UTC(),
		Data: webhookEvent{
			Manager: e.Manager, Session: e.Session.String(), Reason: e.Reason, Principal: e.Principal,
			Created: utc(e.Created), Expires: utc(e.Expires), Keys: e.Keys, Data: e.Data,
		},
	})
	if err != nil { // never repeats what it could not encode
		return fmt.Errorf("encoding event for webhook: the session's data is no JSON: %w", event.ErrPermanent)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(w.Timeout))
	defer cancel()
	r, err := w.request(ctx, e.ID, body)
	if err != nil {
		return err
	}
	answer, err := w.client.Do(r)
	if err != nil {
		return fmt.Errorf("telling webhook at %s: %w", w.url.Host, webhookFailure(err))
	}
	defer answer.Body.Close()
	switch code := answer.StatusCode; {
	case code == http.StatusGone:
		return fmt.Errorf("telling webhook at %s: the receiver answered 410 Gone, so this is not retried: %w", w.url.Host, event.ErrPermanent)
	case code < 200 || code > 299:
		return fmt.Errorf("telling webhook at %s: it answers %d", w.url.Host, code)
	}
	_, _ = io.CopyN(io.Discard, answer.Body, maxWebhookAnswer) // it was heard, whatever else comes
	return nil
}

// request makes the signed request.
func (w *Webhook) request(ctx context.Context, id string, body []byte) (*http.Request, error) {
	if id == "" { // of an event that is told once
		id = rand.Text()
	}
	now := w.now()
	signature, err := w.signer.Sign(id, now, body)
	if err != nil {
		return nil, fmt.Errorf("signing event for webhook: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making request for webhook at %s failed", w.url.Host)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "sessionproxy")
	r.Header.Set(standardwebhooks.HeaderWebhookID, id)
	r.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	r.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return r, nil
}

// utc keeps the zero time what it is.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}
