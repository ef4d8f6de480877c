package session

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/store"
)

// cookieJar is what one request has to do with the cookie jar of its session.
// There is none where the policy has no jar.
type cookieJar struct {
	given *jar.Jar // what the app is shown
	kept  keptJar  // what the record holds, as it was loaded
	form  formID   // that was sent; zero if none
	twice bool     // given is the past, and the same form has replaced the ticket
	// replaced is the ticket that a late tab has brought.
	replaced Credential
	lost     error // why the jar that was stored cannot be read
	seal     seal  // with which it was opened; zero if nothing was stored
}

// keptJar is what Record.Cookies holds, sealed.
type keptJar struct {
	jar *jar.Jar // and its past
	// login is the first half of the nonce before the ticket was replaced: only
	// that ticket is shown the past. An older one could be a stranger's.
	login [loginPart]byte
	// form is the one by whose answer the ticket was replaced; zero if it was another request.
	form formID
	// remember is until when cookies of the kind "remember me" make the
	// session last; zero if there are none.
	remember time.Time
}

// formID tells forms apart. Zero is none.
type formID [8]byte

func newFormID(form string) (id formID) {
	if form != "" {
		sum := sha256.Sum256([]byte(form))
		id = formID(sum[:])
	}
	return id
}

// Jar returns the cookie jar as the app of this request is to see it: that of
// the session; for a late tab, as it was before the ticket was replaced; or
// the empty one. It is nil where there are no cookies to keep: the policy has
// no jar, or the store is unavailable.
func (s *Session) Jar() (given *jar.Jar, ok bool) {
	if s.jar == nil || s.state == Unavailable {
		return nil, false
	}
	return s.jar.given, true
}

// JarLost tells why the stored jar counts as gone: it is of a newer format, or was tampered
// with. nil means that nothing is lost.
func (s *Session) JarLost() error {
	if s.jar == nil {
		return nil
	}
	return s.jar.lost
}

// DescribeJar tells operators what Record.Cookies holds: everything but values.
func DescribeJar(cookies []byte) ([]jar.Info, error) {
	if len(cookies) == 0 {
		return nil, nil
	}
	index, _, err := splitSealed(cookies)
	if err != nil {
		return nil, fmt.Errorf("describing cookie jar: %w", err)
	}
	return jar.Describe(index)
}

// openJar opens the jar of the session that a current ticket has opened.
func (s *Session) openJar(rec *store.Record) {
	if s.jar == nil {
		return
	}
	if len(rec.Cookies) > 0 {
		s.jar.seal = newSeal(s.key, s.cred.Number)
	}
	s.jar.kept, s.jar.lost = s.unseal(rec)
	s.jar.given = s.jar.kept.jar
}

// currentSeal returns the seal of the session's jar: that of the opening, since
// deriving the key costs more than to open or to seal, or another one if the
// session is another one by now.
func (s *Session) currentSeal() seal {
	if of := &s.jar.seal; of.aead != nil && of.key == s.key && of.number == s.cred.Number {
		return *of
	}
	return newSeal(s.key, s.cred.Number)
}

// derived returns the jar of a handle that follows: the app goes on seeing the
// same.
func (j *cookieJar) derived() *cookieJar {
	if j == nil {
		return nil
	}
	n := *j
	return &n
}

// rereadJar follows another record of the session. What the app was shown
// stays.
func (s *Session) rereadJar() {
	if s.jar != nil {
		s.jar.kept, _ = s.unseal(&s.rec)
	}
}

// keptIn returns what a record of the session holds. What cannot be read
// counts as gone.
func (s *Session) keptIn(rec *store.Record) keptJar {
	switch {
	case !s.exists():
		return keptJar{jar: s.jar.given.WithoutPast()}
	case rec.Version == s.rec.Version:
		return s.jar.kept
	}
	kept, _ := s.unseal(rec)
	return kept
}

func (s *Session) unseal(rec *store.Record) (k keptJar, err error) {
	if len(rec.Cookies) == 0 {
		return keptJar{}, nil
	}
	index, secret, err := s.currentSeal().open(rec.Incarnation, rec.Cookies)
	if err != nil {
		return keptJar{}, err
	}
	if len(secret) < keptHead {
		return keptJar{}, errBrokenSeal
	}
	k.login, k.form = [loginPart]byte(secret), formID(secret[loginPart:])
	if ms := int64(binary.BigEndian.Uint64(secret[keptHead-8:])); ms != 0 {
		k.remember = time.UnixMilli(ms)
	}
	if k.jar, err = jar.Decode(index, secret[keptHead:]); err != nil {
		return keptJar{}, err
	}
	return k, nil
}

// keptHead is how much of the secret part stands before that of the jar, in bytes.
const keptHead = loginPart + len(formID{}) + 8

// keepIn seals the jar into the record.
func (s *Session) keepIn(rec *store.Record, k keptJar) {
	index, values := k.jar.Encode()
	if rec.Cookies = nil; index == nil {
		return
	}
	secret := make([]byte, 0, keptHead+len(values))
	secret = append(secret, k.login[:]...)
	secret = append(secret, k.form[:]...)
	var ms int64
	if !k.remember.IsZero() {
		ms = k.remember.UnixMilli()
	}
	secret = binary.BigEndian.AppendUint64(secret, uint64(ms))
	secret = append(secret, values...)
	rec.Cookies = s.currentSeal().close(rec.Incarnation, index, secret)
}
