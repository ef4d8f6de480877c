package runtime

import (
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/sessionproxy/sessionproxy/sessionproxy/delivery"
)

// failureEvery is the least time between two records of one listener's failures.
const failureEvery = 10 * time.Second

// deliveryObserver logs and counts what the delivery service of a store does.
// Successful deliveries are counted alone; of the failures of one listener the
// log has some.
func deliveryObserver(logger *zap.Logger) delivery.Observer {
	type failure struct {
		listener string
		result   delivery.Result
	}
	failures := newThrottle[failure](time.Now, failureEvery)
	return delivery.Observer{
		Attempted: func(t delivery.Attempt) {
			process.metrics.ObserveAttempt(t)
			if t.Result == delivery.Delivered {
				return
			}
			suppressed, ok := failures.admit(failure{t.Listener, t.Result})
			if !ok {
				return
			}
			level, message := zapcore.WarnLevel, "session listener failed"
			if t.Result == delivery.Dead {
				level, message = zapcore.ErrorLevel, "session listener failed for the last time; see the dead letters"
			}
			if c := logger.Check(level, message); c != nil {
				c.Write(zap.String("listener", t.Listener), zap.String("event", string(t.Kind)), zap.String("manager", t.Manager),
					zap.Stringer("session_id", t.Session), zap.Int("attempt", t.Attempt), zap.Error(t.Err),
					zap.Time("next", t.Next), zap.Int("suppressed", suppressed))
			}
		},
		Dropped: process.metrics.ObserveDropped,
		Stuck: func(listener string) {
			logger.Error("session listener does not come back although its time is over", zap.String("listener", listener))
		},
		ClockJumped: func(by, hold time.Duration) {
			logger.Warn("the clock was set; sessions that seem to have expired are kept meanwhile",
				zap.Duration("by", by), zap.Duration("no_sweep_for", hold))
		},
		Failed: func(doing string, err error) {
			if suppressed, ok := failures.admit(failure{listener: doing}); ok {
				logger.Error("session store failed; it is tried again", zap.String("doing", doing), zap.Error(err), zap.Int("suppressed", suppressed))
			}
		},
	}
}
