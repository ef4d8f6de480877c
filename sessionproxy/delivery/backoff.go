package delivery

import (
	"math/rand/v2"
	"time"
)

// retrySchedule holds the delay after each failed attempt. After the last one,
// about three days in all, the delivery is a dead letter.
var retrySchedule = [...]time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 24 * time.Hour,
}

// nextDelay returns the delay after that many failed attempts, with a jitter of
// a tenth, so that deliveries that failed together are not retried together.
// It reports false after the last attempt.
func nextDelay(attempts int) (time.Duration, bool) {
	if attempts < 1 || attempts > len(retrySchedule) {
		return 0, false
	}
	d := retrySchedule[attempts-1]
	return d - d/10 + rand.N(d/5), true //nolint:gosec // a pause is no secret
}

// storeBackoff returns the delay after that many failures of the store in
// succession.
func storeBackoff(failures int) time.Duration {
	return min(time.Second<<min(failures-1, 6), time.Minute)
}
