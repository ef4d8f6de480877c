package storetest

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/sessionproxy/sessionproxy/store"
)

// checkAbilities compares what only some stores can show.
func (m *machine) checkAbilities(rt *rapid.T) {
	if _, ok := store.As[store.Observable](m.real); ok {
		m.mu.Lock()
		for _, ended := range [][]store.Ended{m.ended, m.realEnded} {
			slices.SortFunc(ended, func(a, b store.Ended) int {
				return cmp.Or(cmp.Compare(a.Key.Manager, b.Key.Manager), bytes.Compare(a.Key.ID[:], b.Key.ID[:]), cmp.Compare(a.Reason, b.Reason))
			})
		}
		if !slices.Equal(m.ended, m.realEnded) {
			rt.Fatalf("the model told of %v, the store of %v", m.ended, m.realEnded)
		}
		m.ended, m.realEnded = nil, nil
		m.mu.Unlock()
	}
	if p, ok := store.As[store.Pager](m.real); ok {
		m.checkPages(rt, p)
	}
	if c, ok := store.As[store.Counter](m.real); ok {
		if want, got := m.counts(rt, m.model), m.counts(rt, c); !maps.Equal(want, got) {
			rt.Fatalf("the model counts %v, the store %v", want, got)
		}
	}
	if m.listeners != nil {
		m.dead(rt)
		for _, l := range m.listeners {
			m.mail(rt, func(o store.Outbox) ([]store.Delivery, time.Time, error) { return o.Deliveries(m.t.Context(), l, 1000) })
		}
	}
}

func (m *machine) checkPages(rt *rapid.T, p store.Pager) {
	for _, q := range []store.Query{{Order: store.ByCreated}, {Order: store.ByExpires}, {Order: store.ByCreated, Principal: "alice"}, {Order: store.ByExpires, Principal: "bob"}} {
		for _, q.Manager = range m.managers {
			q.Limit = 100
			want, err1 := m.model.Page(m.t.Context(), q)
			got, err2 := p.Page(m.t.Context(), q)
			if err1 != nil || err2 != nil || got.Next != "" || !slices.EqualFunc(want.Sessions, got.Sessions, func(a, b store.Info) bool {
				return a.ID == b.ID && a.Principal == b.Principal && a.Version == b.Version && a.Expires.UnixMilli() == b.Expires.UnixMilli()
			}) {
				rt.Fatalf("%+v: the model lists %v, %v; the store %v, %v", q, want, err1, got, err2)
			}
		}
	}
}

// counts are those of this run that are not zero.
func (m *machine) counts(rt *rapid.T, c store.Counter) map[string]int64 {
	all, err := c.Counts(m.t.Context())
	if err != nil {
		rt.Fatal(err)
	}
	counts := make(map[string]int64)
	for _, c := range all {
		if c.Sessions != 0 && slices.Contains(m.managers, c.Manager) {
			counts[c.Manager] = c.Sessions
		}
	}
	return counts
}
