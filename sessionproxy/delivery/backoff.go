package delivery

import (
	"math/rand/v2"
	"time"
)

// retrySchedule is how long after each failed attempt an event is told again. After
// the last one, about three days in all, it is a dead letter.
var retrySchedule = [...]time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 24 * time.Hour,
}

// nextDelay returns how long to wait after that many failed attempts, within
// a tenth, so that what failed together does not come back together. It
// reports false when there have been enough.
func nextDelay(attempts int) (time.Duration, bool) {
	if attempts < 1 || attempts > len(retrySchedule) {
		return 0, false
	}
	d := retrySchedule[attempts-1]
	return d - d/10 + rand.N(d/5), true //nolint:gosec // a pause is no secret
}

// storeBackoff returns how long to wait after that many failures of the store,
// one after the other.
func storeBackoff(failures int) time.Duration {
	return min(time.Second<<min(failures-1, 6), time.Minute)
}
