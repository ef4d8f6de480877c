package adminapi

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// ManagerView is a manager as operators see it.
type ManagerView struct {
	ID string `json:"id"`
	// Sessions counts those that have expired and are not swept yet, too;
	// absent if the store does not count.
	Sessions *int64 `json:"sessions,omitempty"`
	// Configured says that the active configuration has the manager; others
	// have left sessions behind.
	Configured bool `json:"configured"`
}

// counts returns the managers that the store knows; none if it does not count.
func (c *adminCall) counts() ([]store.Count, error) {
	counter := c.node.Features.Counter
	if counter == nil {
		return nil, nil
	}
	return counter.Counts(c.r.Context())
}

// managerViews returns the managers of configuration and store, by name.
func (c *adminCall) managerViews() ([]ManagerView, error) {
	counts, err := c.counts()
	if err != nil {
		return nil, err
	}
	views := make([]ManagerView, 0, len(counts))
	for _, n := range counts {
		views = append(views, ManagerView{ID: n.Manager, Sessions: &n.Sessions, Configured: c.managers.Has(n.Manager)})
	}
	for _, id := range c.managers.Ids() {
		if slices.ContainsFunc(views, func(v ManagerView) bool { return v.ID == id }) {
			continue
		}
		v := ManagerView{ID: id, Configured: true}
		if c.node.Features.Counter != nil {
			v.Sessions = new(int64)
		}
		views = append(views, v)
	}
	slices.SortFunc(views, func(a, b ManagerView) int { return cmp.Compare(a.ID, b.ID) })
	return views, nil
}

func listManagers(c *adminCall) error {
	if _, err := require(c.node.Features.Counter); err != nil {
		return err
	}
	if _, err := c.query(); err != nil {
		return err
	}
	views, err := c.managerViews()
	if err != nil {
		return err
	}
	return c.answer(map[string]any{"managers": views})
}

// SessionView is a session as operators see it.
type SessionView struct {
	ID        string          `json:"id"`
	Created   *int64          `json:"created,omitempty"`
	Accessed  *int64          `json:"accessed,omitempty"`
	Written   *int64          `json:"written,omitempty"`
	Expires   *int64          `json:"expires,omitempty"`
	Principal string          `json:"principal,omitempty"`
	Size      int             `json:"size"`
	Version   string          `json:"version"`
	Data      json.RawMessage `json:"data,omitempty"`
	// Cookies are those that the proxy keeps for the app; CookiesError says why
	// they cannot be told. Of a listing there are none.
	Cookies      []CookieView `json:"cookies,omitempty"`
	CookiesError string       `json:"cookies_error,omitempty"`
}

func viewOf(i store.Info) SessionView {
	return SessionView{
		ID: i.ID.String(), Created: unixSeconds(i.Created), Accessed: unixSeconds(i.Accessed), Written: unixSeconds(i.Written),
		Expires: unixSeconds(i.Expires), Principal: i.Principal, Size: i.Size, Version: i.Version.String(),
	}
}

func listSessions(c *adminCall) error {
	pager, err := require(c.node.Features.Pager)
	if err != nil {
		return err
	}
	q, err := c.query("principal", "order", "limit", "cursor")
	if err != nil {
		return err
	}
	want := store.Query{Order: store.ByCreated}
	switch order := store.Order(q.Get("order")); {
	case order == store.ByCreated, order == store.ByExpires:
		want.Order = order
	case q.Has("order"):
		return badRequest("order is %s or %s", store.ByCreated, store.ByExpires)
	}
	if want.Limit, want.Cursor, err = pageParams(q); err != nil {
		return err
	}
	who, err := c.selection(q)
	if err != nil {
		return err
	}
	if who.except != nil {
		return badRequest("except belongs to DELETE")
	}
	want.Principal = who.principal
	if want.Manager, err = c.manager(); err != nil {
		return err
	}
	page, err := pager.Page(c.r.Context(), want)
	if err != nil {
		return err
	}
	views := make([]SessionView, 0, len(page.Sessions))
	for _, info := range page.Sessions {
		views = append(views, viewOf(info))
	}
	return c.answer(struct {
		Sessions []SessionView `json:"sessions"`
		Next     string        `json:"next,omitempty"`
	}{views, page.Next})
}

func showSession(c *adminCall) error {
	q, err := c.query("data")
	if err != nil {
		return err
	}
	data, err := boolParam(q, "data")
	if err != nil {
		return err
	}
	if data && !c.showData {
		p := problemOf(http.StatusForbidden, "the data of sessions is not shown; the option `admin_data on` of `sessions` allows it")
		p.Type = sessionproxy.TypeDataOff
		return p
	}
	key, err := c.key()
	if err != nil {
		return err
	}
	record, err := c.store.Load(c.r.Context(), key)
	switch {
	case errors.Is(err, store.ErrGone):
		return noSession()
	case err != nil:
		return err
	}
	view := viewOf(record.Info(key.ID))
	if data {
		view.Data = record.Data
	}
	view.describeCookies(record.Cookies)
	return c.answer(view)
}

// EndResult says how many sessions a call has ended.
type EndResult struct {
	Ended int `json:"ended"`
}

func (c *adminCall) operator() session.Operator {
	return session.Operator{Store: c.store, Node: c.node}
}

func endSession(c *adminCall) error {
	if _, err := c.query(); err != nil {
		return err
	}
	key, err := c.key()
	if err != nil {
		return err
	}
	ended, err := c.operator().Revoke(c.r.Context(), key)
	switch {
	case err != nil:
		return err
	case !ended:
		return noSession()
	}
	return c.answer(EndResult{1})
}

// endSessions ends many: those of a principal, or all. It has to be said which.
func endSessions(c *adminCall) error {
	if _, err := require(c.node.Features.Pager); err != nil {
		return err
	}
	q, err := c.query("principal", "except", "all")
	if err != nil {
		return err
	}
	all, err := boolParam(q, "all")
	if err != nil {
		return err
	}
	who, err := c.selection(q)
	if err != nil {
		return err
	}
	if all == (who.principal != "") {
		return badRequest("say whose sessions end: one principal's, or all=true")
	}
	manager, err := c.manager()
	if err != nil {
		return err
	}
	var n int
	if all {
		n, err = c.operator().Purge(c.r.Context(), manager)
	} else {
		n, err = c.operator().RevokePrincipal(c.r.Context(), manager, who.principal, who.except)
	}
	if err != nil {
		p := *problemFor(err)
		p.Ended = n
		return &p
	}
	return c.answer(EndResult{n})
}
