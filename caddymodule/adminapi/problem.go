package adminapi

import (
	"errors"
	"net/http"

	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/sessionproxy"
)

// adminProblem is an error as operators get it: a problem document. It is an
// error, so that handlers return it.
type adminProblem struct{ sessionproxy.ProblemDocument }

// problemOf returns a problem without a type of its own.
func problemOf(status int, detail string) *adminProblem {
	return &adminProblem{sessionproxy.ProblemDocument{
		Type: sessionproxy.TypeMisplaced, Title: http.StatusText(status), Status: status, Detail: detail,
	}}
}

// Error implements error.
func (p *adminProblem) Error() string { return p.Detail }

// problemFor finds the problem for an error.
func problemFor(err error) *adminProblem {
	if p := (*adminProblem)(nil); errors.As(err, &p) {
		return p
	}
	return &adminProblem{sessionproxy.OperatorProblem(err)}
}

// answerProblem writes the problem document for an error. Failures of the
// server are logged, too; Caddy has logged the request.
func answerProblem(w http.ResponseWriter, r *http.Request, err error) error {
	p := problemFor(err)
	if p.Status >= http.StatusInternalServerError && p.Type != sessionproxy.TypeUnsupported && r.Context().Err() == nil {
		runtime.AdminLogger().Error("admin call failed", zap.String("path", r.Pattern), zap.Int("status", p.Status), zap.Error(err))
	}
	_ = p.Write(w, r) // an error is that of a client that has gone
	return nil
}
