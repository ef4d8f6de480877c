package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// brief is a session that ends when it was not used for a second, unless it
// asks for more.
const brief = `idle_timeout 1s
		max_timeout 1h 12h
		`

const removing = brief + `listener remove_files uploads {
			root {DIR}/files
		}`

const stay = `&timeout={"idle":3600,"absolute":43200}`

// TestUploadsGoWithTheirSession expires a session, and sees the file vanish
// that it names, and no other.
func TestUploadsGoWithTheirSession(t *testing.T) {
	t.Parallel()
	p := newProxy(t, shopSite("sweep_interval 1s", removing, shop(t)))
	write(t, p.dir, "files/7/cat.png", "files/8/dog.png", "files/nobody.png", "outside.png")
	p.client(t).do(`patch={"uploads":["8/dog.png"]}` + stay)
	p.client(t).do(`patch={"uploads":["7/cat.png","../outside.png"]}`)
	until(t, "the file has vanished", p.process, func() bool { return !exists(p.dir, "files/7/cat.png") })
	// A name that leads out of the root is refused for good.
	until(t, "the listener has given up", p.process, func() bool {
		listeners, _ := p.stats()
		return len(listeners) == 1 && listeners[0] == backlog{"shop/remove_files/1", 0, 1}
	})
	for _, name := range []string{"files/8/dog.png", "files/nobody.png", "outside.png"} {
		if !exists(p.dir, name) {
			t.Errorf("%s has vanished", name)
		}
	}
	out, status := p.operate("dead-letters")
	if status != 0 || !strings.Contains(out, "delete (idle)") || strings.Contains(out, "outside") {
		t.Errorf("dead-letters: [%d] %s", status, out)
	}
	if out, status := p.operate("discard", "--listener", "shop/remove_files/1", "--yes"); status != 1 {
		t.Errorf("discarding what a listener is to be told that is configured: [%d] %s", status, out)
	}
	_, letter, _ := strings.Cut(out, "\n")
	letter, _, _ = strings.Cut(letter, " ")
	if out, status := p.operate("discard", letter); status != 0 || out != letter+" is discarded\n" {
		t.Errorf("discard: [%d] %s", status, out)
	}
	if listeners, _ := p.stats(); len(listeners) != 0 {
		t.Errorf("left are %v", listeners)
	}
}

// TestUploadsGoAcrossAKill is kill -9 when the session has ended and its file
// could not be removed yet.
func TestUploadsGoAcrossAKill(t *testing.T) {
	t.Parallel()
	p := newProxy(t, shopSite("sweep_interval 1s", removing, shop(t)))
	write(t, p.dir, "away/7/cat.png", "away/8/dog.png")
	p.client(t).do(`patch={"uploads":["8/dog.png"]}` + stay)
	gone := p.client(t)
	gone.do(`patch={"uploads":["7/cat.png"]}`)
	until(t, "the session has ended, and its file is still there", p.process, func() bool {
		listeners, _ := p.stats()
		return len(listeners) == 1 && listeners[0].Waiting == 1
	})
	p.kill()
	if err := os.Rename(filepath.Join(p.dir, "away"), filepath.Join(p.dir, "files")); err != nil {
		t.Fatal(err)
	}
	p.start()
	gone.wantState("expired")
	until(t, "the file has vanished", p.process, func() bool { return !exists(p.dir, "files/7/cat.png") })
	until(t, "nothing waits any more", p.process, func() bool {
		listeners, _ := p.stats()
		return len(listeners) == 0 || listeners[0] == backlog{Name: listeners[0].Name}
	})
	if !exists(p.dir, "files/8/dog.png") {
		t.Error("the file of a session that lives has vanished")
	}
}

// hooked is what a webhook was told.
type hooked struct {
	id, body string
	event    struct {
		Type string
		Data struct{ Session, Reason, Principal, Manager string }
	}
}

// hook is a receiver of webhooks that checks signatures, and answers what it
// is told to. The answer 0 is none, until the proxy goes away.
func hook(t *testing.T, answer int) (address string, heard <-chan hooked) {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	all := make(chan hooked, 1000)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the proxy was killed
		}
		if err := verifier.Verify(body, r.Header); err != nil {
			t.Errorf("a webhook's signature: %v", err)
		}
		h := hooked{id: r.Header.Get("Webhook-Id"), body: string(body)}
		if err := json.Unmarshal(body, &h.event); err != nil {
			t.Errorf("a webhook's body: %v", err)
		}
		all <- h
		if answer == 0 {
			<-r.Context().Done()
			return
		}
		w.WriteHeader(answer)
	}))
	t.Cleanup(s.Close)
	return s.URL, all
}

func webhook(address, events string) string {
	return `listener webhook ` + address + ` {
			secret ` + hookSecret + `
			events ` + events + `
			allow_private
		}`
}

// TestHangingWebhookAcrossAKill is kill -9 while a webhook is told: it is told
// again, the same.
func TestHangingWebhookAcrossAKill(t *testing.T) {
	t.Parallel()
	hanging, first := hook(t, 0)
	working, second := hook(t, http.StatusNoContent)
	app := shop(t)
	p := newProxy(t, shopSite("sweep_interval 1s", brief+webhook(hanging, "delete"), app))
	id, _, _ := p.client(t).do(`login=alice&patch={"cart":3}`)
	told := receive(t, first)
	p.kill()
	p.configure(shopSite("sweep_interval 1s", brief+webhook(working, "delete"), app))
	p.start()
	again := receive(t, second)
	if told.id == "" || told.id != again.id || told.body != again.body {
		t.Errorf("told %v, and after kill -9 %v", told, again)
	}
	if e := again.event; e.Type != "session.delete" || e.Data.Session != id || e.Data.Reason != "idle" || e.Data.Principal != "alice" ||
		!strings.Contains(again.body, `{"cart":3}`) {
		t.Errorf("told %s", again.body)
	}
	until(t, "nothing waits any more", p.process, func() bool {
		listeners, _ := p.stats()
		return len(listeners) == 0 || listeners[0].Waiting == 0
	})
}

func receive(t *testing.T, heard <-chan hooked) hooked {
	t.Helper()
	select {
	case h := <-heard:
		return h
	case <-t.Context().Done():
	case <-after():
	}
	t.Fatal("the webhook is told nothing")
	return hooked{}
}
