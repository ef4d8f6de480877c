package runtime

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/store"
)

// textLogger writes lines without times.
func textLogger() (*zap.Logger, *bytes.Buffer) {
	text := new(bytes.Buffer)
	encoder := zapcore.NewJSONEncoder(zapcore.EncoderConfig{LevelKey: "level", NameKey: "logger", MessageKey: "msg", EncodeLevel: zapcore.LowercaseLevelEncoder})
	return zap.New(zapcore.NewCore(encoder, zapcore.AddSync(text), zap.InfoLevel)).Named(auditName), text
}

// TestAuditRecords compares the records of every event with what they must be.
func TestAuditRecords(t *testing.T) {
	now := time.Now()
	a := newAuditLog(func() time.Time { return now })
	logger, text := textLogger()
	defer a.use(logger)()
	ev := event.Event{
		ID: "e1", Manager: "shop", Session: store.ID{1, 2, 3}, At: now, Principal: "alicesecret",
		Keys: []string{"keysecret"}, Data: []byte(`{"pin":"datasecret"}`), Created: now, Expires: now,
	}
	for _, kind := range []event.Kind{event.Create, event.Save, event.Rotate, event.Rollback} {
		ev.Kind = kind
		a.onEvent(ev)
	}
	ev.Kind = event.Delete
	for _, ev.Reason = range store.Reasons() {
		a.onEvent(ev)
	}
	a.flush(time.Minute)
	refusals := []struct {
		after         time.Duration
		manager, kind string
	}{
		{0, "shop", "forged"},
		{0, "shop", "forged"},
		{0, "blog", "forged"}, // another manager's bursts are its own
		{0, "shop", "spoofed"},
		{time.Second - 1, "shop", "forged"},
		{1, "shop", "forged"}, // with the two that were left out
		{time.Minute, "shop", "forged"},
		{-time.Hour, "shop", "forged"}, // the clock was set back
	}
	for _, r := range refusals {
		now = now.Add(r.after)
		a.refuse(r.manager, r.kind)
	}
	want := `
{"level":"info","logger":"sessions.audit","msg":"session created","event":"session_created","manager":"shop","session_id":"AQIDAAAAAAAAAAAAAAAAAA"}
{"level":"info","logger":"sessions.audit","msg":"session rotated","event":"session_rotated","manager":"shop","session_id":"AQIDAAAAAAAAAAAAAAAAAA"}
{"level":"info","logger":"sessions.audit","msg":"session ended","event":"session_ended","manager":"shop","session_id":"AQIDAAAAAAAAAAAAAAAAAA","reason":"destroyed"}
{"level":"info","logger":"sessions.audit","msg":"session ended","event":"session_ended","manager":"shop","session_id":"AQIDAAAAAAAAAAAAAAAAAA","reason":"idle"}
{"level":"info","logger":"sessions.audit","msg":"session ended","event":"session_ended","manager":"shop","session_id":"AQIDAAAAAAAAAAAAAAAAAA","reason":"absolute"}
{"level":"info","logger":"sessions.audit","msg":"session ended","event":"session_ended","manager":"shop","session_id":"AQIDAAAAAAAAAAAAAAAAAA","reason":"revoked"}
{"level":"info","logger":"sessions.audit","msg":"session ended","event":"session_ended","manager":"shop","session_id":"AQIDAAAAAAAAAAAAAAAAAA","reason":"evicted"}
{"level":"info","logger":"sessions.audit","msg":"session ended","event":"session_ended","manager":"shop","session_id":"AQIDAAAAAAAAAAAAAAAAAA","reason":"replaced"}
{"level":"info","logger":"sessions.audit","msg":"session ended","event":"session_ended","manager":"shop","session_id":"AQIDAAAAAAAAAAAAAAAAAA","reason":"purged"}
{"level":"info","logger":"sessions.audit","msg":"session refused","event":"session_refused","manager":"shop","kind":"forged","suppressed":0}
{"level":"info","logger":"sessions.audit","msg":"session refused","event":"session_refused","manager":"blog","kind":"forged","suppressed":0}
{"level":"info","logger":"sessions.audit","msg":"session refused","event":"session_refused","manager":"shop","kind":"spoofed","suppressed":0}
{"level":"info","logger":"sessions.audit","msg":"session refused","event":"session_refused","manager":"shop","kind":"forged","suppressed":2}
{"level":"info","logger":"sessions.audit","msg":"session refused","event":"session_refused","manager":"shop","kind":"forged","suppressed":0}
{"level":"info","logger":"sessions.audit","msg":"session refused","event":"session_refused","manager":"shop","kind":"forged","suppressed":0}
`
	if got := "\n" + text.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestAuditFollowsTheConfiguration has two configurations, as during a reload.
func TestAuditFollowsTheConfiguration(t *testing.T) {
	a := newAuditLog(time.Now)
	one, first := textLogger()
	two, second := textLogger()
	created := event.Event{Kind: event.Create, Manager: "shop"}
	wants := func(what string, inFirst, inSecond int) {
		t.Helper()
		a.onEvent(created)
		a.flush(time.Minute)
		if n, m := strings.Count(first.String(), "\n"), strings.Count(second.String(), "\n"); n != inFirst || m != inSecond {
			t.Errorf("%s: %d and %d records, want %d and %d", what, n, m, inFirst, inSecond)
		}
	}
	endOne := a.use(one)
	wants("one", 1, 0)
	endTwo := a.use(two)
	wants("both", 1, 1)
	endTwo()
	wants("the second one has failed", 2, 1)
	endTwo = a.use(two)
	endOne()
	endOne()
	wants("the second one alone", 2, 2)
	endTwo()
	a.onEvent(created) // no records are wanted
	a.flush(time.Minute)
	wants("none", 2, 2)
}
