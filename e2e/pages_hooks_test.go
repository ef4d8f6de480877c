package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// TestHooksOfThePages runs the pages' receivers of webhooks, and sends them what
// is genuine and what is not.
func TestHooksOfThePages(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ language, file string }{{"python", "hook.py"}, {"js", "hook.mjs"}} {
		t.Run(tc.language, func(t *testing.T) {
			t.Parallel()
			program := programs(t, tc.language, tc.file)[0]
			words := strings.Fields(program.command())
			name := need(t, words[0])
			dir, port := t.TempDir(), fmt.Sprint(freePort(t))
			source := strings.ReplaceAll(program.text, "3900", port)
			if err := os.WriteFile(filepath.Join(dir, tc.file), []byte(source), 0o600); err != nil {
				t.Fatal(err)
			}
			hook := start(t, []string{"HOOK_SECRET=" + hookSecret}, dir, name, words[1:]...)
			until(t, "the receiver serves", hook, listens("tcp", "127.0.0.1:"+port))
			send := func(header http.Header) int {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1:"+port+"/sessions", strings.NewReader(hookBody))
				if err != nil {
					t.Fatal(err)
				}
				r.Header = header
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				return resp.StatusCode
			}
			now := time.Now()
			for what, header := range map[string]http.Header{
				"no signature":      {},
				"another body":      signed(t, now, "{}"),
				"an old one":        signed(t, now.Add(-time.Hour), hookBody),
				"half a signature":  {"Webhook-Id": {"e1"}, "Webhook-Timestamp": {fmt.Sprint(now.Unix())}, "Webhook-Signature": {"v1,g0hM"}},
				"an odd signature":  {"Webhook-Id": {"e1"}, "Webhook-Timestamp": {"x"}, "Webhook-Signature": {"v1,\xff" + strings.Repeat("g", 43)}},
				"another one's key": {"Webhook-Id": {"e1"}, "Webhook-Timestamp": {fmt.Sprint(now.Unix())}, "Webhook-Signature": {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}},
			} {
				if status := send(header); status != http.StatusBadRequest {
					t.Errorf("%s: status %d", what, status)
				}
			}
			if status := send(signed(t, now, hookBody)); status != http.StatusNoContent {
				t.Errorf("a genuine event: status %d", status)
			}
			until(t, "the event is printed", hook, func() bool {
				return strings.Contains(hook.output(), "session.delete AQAAAAAAAAAAAAAAAAAAAA")
			})
		})
	}
}

const hookBody = `{"type":"session.delete","timestamp":"2026-01-02T03:04:05.006Z","data":{"manager":"shop","session":"AQAAAAAAAAAAAAAAAAAAAA","reason":"idle"}}`

// signed are the headers of an event with that body.
func signed(t *testing.T, at time.Time, body string) http.Header {
	t.Helper()
	signer, err := standardwebhooks.NewWebhook(hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := signer.Sign("e1", at, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return http.Header{"Webhook-Id": {"e1"}, "Webhook-Timestamp": {fmt.Sprint(at.Unix())}, "Webhook-Signature": {signature}}
}
