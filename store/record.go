package store

import "time"

// Record is one session as it is stored. Times are whole milliseconds: a
// store may drop what is finer, and the zone.
type Record struct {
	// Data is one JSON object in compact ASCII form. A store does not look inside.
	Data []byte

	// Cookies is the session's cookie jar, sealed; nil if it has none. A store
	// does not look inside. With the session it is gone: no event has it.
	Cookies []byte

	// Created is when the session began; Written when its data was last
	// saved; Accessed when a request last counted as activity.
	Created, Written, Accessed time.Time

	// Idle is how long the session lives without activity; Absolute is
	// when it ends in any case. Both are always set.
	Idle     time.Duration
	Absolute time.Time

	// Since is when the absolute timeout began to count: the creation, or the
	// last sign-in. OwnIdle and OwnAbsolute say that the app asked for that
	// timeout for this session. A record of an older format has a zero Since,
	// and does not tell.
	Since                time.Time
	OwnIdle, OwnAbsolute bool

	// Principal is the user that is signed in, or empty. See [CheckPrincipal].
	Principal string

	// Nonce is the one that a current ticket bears. PreviousNonce is still
	// accepted until PreviousUntil, after a rotation by timer; both are
	// zero otherwise.
	Nonce, PreviousNonce [16]byte
	PreviousUntil        time.Time

	// Rotated is when the current nonce was given.
	Rotated time.Time

	// Incarnation tells this life of the key from any other; it is chosen
	// at the creation (NewIncarnation) and never changes.
	Incarnation uint64

	// Version is that of the save that wrote this record.
	Version Version
}

// Expires is when the session ends if nothing more happens: the earlier of
// the idle and the absolute expiry.
func (r *Record) Expires() time.Time {
	return earlier(r.Accessed.Add(r.Idle), r.Absolute)
}

// Deadline is when the record may be treated as ended. It is Expires, with
// TouchSlack added to the idle timeout.
func (r *Record) Deadline() time.Time {
	return earlier(r.Accessed.Add(r.Idle+TouchSlack(r.Idle)), r.Absolute)
}

// EndsBy is the reason for which the record ends at its deadline.
func (r *Record) EndsBy() Reason {
	if r.Absolute.After(r.Deadline()) {
		return Idle
	}
	return Absolute
}

// Alive reports whether the record is before its deadline.
func (r *Record) Alive(now time.Time) bool { return now.Before(r.Deadline()) }

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// Info is what a listing tells about a record: everything but data and nonces.
type Info struct {
	ID                         ID
	Created, Written, Accessed time.Time
	Expires                    time.Time
	Principal                  string
	// Size is the length of the data in bytes.
	Size    int
	Version Version
}

// Info returns the record's metadata, for a listing.
func (r *Record) Info(id ID) Info {
	return Info{
		ID: id, Created: r.Created, Written: r.Written, Accessed: r.Accessed,
		Expires: r.Expires(), Principal: r.Principal, Size: len(r.Data), Version: r.Version,
	}
}
