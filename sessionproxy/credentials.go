package sessionproxy

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
	"github.com/sessionproxy/sessionproxy/store"
)

// maxTickets is how many cookies of one name are looked at: more than fit into
// a request of ordinary size, so that whoever plants some drowns no genuine one.
const maxTickets = 256

// credentials takes all tickets out of the request's cookies. It returns the
// credentials of the genuine ones of this manager, and whether any cookie of
// its name was presented at all. The store is not asked.
func (h *Handler) credentials(r *http.Request, secure bool) (creds []session.Credential, presented bool, err error) {
	name := h.clearName
	if secure {
		name = h.secureName
	}
	var few [1]string
	values := ticket.Take(few[:0], r.Header, name, h.Names())
	if len(values) == 0 {
		return nil, false, nil
	}
	if len(values) > maxTickets {
		h.metrics.ambiguous.Inc()
		return nil, true, nil
	}
	ring, err := h.ring()
	if err != nil {
		return nil, true, err
	}
	scope := h.Manager.ID()
	for _, v := range values {
		t, err := ring.Verify(scope, v)
		switch {
		case errors.Is(err, ticket.ErrForged):
			h.metrics.forged.Inc()
		case err != nil:
			h.metrics.malformed.Inc()
		default:
			creds = append(creds, credential(scope, t))
		}
	}
	if len(creds) > 1 {
		h.metrics.ambiguous.Inc()
	}
	return creds, true, nil
}

func (h *Handler) ring() (*ticket.Ring, error) {
	ring, err := h.Ring()
	if err != nil {
		return nil, fmt.Errorf("loading ticket keys: %w: %w", session.ErrUnavailable, err)
	}
	return ring, nil
}

func credential(scope string, t ticket.Ticket) session.Credential {
	return session.Credential{ID: store.ID(t.ID(scope)), Number: t.Number, Nonce: t.Nonce}
}

// Mint returns the source of new credentials for the manager of that id: a
// random number, and the session id that follows from it.
func Mint(manager string) func() session.Credential {
	return func() session.Credential { return credential(manager, ticket.New()) }
}
