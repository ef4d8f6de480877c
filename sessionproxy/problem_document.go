package sessionproxy

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// ProblemDocument is the body of a problem (RFC 9457), as browsers, apps and
// operators get it. Its members are the ones that a reader of it decodes.
type ProblemDocument struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Session is the id of the session; it is no credential.
	Session string `json:"session,omitempty"`
	// Ended is how many sessions an operator's call ended before it failed.
	Ended int `json:"ended,omitempty"`
}

// Write answers with the document. It is never to be cached.
func (d ProblemDocument) Write(w http.ResponseWriter, r *http.Request) error {
	body, err := json.Marshal(d)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(d.Status)
	if r.Method == http.MethodHead {
		return nil
	}
	_, err = w.Write(body)
	return err
}
