package adminapi

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/sessionproxy/lock"
	"github.com/sessionproxy/sessionproxy/store"
)

// LockView is one lock as operators see it.
type LockView struct {
	Manager string  `json:"manager"`
	Session string  `json:"session"`
	Method  string  `json:"method"`
	Path    string  `json:"path"`
	Age     float64 `json:"age_seconds"`
	Waiting int     `json:"waiting"`
}

// listLocks shows those of every open store: a request of a configuration that
// is gone may hold one.
func listLocks(w http.ResponseWriter, r *http.Request) error {
	if r.URL.RawQuery != "" {
		return badRequest("there are no parameters here")
	}
	var held []lock.Lock
	for _, db := range runtime.OpenStores() {
		held = append(held, db.Node.Locks.All()...)
	}
	slices.SortFunc(held, func(a, b lock.Lock) int { return a.Since.Compare(b.Since) })
	views := make([]LockView, 0, len(held))
	for _, l := range held {
		views = append(views, LockView{
			Manager: l.Key.Manager, Session: l.Key.ID.String(), Method: l.Holder.Method, Path: l.Holder.Path,
			Age: time.Since(l.Since).Round(time.Millisecond).Seconds(), Waiting: l.Waiting,
		})
	}
	return answerJSON(w, map[string]any{"locks": views})
}

// StatsView is what the active configuration's store, managers and listeners
// count. Counters begin at the start of the process; what the store cannot
// tell is absent.
type StatsView struct {
	Store     *storeStats    `json:"store,omitempty"`
	Managers  []ManagerStats `json:"managers"`
	Streams   int            `json:"streams"` // open WebSockets and event streams with a session
	Locks     lockStats      `json:"locks"`
	Listeners []BacklogView  `json:"listeners"`
}

type storeStats struct {
	store.Stats
	SweptThrough *int64 `json:"swept_through,omitempty"`
}

// ManagerStats is what one manager has, and what it has counted.
type ManagerStats struct {
	ManagerView
	Opened   int64 `json:"opened"`          // sessions, for a request each
	Commits  int64 `json:"commits"`         // that changed something
	Problems int64 `json:"problems"`        // responses replaced by a problem document
	Removed  int64 `json:"removed_headers"` // of requests that pretended to have a session
	Forged   int64 `json:"forged_tickets"`  // signed by no key of this proxy, or for another manager
	// UnknownCookies names cookies that browsers send, that the manager's app
	// never set, and that no `pass` names: they do not reach the app.
	UnknownCookies []string `json:"unknown_cookies,omitempty"`
}

type lockStats struct {
	Held    int `json:"held"`
	Waiting int `json:"waiting"` // requests in queues
}

// BacklogView is what waits for one listener.
type BacklogView struct {
	Name       string `json:"name"`
	Waiting    int    `json:"waiting"`
	Dead       int    `json:"dead"`
	Oldest     *int64 `json:"oldest,omitempty"`
	Overflowed int64  `json:"overflowed,omitempty"` // were dead at once
	Configured bool   `json:"configured"`           // else its events stay
}

func showStats(c *adminCall) error {
	if _, err := c.query(); err != nil {
		return err
	}
	managers, err := c.managerViews()
	if err != nil {
		return err
	}
	totals := runtime.Metrics().Totals()
	view := StatsView{Managers: make([]ManagerStats, 0, len(managers)), Listeners: []BacklogView{}, Streams: c.node.Streams.Len()}
	for _, m := range managers {
		n := totals[m.ID]
		view.Managers = append(view.Managers, ManagerStats{
			ManagerView: m, Opened: n.Opened, Commits: n.Commits, Problems: n.Problems, Removed: n.Removed, Forged: n.Forged,
			UnknownCookies: c.managers.UnknownCookies(m.ID),
		})
	}
	if reporter := c.node.Features.Reporter; reporter != nil {
		stats := reporter.Stats()
		view.Store = &storeStats{Stats: stats, SweptThrough: unixSeconds(stats.SweptThrough)}
	}
	for _, l := range c.node.Locks.All() {
		view.Locks.Held++
		view.Locks.Waiting += l.Waiting
	}
	if outbox := c.node.Features.Outbox; outbox != nil {
		backlog, err := outbox.Backlog(c.r.Context())
		if err != nil {
			return err
		}
		configured := c.node.Subscriptions.All()
		for _, b := range backlog {
			_, ok := configured[b.Listener]
			view.Listeners = append(view.Listeners, BacklogView{
				Name: b.Listener, Waiting: b.Waiting, Dead: b.Dead, Oldest: unixSeconds(b.Oldest), Overflowed: b.Overflowed, Configured: ok,
			})
		}
		slices.SortFunc(view.Listeners, func(a, b BacklogView) int { return cmp.Compare(a.Name, b.Name) })
	}
	return c.answer(view)
}
