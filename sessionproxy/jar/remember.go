package jar

import "time"

// Remembered returns the last expiry of the cookies that `remember` names:
// until then the session is to last. Zero: there is none with an expiry.
func (r *Rules) Remembered(j *Jar, at time.Time) time.Time {
	if j == nil || len(r.remember.named) == 0 {
		return time.Time{}
	}
	var last int64
	for i := range j.cookies {
		if c := &j.cookies[i]; c.expires > last && !c.expired(at.Unix()) && r.remember.names(c.name) {
			last = c.expires
		}
	}
	if last == 0 {
		return time.Time{}
	}
	return time.Unix(last, 0)
}
