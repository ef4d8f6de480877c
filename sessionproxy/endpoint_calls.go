package sessionproxy

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// call is one call of an app on its request's endpoint.
type call struct {
	*capability
	w    http.ResponseWriter
	r    *http.Request
	at   document.Pointer // below /data
	root bool             // all of the data
}

// resource is what can be called: a function for each method.
type resource map[string]func(*call) error

var (
	dataResource = resource{
		http.MethodGet: (*call).getData, http.MethodPut: (*call).putData,
		http.MethodPatch: (*call).patchData, http.MethodDelete: (*call).deleteData,
	}
	resources = map[string]resource{
		"":           {http.MethodGet: (*call).getMeta, http.MethodDelete: (*call).destroy},
		"data":       dataResource,
		"add":        {http.MethodPost: (*call).add},
		"commit":     {http.MethodPost: (*call).commit},
		"rollback":   {http.MethodPost: (*call).rollback},
		"touch":      {http.MethodPost: verb(change.Changes{Touch: true})},
		"regenerate": {http.MethodPost: verb(change.Changes{Regenerate: true})},
		"refresh":    {http.MethodPost: (*call).refresh},
		"principal":  {http.MethodPut: (*call).principal},
		"timeout":    {http.MethodPut: (*call).timeout},
	}
)

// methods lists what a resource answers, for Allow.
func (m resource) methods() string {
	all := []string{http.MethodOptions}
	for method := range m {
		if all = append(all, method); method == http.MethodGet {
			all = append(all, http.MethodHead)
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// call answers one call. rest is the path behind the capability.
func (c *capability) call(w http.ResponseWriter, r *http.Request, rest string) *Problem {
	k := &call{capability: c, w: w, r: r}
	name, path, deeper := strings.Cut(rest, "/")
	methods, ok := resources[name]
	if !ok || deeper && name != "data" {
		return callProblem(http.StatusNotFound, "there is no such call")
	}
	if name == "data" {
		k.root = !deeper
		if err := k.locate(path, deeper); err != nil {
			return k.problem(err)
		}
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet // net/http leaves out the body
	}
	do, ok := methods[method]
	if !ok {
		w.Header().Set("Allow", methods.methods())
		if method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		return callProblem(http.StatusMethodNotAllowed, "the call has no such method")
	}
	if err := do(k); err != nil {
		return k.problem(err)
	}
	return nil
}

// getMeta answers what the commit would make of the session's metadata. A
// session that is to be destroyed is still there: it may be rolled back.
func (k *call) getMeta() error {
	var meta map[string]json.RawMessage
	var tag string
	err := k.x.do(k.r.Context(), false, func(s *session.Session) error {
		_, tag = s.Staged()
		staged, destroyed := s.StagedMeta()
		if err := json.Unmarshal([]byte(metaValue(staged)), &meta); err != nil {
			return err
		}
		if destroyed {
			meta["destroyed"] = json.RawMessage("true")
		}
		meta["id"] = document.AppendString(nil, s.ID().String())
		meta["state"] = document.AppendString(nil, string(s.State()))
		return nil
	})
	if err != nil {
		return err
	}
	text, err := json.Marshal(meta)
	if err != nil {
		return err
	}
	return k.reply(text, tag)
}

func (k *call) add() error {
	additions, err := parse(k, document.ParseIncrements)
	if err != nil {
		return err
	}
	data, tag, err := k.stage(change.Changes{Ops: []change.Op{change.Add(additions)}})
	if err != nil {
		return err
	}
	return k.reply(additions.Of(data), tag)
}

func (k *call) commit() error {
	if err := k.x.do(k.r.Context(), false, k.allowed); err != nil {
		return err
	}
	k.extendDeadlines()
	if err := k.x.commitEarly(k.r.Context()); err != nil {
		return err
	}
	return k.done()
}

func (k *call) rollback() error {
	if err := k.x.do(k.r.Context(), false, func(s *session.Session) error {
		if err := k.allowed(s); err != nil {
			return err
		}
		s.Unstage()
		return nil
	}); err != nil {
		return err
	}
	return k.done()
}

func (k *call) refresh() error {
	err := k.x.do(k.r.Context(), false, func(s *session.Session) error { return s.Refresh(k.r.Context()) })
	if err != nil {
		return err
	}
	return k.done()
}

// verb is a call without a body.
func verb(c change.Changes) func(*call) error {
	return func(k *call) error {
		if _, _, err := k.stage(c); err != nil {
			return err
		}
		return k.done()
	}
}

func (k *call) destroy() error { return verb(change.Changes{Destroy: true})(k) }

func (k *call) principal() error { return k.member(readPrincipal) }
func (k *call) timeout() error   { return k.member(readTimeout) }

// member stages what a header of that name would.
func (k *call) member(read func(*change.Changes, [][]byte, int) error) error {
	value, err := k.json(document.ParseValue)
	if err != nil {
		return err
	}
	var c change.Changes
	if err := read(&c, [][]byte{value}, len(value)); err != nil {
		return malformed(err)
	}
	return verb(c)(k)
}

// stage adds changes if the conditions of the call hold.
func (k *call) stage(c change.Changes) (data []byte, tag string, err error) {
	k.extendDeadlines()
	conditional := k.r.Header["If-Match"] != nil || k.r.Header["If-None-Match"] != nil
	return k.x.stage(k.r.Context(), c, conditional, k.allowed)
}

// allowed evaluates the conditions of the call.
func (k *call) allowed(s *session.Session) error {
	data, tag := s.Staged()
	_, there := document.At(data, k.at)
	if k.root && s.State() != session.Active {
		there = len(data) > len("{}")
	}
	return preconditions(k.r.Header, tag, there)
}

// done answers a call that has no value to show.
func (k *call) done() error {
	k.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (k *call) reply(value []byte, tag string) error {
	k.w.Header().Set("Content-Type", "application/json")
	k.w.Header().Set("ETag", quoted(tag))
	_, _ = k.w.Write(value) // the caller may have left
	return nil
}

// bodyRoom is how much longer than its compact form a JSON text may be.
const bodyRoom = 4

// json reads the body as JSON.
func (k *call) json(read func([]byte, int) ([]byte, error)) ([]byte, error) { return parse(k, read) }

func parse[T any](k *call, read func(src []byte, maxSize int) (T, error)) (value T, err error) {
	if k.r.Header.Get("Content-Encoding") != "" {
		return value, errMediaType
	}
	maxSize := k.h.Manager.Policy().MaxSize
	body, err := io.ReadAll(http.MaxBytesReader(k.w, k.r.Body, int64(maxSize)*bodyRoom))
	if err != nil {
		return value, malformed(err)
	}
	if value, err = read(body, maxSize); err != nil {
		return value, malformed(err)
	}
	return value, nil
}
