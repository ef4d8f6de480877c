package session

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Assurance is what an authentication assurance level of NIST SP 800-63B-4
// asks of a session: how long a user may stay signed in before they have to
// sign in again.
//
//	level  section  overall timeout       inactivity timeout
//	aal1   2.1.3    30 days (should)      not required
//	aal2   2.2.3    24 hours (should)     1 hour (should)
//	aal3   2.3.3    12 hours (shall)      15 minutes (should)
//
// What the text recommends is a limit here, too: for longer timeouts leave out
// the level. The overall timeout is exact. A session may be idle
// for a twentieth longer than its timeout says: see store.TouchSlack.
type Assurance struct {
	Level   string
	Section string // of NIST SP 800-63B-4
	Overall time.Duration
	// Inactivity is zero if the level asks for none.
	Inactivity time.Duration
}

var assurances = [...]Assurance{
	{"aal1", "2.1.3", 30 * 24 * time.Hour, 0},
	{"aal2", "2.2.3", 24 * time.Hour, time.Hour},
	{"aal3", "2.3.3", 12 * time.Hour, 15 * time.Minute},
}

// FindAssurance returns the level of that name.
func FindAssurance(level string) (Assurance, error) {
	for _, a := range assurances {
		if a.Level == level {
			return a, nil
		}
	}
	return Assurance{}, fmt.Errorf("assurance is one of %s, not %q", strings.Join(AssuranceLevels(), ", "), level)
}

// AssuranceLevels returns the names of the levels, the weakest first.
func AssuranceLevels() (names []string) {
	for _, a := range assurances {
		names = append(names, a.Level)
	}
	return names
}

// Idle returns the longest idle timeout of the level, which is its default.
// Where the level asks for none that is the overall timeout.
func (a Assurance) Idle() time.Duration { return cmp.Or(a.Inactivity, a.Overall) }

// Check refuses timeouts that are longer than the level allows: those of the
// policy, and those that an app may ask for.
func (a Assurance) Check(p Policy) error {
	for _, t := range []struct {
		name      string
		is, limit time.Duration
	}{
		{"idle timeout", p.IdleTimeout, a.Idle()},
		{"absolute timeout", p.AbsoluteTimeout, a.Overall},
		{"longest idle timeout that an app may ask for", p.MaxIdle, a.Idle()},
		{"longest absolute timeout that an app may ask for", p.MaxAbsolute, a.Overall},
	} {
		if t.is > t.limit {
			return fmt.Errorf("the %s is %v, and assurance %s allows %v (NIST SP 800-63B-4, section %s); shorten it, or leave out the assurance",
				t.name, t.is, a.Level, t.limit, a.Section)
		}
	}
	return nil
}
