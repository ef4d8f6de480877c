package runtime

import (
	"context"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
)

// process is all state that outlives a configuration: Caddy makes each module
// anew at a reload, while requests of the configuration before go on.
var process = newProcess()

type processState struct {
	// metrics are the same collectors in every configuration: Caddy makes a
	// new registry at each reload, and collectors that were made anew would
	// begin at zero.
	metrics                       *sessionproxy.Metrics
	collector                     *collector
	droppedEvents, droppedRecords prometheus.Counter

	audit *auditLog

	// stores holds every open store, with a reference for each configuration
	// that uses it: during a reload there are two.
	stores *caddy.UsagePool

	// lifetimes holds a *sync.Mutex for each pool key. It is locked from before
	// the store opens until after it has closed: the pool forgets a store before
	// closing it, so that the next one of that key would meet it half open.
	lifetimes sync.Map

	endpoints endpointPool

	exiting context.Context // ends when the process is about to exit
	exit    context.CancelFunc
}

// endpointPool holds every endpoint of the process.
type endpointPool struct {
	mu    sync.Mutex
	byKey map[string]*EndpointServer // by the key of its address
}

func newProcess() *processState {
	p := &processState{
		metrics: sessionproxy.NewMetrics(), collector: newCollector(),
		droppedEvents: newDroppedEvents(), droppedRecords: newDroppedRecords(),
		audit: newAuditLog(time.Now), stores: caddy.NewUsagePool(),
		endpoints: endpointPool{byKey: make(map[string]*EndpointServer)},
	}
	p.exiting, p.exit = context.WithCancel(context.Background())
	return p
}
