package session

import (
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// ID names the session; for one that does not exist yet, it is the id that it gets.
func (s *Session) ID() store.ID { return s.key.ID }

// State says what the request's ticket led to.
func (s *Session) State() State { return s.state }

// Data is the session's data as it was loaded, or refreshed: one JSON object
// in compact ASCII form. The caller must not change it.
func (s *Session) Data() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rec.Data
}

// Meta is what an app may know about its session.
type Meta struct {
	Version store.Version
	// The times are zero for a session that does not exist. Accessed is
	// the access before this request.
	Created, Accessed, Written, Expires time.Time
	Manager                             string
	ReadOnly                            bool
	Size                                int // bytes of data
	Attempt                             int // 1, or more when the request is made again
	Principal                           string
}

// Meta returns the session's metadata as it was loaded.
func (s *Session) Meta() Meta {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meta(&s.rec, s.passive)
}

// meta tells about a record; passive says that the request is no activity.
func (s *Session) meta(rec *store.Record, passive bool) Meta {
	m := Meta{
		Version: rec.Version, Manager: s.m.id, ReadOnly: s.readOnly,
		Size: len(rec.Data), Principal: rec.Principal, Attempt: s.attempt,
	}
	if s.exists() {
		m.Created, m.Accessed, m.Written = rec.Created, rec.Accessed, rec.Written
		m.Expires = s.expires(*rec, passive)
	}
	return m
}

// expires is when the session ends if this request is the last one.
func (s *Session) expires(rec store.Record, passive bool) time.Time {
	if !s.readOnly && !passive && s.opened.After(rec.Accessed) {
		rec.Accessed = s.opened
	}
	return rec.Expires()
}

// StagedMeta returns the metadata as Commit would leave it, but for what only
// a commit makes: version and times are those of the last one. destroyed says
// that the session is to end then, and with it everything else that is staged.
func (s *Session) StagedMeta() (m Meta, destroyed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec, c := s.rec, &s.pending
	rec.Data = s.staged()
	s.applyAccount(&rec, c, s.opened)
	return s.meta(&rec, s.passive && !c.Writes() && !c.Touch), c.Destroy
}

func (s *Session) exists() bool { return s.state == Active }
