package sessionproxy

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/sessionproxy/lock"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// Problem types, as in the problem document's "type" member (RFC 9457).
const (
	TypeBadWrite    = "urn:sessionproxy:bad-write"
	TypeTooLarge    = "urn:sessionproxy:too-large"
	TypeReadOnly    = "urn:sessionproxy:read-only"
	TypeConflict    = "urn:sessionproxy:conflict"
	TypeGone        = "urn:sessionproxy:gone"
	TypeLocked      = "urn:sessionproxy:locked"
	TypeUnavailable = "urn:sessionproxy:unavailable"
	TypeLimit       = "urn:sessionproxy:principal-limit"
	// Those of the admin API alone.
	TypeUnsupported = "urn:sessionproxy:unsupported"
	TypeDataOff     = "urn:sessionproxy:data-off"
	TypeNotEmpty    = "urn:sessionproxy:not-empty"
	TypeBadBackup   = "urn:sessionproxy:bad-backup"
	// TypeMisplaced is that of a problem which its status says all about.
	TypeMisplaced = "about:blank"
)

// audience is the client that gets a problem: the same error has another
// status for each.
type audience int

const (
	toVisitor  audience = iota // instead of the app's response
	toApp                      // as the answer to a call of the endpoint
	toOperator                 // as the answer of the admin API
	audiences
)

// told is how one audience gets an error. The zero value is an error that
// does not come to that audience. An operator's title is the status's text.
type told struct {
	status int
	title  string
}

const (
	badRequest  = http.StatusBadRequest
	badGateway  = http.StatusBadGateway
	conflicting = http.StatusConflict
	gone        = http.StatusGone
	unavailable = http.StatusServiceUnavailable
)

const titlePrecondition = "the session's data is not what the call demands"

// problems maps each error to the problem that it is for each audience, which
// fits in the order of the rows: errors that wrap another one stand before it.
// The words for traces and metrics are those of session.FailureWord.
var problems = []struct {
	err   error
	typ   string
	to    [audiences]told
	retry time.Duration // Retry-After, for visitors and apps
}{
	{errPrecondition, TypeConflict, [audiences]told{toApp: {http.StatusPreconditionFailed, titlePrecondition}}, 0},
	{change.ErrIfVersion, TypeConflict, [audiences]told{toVisitor: {conflicting, titleConflict}, toApp: {http.StatusPreconditionFailed, titlePrecondition}}, 0},
	{errMediaType, TypeMisplaced, [audiences]told{toApp: {http.StatusUnsupportedMediaType, "the call does not take a body of that kind"}}, 0},
	{change.ErrTooLarge, TypeTooLarge, [audiences]told{
		toVisitor: {badGateway, "the app's session data is too large"},
		toApp:     {http.StatusRequestEntityTooLarge, "the session data is too large"},
	}, 0},
	{errBadWrite, TypeBadWrite, [audiences]told{toVisitor: {badGateway, "the app's session write is malformed"}, toApp: {badRequest, "the call is malformed"}}, 0},
	{change.ErrBadWrite, TypeBadWrite, [audiences]told{
		toVisitor: {badGateway, "the app's session write does not fit the data"},
		toApp:     {badRequest, "the write does not fit the data"},
	}, 0},
	{document.ErrNoPath, TypeMisplaced, [audiences]told{toApp: {http.StatusNotFound, "there is no such place in the data"}}, 0},
	{session.ErrReadOnly, TypeReadOnly, [audiences]told{
		toVisitor: {badGateway, "the app wrote to a session that is read-only here"},
		toApp:     {http.StatusForbidden, "the session is read-only for this request"},
	}, 0},
	{change.ErrConflict, TypeConflict, [audiences]told{
		toVisitor: {conflicting, titleConflict},
		toApp:     {conflicting, titleConflict + ", or the call comes too late"},
	}, 0},
	{session.ErrReplaced, TypeGone, [audiences]told{toVisitor: {conflicting, titleEnded}, toApp: {conflicting, "the ticket of the request was replaced"}}, 0},
	{session.ErrGone, TypeGone, [audiences]told{toVisitor: {conflicting, titleEnded}, toApp: {gone, "the session has ended"}}, 0},
	{session.ErrObsolete, TypeGone, [audiences]told{toApp: {gone, "the request of this endpoint has ended"}}, 0},
	{session.ErrPrincipalLimit, TypeLimit, both(conflicting, "who signs in has too many sessions already"), 0},
	{lock.ErrLocked, TypeLocked, both(unavailable, "the session is busy with other requests"), time.Second},
	{session.ErrUnavailable, TypeUnavailable, both(unavailable, titleUnavailable), retryUnavailable},

	{store.ErrBadCursor, TypeMisplaced, [audiences]told{toOperator: {status: badRequest}}, 0},
	{store.ErrGone, TypeMisplaced, [audiences]told{toOperator: {status: http.StatusNotFound}}, 0},
	{store.ErrNotEmpty, TypeNotEmpty, [audiences]told{toOperator: {status: conflicting}}, 0},
	{store.ErrBadBackup, TypeBadBackup, [audiences]told{toOperator: {status: badRequest}}, 0},
	{store.ErrUnavailable, TypeUnavailable, [audiences]told{toOperator: {status: unavailable}}, 0},
	{store.ErrUnknown, TypeUnavailable, [audiences]told{toOperator: {status: unavailable}}, 0},
}

const (
	titleConflict    = "the session was changed by another request"
	titleEnded       = "the session ended while the request ran"
	titleUnavailable = "the session store is unavailable"
	retryUnavailable = 5 * time.Second
)

// both is an error that visitors and apps get alike.
func both(status int, title string) [audiences]told {
	return [audiences]told{toVisitor: {status, title}, toApp: {status, title}}
}

// findProblem returns the problem that an error is for an audience; nil if the
// table has none.
func findProblem(err error, to audience) *Problem {
	for _, row := range problems {
		if t := row.to[to]; t.status != 0 && errors.Is(err, row.err) {
			return &Problem{Status: t.status, Type: row.typ, Title: t.title, RetryAfter: row.retry, cause: err}
		}
	}
	return nil
}

// problemFor is findProblem, by which an error that is not in the table is a
// store failure: fail closed.
func problemFor(err error, to audience) *Problem {
	if p := findProblem(err, to); p != nil {
		return p
	}
	return &Problem{Status: unavailable, Type: TypeUnavailable, Title: titleUnavailable, RetryAfter: retryUnavailable, cause: err}
}

// newProblem finds the problem of a visitor for an error of the session or of a write.
func newProblem(err error, id string) *Problem {
	p := problemFor(err, toVisitor)
	p.SessionID = id
	return p
}

// problem finds the problem of the app for an error of its call, and counts it.
func (k *call) problem(err error) *Problem {
	p := findProblem(err, toApp)
	known := p != nil
	if !known {
		p = problemFor(err, toApp)
	}
	if known || k.r.Context().Err() == nil { // otherwise it is the caller that has gone
		k.h.metrics.refusedCall(p.Type)
	}
	return p
}

// OperatorProblem returns the document of an operator's call that failed with
// an error. A store's error holds no data of sessions, so that its text can be
// shown to every caller of the admin API.
func OperatorProblem(err error) ProblemDocument {
	d := ProblemDocument{Type: TypeMisplaced, Status: http.StatusInternalServerError, Detail: err.Error()}
	if p := findProblem(err, toOperator); p != nil {
		d.Type, d.Status = p.Type, p.Status
	}
	d.Title = http.StatusText(d.Status)
	return d
}

// Errors of calls that no write header has.
var (
	errMediaType    = errors.New("the body is of no kind that the call takes")
	errPrecondition = errors.New("the condition of the call does not hold")
)

// malformed marks what a caller sent as unreadable.
func malformed(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.Is(err, document.ErrTooLarge) || errors.As(err, &tooLarge) {
		return fmt.Errorf("%w: %w", change.ErrTooLarge, err)
	}
	return fmt.Errorf("%w: %w", errBadWrite, err)
}
