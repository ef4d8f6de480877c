package caddymodule

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
)

// metrics are the same collectors in every configuration: Caddy makes a new
// registry at each reload, and collectors that were made anew would begin at
// zero.
var metrics = sessionproxy.NewMetrics()

// collectors are all that a configuration registers.
var collectors = append(metrics.Collectors(), newGauges(), droppedEvents, droppedRecords)

// registerMetrics makes the counters visible in a configuration's registry.
func registerMetrics(registry prometheus.Registerer) error {
	for _, c := range collectors {
		err := registry.Register(c)
		if already := (prometheus.AlreadyRegisteredError{}); err != nil && !errors.As(err, &already) {
			return fmt.Errorf("registering session metrics: %w", err)
		}
	}
	return nil
}
