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
	m := Meta{
		Version: s.rec.Version, Manager: s.m.id, ReadOnly: s.readOnly,
		Size: len(s.rec.Data), Principal: s.rec.Principal, Attempt: s.attempt,
	}
	if s.exists() {
		m.Created, m.Accessed, m.Written = s.rec.Created, s.rec.Accessed, s.rec.Written
		m.Expires = s.expires()
	}
	return m
}

// expires is when the session ends if this request is the last one.
func (s *Session) expires() time.Time {
	rec := s.rec
	if !s.readOnly && !s.passive && s.opened.After(rec.Accessed) {
		rec.Accessed = s.opened
	}
	return rec.Expires()
}

func (s *Session) exists() bool { return s.state == Active }
