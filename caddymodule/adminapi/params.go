package adminapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// Bounds of what a call asks for.
const (
	DefaultLimit = 100  // entries of a page, if a call does not say
	MaxLimit     = 1000 // entries of a page at most
	maxCursor    = 1 << 10
	maxSelection = 4 << 10 // of a body that names a principal
)

// NoSuchManager tells that no manager of that name is configured, nor has left sessions.
const NoSuchManager = "there is no such manager"

func badRequest(format string, args ...any) *adminProblem {
	return problemOf(http.StatusBadRequest, fmt.Sprintf(format, args...))
}

// query reads the parameters of a request. One that is unknown, or given
// twice, is refused: an `except` that is misspelt must not be ignored.
func (c *adminCall) query(allowed ...string) (url.Values, error) {
	q, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("the query is malformed")
	}
	for name, values := range q {
		if !slices.Contains(allowed, name) {
			return nil, badRequest("there is no parameter %.40q; there is: %s", name, strings.Join(allowed, ", "))
		}
		if len(values) != 1 {
			return nil, badRequest("the parameter %s is given twice", name)
		}
	}
	return q, nil
}

// boolParam reads a parameter that is true or false, or absent.
func boolParam(q url.Values, name string) (bool, error) {
	switch q.Get(name) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	if q.Has(name) {
		return false, badRequest("%s is true or false", name)
	}
	return false, nil
}

// pageParams reads limit and cursor.
func pageParams(q url.Values) (limit int, cursor string, err error) {
	limit = DefaultLimit
	if q.Has("limit") {
		limit, err = strconv.Atoi(q.Get("limit"))
		if err != nil || limit < 1 || limit > MaxLimit {
			return 0, "", badRequest("limit is a number from 1 to %d", MaxLimit)
		}
	}
	if cursor = q.Get("cursor"); len(cursor) > maxCursor {
		return 0, "", badRequest("the cursor is none that this API has given out")
	}
	return limit, cursor, nil
}

// selection says whose sessions are meant. Without principal it is everybody's.
type selection struct {
	principal string
	except    *store.ID
}

// selection reads principal and except, from the query or from the body.
func (c *adminCall) selection(q url.Values) (s selection, err error) {
	named, err := c.body()
	if err != nil {
		return s, err
	}
	for _, name := range []string{"principal", "except"} {
		if !q.Has(name) {
			continue
		}
		if named != nil {
			return s, badRequest("%s is in the query, and there is a body: use one of them", name)
		}
	}
	if named == nil {
		named = make(map[string]string)
		for name := range q {
			named[name] = q.Get(name)
		}
	}
	principal, ok := named["principal"]
	if ok {
		if err := store.CheckPrincipal(principal); err != nil {
			return s, badRequest("the principal %v", err)
		}
		s.principal = principal
	}
	if text, ok := named["except"]; ok {
		id, err := store.ParseID(text)
		if err != nil {
			return s, badRequest("except: %v", err)
		}
		if s.principal == "" {
			return s, badRequest("except belongs to a principal")
		}
		s.except = &id
	}
	return s, nil
}

// body reads a selection from the body; nil if there is no body.
func (c *adminCall) body() (map[string]string, error) {
	raw, err := io.ReadAll(io.LimitReader(c.r.Body, maxSelection+1))
	if err != nil {
		return nil, badRequest("the body cannot be read")
	}
	if len(raw) == 0 {
		return nil, nil
	}
	const want = `the body is {"principal":"…"}, with "except" besides`
	compact, err := document.Parse(raw, maxSelection)
	if err != nil {
		return nil, badRequest(want)
	}
	var named map[string]string
	if err := json.Unmarshal(compact, &named); err != nil {
		return nil, badRequest(want)
	}
	for name := range named {
		if name != "principal" && name != "except" {
			return nil, badRequest(want)
		}
	}
	if _, ok := named["principal"]; !ok {
		return nil, badRequest(want)
	}
	return named, nil
}

// manager reads the manager of the path: one that is configured, or that has
// left sessions behind.
func (c *adminCall) manager() (string, error) {
	id := c.r.PathValue("manager")
	if session.CheckID(id) == nil {
		if c.managers.Has(id) {
			return id, nil
		}
		counts, err := c.counts()
		if err != nil {
			return "", err
		}
		if slices.ContainsFunc(counts, func(n store.Count) bool { return n.Manager == id }) {
			return id, nil
		}
	}
	return "", problemOf(http.StatusNotFound, NoSuchManager)
}

// key reads manager and session of the path.
func (c *adminCall) key() (store.Key, error) {
	manager, err := c.manager()
	if err != nil {
		return store.Key{}, err
	}
	id, err := store.ParseID(c.r.PathValue("id"))
	if err != nil {
		return store.Key{}, noSession()
	}
	return store.Key{Manager: manager, ID: id}, nil
}

func noSession() error { return problemOf(http.StatusNotFound, "there is no such session") }
