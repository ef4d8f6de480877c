package runtime

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
)

// Metrics returns those of all session handlers of the process.
func Metrics() *sessionproxy.Metrics { return process.metrics }

// Collectors returns all that a configuration registers.
func Collectors() []prometheus.Collector {
	p := process
	return append(p.metrics.Collectors(), p.collector, p.droppedEvents, p.droppedRecords)
}

// RegisterMetrics makes the counters visible in a configuration's registry.
func RegisterMetrics(registry prometheus.Registerer) error {
	for _, c := range Collectors() {
		err := registry.Register(c)
		if already := (prometheus.AlreadyRegisteredError{}); err != nil && !errors.As(err, &already) {
			return fmt.Errorf("registering session metrics: %w", err)
		}
	}
	return nil
}
