package sessionproxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/sessionproxy/lock"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// TestProblemsByAudience finds each error for each audience. A status of zero
// is one that the audience cannot get.
func TestProblemsByAudience(t *testing.T) {
	for _, c := range []struct {
		err                    error
		visitor, app, operator int
		typ                    string
	}{
		{errBadWrite, 502, 400, 0, TypeBadWrite},
		{change.ErrBadWrite, 502, 400, 0, TypeBadWrite},
		{change.ErrTooLarge, 502, 413, 0, TypeTooLarge},
		{session.ErrReadOnly, 502, 403, 0, TypeReadOnly},
		{change.ErrConflict, 409, 409, 0, TypeConflict},
		{fmt.Errorf("%w: %w", change.ErrConflict, change.ErrIfVersion), 409, 412, 0, TypeConflict},
		{fmt.Errorf("%w: %w", change.ErrConflict, change.ErrTooMuchRework), 409, 409, 0, TypeConflict},
		{session.ErrGone, 409, 410, 0, TypeGone},
		{session.ErrReplaced, 409, 409, 0, TypeGone},
		{session.ErrPrincipalLimit, 409, 409, 0, TypeLimit},
		{lock.ErrLocked, 503, 503, 0, TypeLocked},
		{session.ErrUnavailable, 503, 503, 0, TypeUnavailable},
		{session.ErrObsolete, 0, 410, 0, TypeGone},
		{errPrecondition, 0, 412, 0, TypeConflict},
		{errMediaType, 0, 415, 0, TypeMisplaced},
		{document.ErrNoPath, 0, 404, 0, TypeMisplaced},
		{store.ErrBadCursor, 0, 0, 400, TypeMisplaced},
		{store.ErrGone, 0, 0, 404, TypeMisplaced},
		{store.ErrNotEmpty, 0, 0, 409, TypeNotEmpty},
		{store.ErrBadBackup, 0, 0, 400, TypeBadBackup},
		{store.ErrUnavailable, 0, 0, 503, TypeUnavailable},
		{store.ErrUnknown, 0, 0, 503, TypeUnavailable},
	} {
		for to, want := range [audiences]int{toVisitor: c.visitor, toApp: c.app, toOperator: c.operator} {
			p := findProblem(fmt.Errorf("doing: %w", c.err), audience(to))
			switch {
			case want == 0 && p != nil:
				t.Errorf("%v is %d for audience %d", c.err, p.Status, to)
			case want != 0 && (p == nil || p.Status != want || p.Type != c.typ || p.Title == "" && audience(to) != toOperator):
				t.Errorf("%v is %+v for audience %d, not %d %s", c.err, p, to, want, c.typ)
			}
		}
	}
}

// TestUnknownErrorsFailClosed shows errors that the table does not have.
func TestUnknownErrorsFailClosed(t *testing.T) {
	strange := errors.New("strange")
	for _, to := range []audience{toVisitor, toApp} {
		if p := problemFor(strange, to); p.Status != http.StatusServiceUnavailable || p.Type != TypeUnavailable || p.RetryAfter == 0 || !errors.Is(p, strange) {
			t.Errorf("audience %d gets %+v", to, p)
		}
	}
	if d := OperatorProblem(strange); d.Status != http.StatusInternalServerError || d.Type != TypeMisplaced || d.Detail != "strange" || d.Title == "" {
		t.Errorf("operators get %+v", d)
	}
}

// TestFailedCallsAreCounted, but for a failure after which the caller has gone:
// it is its own.
func TestFailedCallsAreCounted(t *testing.T) {
	gone, leave := context.WithCancel(t.Context())
	leave()
	for _, tc := range []struct {
		name string
		ctx  context.Context
		err  error
		want string
	}{
		{"a failure", t.Context(), errors.New("strange"), TypeUnavailable},
		{"a failure of a caller that has gone", gone, errors.New("strange"), ""},
		{"a conflict", t.Context(), change.ErrConflict, TypeConflict},
		{"a conflict of a caller that has gone", gone, change.ErrConflict, TypeConflict},
	} {
		var counted string
		h := &Handler{metrics: &managerMetrics{refusedCall: func(typ string) { counted = typ }}}
		k := &call{capability: &capability{h: h}, r: httptest.NewRequestWithContext(tc.ctx, http.MethodGet, "/", nil)}
		if _ = k.problem(tc.err); counted != tc.want {
			t.Errorf("%s is counted as %q, want %q", tc.name, counted, tc.want)
		}
	}
}
