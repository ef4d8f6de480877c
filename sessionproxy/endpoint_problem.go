package sessionproxy

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

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

// callProblems says how an app is told of an error of its own call: it is the
// client here, so the statuses are other ones than for its browser.
var callProblems = []struct {
	err    error
	status int
	typ    string
	title  string
}{
	{errPrecondition, http.StatusPreconditionFailed, TypeConflict, "the session's data is not what the call demands"},
	{change.ErrIfVersion, http.StatusPreconditionFailed, TypeConflict, "the session's data is not what the call demands"},
	{errMediaType, http.StatusUnsupportedMediaType, TypeMisplaced, "the call does not take a body of that kind"},
	{change.ErrTooLarge, http.StatusRequestEntityTooLarge, TypeTooLarge, "the session data is too large"},
	{errBadWrite, http.StatusBadRequest, TypeBadWrite, "the call is malformed"},
	{change.ErrBadWrite, http.StatusBadRequest, TypeBadWrite, "the write does not fit the data"},
	{document.ErrNoPath, http.StatusNotFound, TypeMisplaced, "there is no such place in the data"},
	{session.ErrReadOnly, http.StatusForbidden, TypeReadOnly, "the session is read-only for this request"},
	{change.ErrConflict, http.StatusConflict, TypeConflict, "the session was changed by another request, or the call comes too late"},
	{session.ErrReplaced, http.StatusConflict, TypeGone, "the ticket of the request was replaced"},
	{session.ErrGone, http.StatusGone, TypeGone, "the session has ended"},
	{session.ErrObsolete, http.StatusGone, TypeGone, "the request of this endpoint has ended"},
}

func (k *call) problem(err error) *Problem {
	for _, p := range callProblems {
		if errors.Is(err, p.err) {
			k.h.metrics.refusedCall(p.typ)
			return &Problem{Status: p.status, Type: p.typ, Title: p.title, cause: err}
		}
	}
	p := newProblem(err, "")        // the store, a lock, or what is the same for both
	if k.r.Context().Err() == nil { // otherwise it is the caller that has gone
		k.h.metrics.refusedCall(p.Type)
	}
	return p
}
