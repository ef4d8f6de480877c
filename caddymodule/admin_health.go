package caddymodule

import (
	"net/http"

	"github.com/sessionproxy/sessionproxy/store"
)

// healthView says whether the store serves, for a probe that asks often.
type healthView struct {
	Writable bool   `json:"writable"`
	Reason   string `json:"reason,omitempty"` // why not, and what to do
}

// showHealth answers 200, or 503 while the store refuses writes. It asks the
// store for nothing that takes time.
func showHealth(c *adminCall) error {
	if _, err := c.query(); err != nil {
		return err
	}
	view := healthView{Writable: true}
	if reporter, ok := c.store.(store.Reporter); ok {
		if h := reporter.Stats().Health; h != nil {
			view = healthView{h.Writable, h.Reason}
		}
	}
	if !view.Writable {
		c.w.Header().Set("Content-Type", "application/json")
		c.w.WriteHeader(http.StatusServiceUnavailable)
	}
	return c.answer(view)
}
