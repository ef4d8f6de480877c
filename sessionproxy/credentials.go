package sessionproxy

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
	"github.com/sessionproxy/sessionproxy/store"
)

// maxTickets is how many values are looked at: more than fit into
// a request of ordinary size, so that planted ones drown no genuine one.
const maxTickets = 256

// maxCarriers is how many carriers a carrierSet can tell apart.
const maxCarriers = 8

// carrierSet is a set of a handler's carriers, by their places.
type carrierSet uint8

func (s carrierSet) has(i int) bool { return s&(1<<i) != 0 }

// first returns the set of its first carrier.
func (s carrierSet) first() carrierSet { return s & -s }

// presented is what a request bears of tickets.
type presented struct {
	creds []session.Credential // of the genuine ones
	by    []carrierSet         // the carriers of each; nil if the handler has one carrier
	any   carrierSet           // the carriers of anything, good or bad
}

// extract takes all tickets out of the request, and returns what it presents. The
// store is not asked.
func (h *Handler) extract(r *http.Request, secure bool) (presented, error) {
	p, err := h.verify(r.Header, secure, h.scope(r))
	stripNames(r, h.names)
	ticket.StripTickets(r.Header, h.keys())
	return p, err
}

// verify verifies what the carriers find. A cookie is taken out by its carrier.
func (h *Handler) verify(header http.Header, secure bool, scope string) (p presented, err error) {
	var ring *ticket.Ring
	looked := 0
	for i, c := range h.Carriers {
		values := c.Extract(header, secure, h.names)
		if len(values) == 0 {
			continue
		}
		if looked += len(values); looked > maxTickets {
			h.metrics.ambiguous.Inc()
			return presented{any: p.any | 1<<i}, nil
		}
		if ring == nil {
			if ring, err = h.ring(); err != nil {
				return p, err
			}
		}
		for _, v := range values {
			if !c.Claims(ring, v) {
				if v == "" { // a wish to get one
					p.any |= 1 << i
				}
				continue
			}
			p.any |= 1 << i
			t, err := ring.Verify(scope, v)
			switch {
			case errors.Is(err, ticket.ErrForged):
				h.metrics.forged.Inc()
			case err != nil:
				h.metrics.malformed.Inc()
			default:
				p.add(credential(h.Manager.ID(), t), i, len(h.Carriers))
			}
		}
	}
	if len(p.creds) > 1 {
		h.metrics.ambiguous.Inc()
	}
	return p, nil
}

// scope is what a request's tickets are signed for: the manager, and the host
// if tickets are bound to it. The host counts as cookies count it: without
// port, in lower case. No manager's name has a slash.
func (h *Handler) scope(r *http.Request) string {
	if !h.BindHost {
		return h.Manager.ID()
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if name, ok := strings.CutPrefix(host, "["); ok { // an IPv6 address without port
		host = strings.TrimSuffix(name, "]")
	}
	return h.Manager.ID() + "/" + strings.TrimSuffix(strings.ToLower(host), ".")
}

// add notes a genuine ticket and the place of its carrier, of so many. One
// that several carriers bear is one ticket.
func (p *presented) add(c session.Credential, place, carriers int) {
	if carriers == 1 {
		p.creds = append(p.creds, c)
		return
	}
	at := slices.Index(p.creds, c)
	if at < 0 {
		at = len(p.creds)
		p.creds, p.by = append(p.creds, c), append(p.by, 0)
	}
	p.by[at] |= 1 << place
}

// answer returns the carriers by which a new ticket of the session that was
// opened goes back: those that bore its ticket. If none did, the first that
// bore a genuine one, or anything; or else the first of all. No other may: it
// could show a script what a cookie hides from it.
func (p *presented) answer(id store.ID) (s carrierSet) {
	for i, by := range p.by {
		if p.creds[i].ID == id {
			s |= by
		}
	}
	switch {
	case s != 0:
		return s
	case len(p.by) > 0:
		return p.by[0].first()
	case p.any != 0:
		return p.any.first()
	}
	return 1
}

// stripNames removes what travels under the names of the manager's tickets,
// good or bad, and their headers among the tokens of Connection.
func stripNames(r *http.Request, names ticket.Names) {
	ticket.Strip(r.Header, names)
	ticket.StripHeaders(r.Header, names)
	if lines := r.Header["Connection"]; len(lines) > 0 {
		stripTokens(r.Header, "Connection", lines, names.HasHeader)
	}
}

// keys returns the ring for what removes tickets, whatever the names under
// which they travel and the managers that they belong to. Without keys it is
// nil: then what looks like a ticket is one.
func (h *Handler) keys() *ticket.Ring {
	ring, err := h.Ring()
	if err != nil {
		return nil
	}
	return ring
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

// CredentialSource returns the source of new credentials for the manager of that id: a
// random number, and the session id that follows from it.
func CredentialSource(manager string) func() session.Credential {
	return func() session.Credential { return credential(manager, ticket.New()) }
}
