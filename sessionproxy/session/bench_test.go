package session_test

import (
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// BenchmarkCommit is an opening and its commit, without HTTP and on a store in
// memory.
func BenchmarkCommit(b *testing.B) {
	patch := func(text string) change.Changes {
		edits, err := document.ParseMergePatch([]byte(text), 0)
		if err != nil {
			b.Fatal(err)
		}
		return change.Changes{Ops: []change.Op{change.MergePatch(edits)}}
	}
	none := patch(`{"absent":null}`)
	others := [...]change.Changes{patch(`{"other":0}`), patch(`{"other":1}`)}
	even, odd := patch(`{"n":0}`), patch(`{"n":1}`)
	for _, bc := range []struct {
		name     string
		changes  func(i int) change.Changes
		overtake bool // by another request that writes
		jar      bool // of three cookies
	}{
		{"read with a jar", func(int) change.Changes { return change.Changes{CanSetTicket: true} }, false, true},
		{"read", func(int) change.Changes { return change.Changes{CanSetTicket: true} }, false, false},
		{"patch", func(i int) change.Changes { return [...]change.Changes{even, odd}[i%2] }, false, false},
		{"patch that changes nothing", func(int) change.Changes { return none }, false, false},
		{"patch on newer data", func(i int) change.Changes { return [...]change.Changes{even, odd}[i%2] }, true, false},
	} {
		b.Run(bc.name, func(b *testing.B) {
			policy := session.DefaultPolicy()
			policy.CookieJar = bc.jar
			m, err := session.NewManager("bench", policy, session.Options{
				Provider: session.Fixed(memstore.New(time.Now)), NewCredential: sessiontest.Credential,
			})
			if err != nil {
				b.Fatal(err)
			}
			open := func(r session.Request) *session.Session {
				s, err := m.Open(b.Context(), r)
				if err != nil {
					b.Fatal(err)
				}
				return s
			}
			commit := func(s *session.Session, c change.Changes) session.Outcome {
				out, err := s.Commit(b.Context(), c)
				if err != nil {
					b.Fatal(err)
				}
				return out
			}
			first := patch(`{"user":"alice","n":7}`)
			if bc.jar {
				rules, err := jar.NewRules(jar.Options{})
				if err != nil {
					b.Fatal(err)
				}
				lines := []string{"sid=0123456789abcdef; HttpOnly", "user=alice; HttpOnly", "lang=de; HttpOnly"}
				first.Cookies = &change.Cookies{Wishes: rules.Sort(nil, &jar.Request{BrowserPath: "/", AppPath: "/", At: time.Now()}, lines).Wishes}
			}
			cred := *commit(open(session.Request{}), first).Ticket
			r := session.Request{Credentials: []session.Credential{cred}}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				s := open(r)
				if bc.overtake {
					commit(open(r), others[i%2])
				}
				commit(s, bc.changes(i))
			}
		})
	}
}
