package adminapi

import (
	"encoding/json"
	"errors"
	"net/http"

	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/store"
)

// adminProblem is an error as operators get it: a problem document (RFC 9457).
// It is an error, so that handlers return it.
type adminProblem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Ended is how many sessions were ended before it failed.
	Ended int `json:"ended,omitempty"`
}

// Types of problems that a program may want to tell apart; the others say all
// by their status.
const (
	typeUnavailable = sessionproxy.TypeUnavailable
	typeUnsupported = "urn:sessionproxy:unsupported"
	typeDataOff     = "urn:sessionproxy:data-off"
	typeNotEmpty    = "urn:sessionproxy:not-empty"
	typeBadBackup   = "urn:sessionproxy:bad-backup"
)

// problemOf returns a problem without a type of its own.
func problemOf(status int, detail string) *adminProblem {
	return &adminProblem{Type: sessionproxy.TypeMisplaced, Title: http.StatusText(status), Status: status, Detail: detail}
}

// Error implements error.
func (p *adminProblem) Error() string { return p.Detail }

// storeProblems says how a store's errors are told to operators.
var storeProblems = []struct {
	err    error
	status int
	typ    string
}{
	{store.ErrBadCursor, http.StatusBadRequest, sessionproxy.TypeMisplaced},
	{store.ErrGone, http.StatusNotFound, sessionproxy.TypeMisplaced},
	{store.ErrNotEmpty, http.StatusConflict, typeNotEmpty},
	{store.ErrBadBackup, http.StatusBadRequest, typeBadBackup},
	{store.ErrUnavailable, http.StatusServiceUnavailable, typeUnavailable},
	{store.ErrUnknown, http.StatusServiceUnavailable, typeUnavailable},
}

// problemFor finds the problem for an error. A store's error holds no data of
// sessions, so that its text can be shown to every caller of this endpoint.
func problemFor(err error) *adminProblem {
	if p := (*adminProblem)(nil); errors.As(err, &p) {
		return p
	}
	for _, known := range storeProblems {
		if errors.Is(err, known.err) {
			p := problemOf(known.status, err.Error())
			p.Type = known.typ
			return p
		}
	}
	return problemOf(http.StatusInternalServerError, err.Error())
}

// answerProblem writes the problem document for an error. Failures of the
// server are logged, too; Caddy has logged the request.
func answerProblem(w http.ResponseWriter, r *http.Request, err error) error {
	p := problemFor(err)
	if p.Status >= http.StatusInternalServerError && p.Type != typeUnsupported && r.Context().Err() == nil {
		runtime.AdminLogger().Error("admin call failed", zap.String("path", r.Pattern), zap.Int("status", p.Status), zap.Error(err))
	}
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // an error is that of a client that has gone
	return nil
}
