package adminapi

import (
	"net/http"
)

// HealthView says whether the store serves, for a probe that asks often.
type HealthView struct {
	Writable bool   `json:"writable"`
	Reason   string `json:"reason,omitempty"` // why not, and what to do
}

// showHealth answers 200, or 503 while the store refuses writes. It asks the
// store for nothing that takes time.
func showHealth(c *adminCall) error {
	if _, err := c.query(); err != nil {
		return err
	}
	view := HealthView{Writable: true}
	if reporter := c.node.Features.Reporter; reporter != nil {
		if h := reporter.Stats().Health; h != nil {
			view = HealthView{h.Writable, h.Reason}
		}
	}
	if !view.Writable {
		c.w.Header().Set("Content-Type", "application/json")
		c.w.WriteHeader(http.StatusServiceUnavailable)
	}
	return c.answer(view)
}
