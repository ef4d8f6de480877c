package badgerstore

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

func crashKey(i int) store.Key {
	var id store.ID
	binary.BigEndian.PutUint64(id[:], uint64(i))
	return store.Key{Manager: "shop", ID: id}
}

func crashNumber(key store.Key) int { return int(binary.BigEndian.Uint64(key.ID[:])) }

// TestCrashOutboxChild is not a test of its own: it ends sessions, and tells
// of them, until its parent kills it.
func TestCrashOutboxChild(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		t.Skip("runs only as the child of TestKillBetweenDoomAndDelivery")
	}
	s := open(t, dir, func(o *Options) {
		if os.Getenv(crashMode) == "async" {
			o.Durability = Async
		}
	})
	s.Subscribe(to("hook"))
	s.Observe(func(e store.Ended) { fmt.Printf("ended %d\n", crashNumber(e.Key)) })
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	for client := range 6 {
		go func() {
			for i := client; ; i += 6 {
				rec := record("last data")
				if i%2 == 0 { // for the sweep
					rec.Accessed = rec.Accessed.Add(-time.Hour)
				}
				must(s.Save(t.Context(), crashKey(i), store.Write{Record: rec}, store.Create()))
				fmt.Printf("begun %d\n", i)
				if i%2 == 1 {
					must(s.Delete(t.Context(), crashKey(i), store.Destroyed))
				}
			}
		}()
	}
	go func() {
		for {
			_, _, err := s.Sweep(t.Context(), s.opts.Now(), 64)
			must(err)
		}
	}()
	for {
		due, _, err := s.Deliveries(t.Context(), "hook", 16)
		must(err)
		done := make([]store.Settlement, len(due))
		for i, d := range due {
			fmt.Printf("telling %d\n", crashNumber(d.Key))
			done[i] = store.Settlement{ID: d.ID, Delivered: true}
		}
		must(s.Settle(t.Context(), done...))
		for _, d := range due {
			fmt.Printf("told %d\n", crashNumber(d.Key))
		}
	}
}

// After kill -9 anywhere between doom, telling and settling: what had ended
// does not live again, its listener is told if it was not, and what was
// settled is not told again.
func TestKillBetweenDoomAndDelivery(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"sync", "async"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			said := killed(t, dir, mode)
			s := open(t, dir, nil)
			defer shut(t, s)
			consistent(t, s)
			waits := make(map[int]bool)
			due, _, err := s.Deliveries(t.Context(), "hook", 1_000_000)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range due {
				if string(d.Data) != "last data" {
					t.Fatalf("got %+v", d)
				}
				i := crashNumber(d.Key)
				if waits[i] = true; said["told"][i] {
					t.Errorf("session %d was settled, and is to be told again", i)
				}
			}
			for i := range said["begun"] {
				switch _, err := s.read(crashKey(i)); {
				case errors.Is(err, store.ErrGone):
					if !waits[i] && !said["telling"][i] {
						t.Errorf("session %d is gone, and nobody is told", i)
					}
				case err != nil:
					t.Fatal(err)
				case said["ended"][i] || waits[i]:
					t.Errorf("session %d has ended, and is there again", i)
				}
			}
			for i := range said["ended"] {
				if !waits[i] && !said["telling"][i] {
					t.Errorf("session %d has ended, and nobody is told", i)
				}
			}
		})
	}
}

// killed runs the child, kills it, and returns what it said of each session.
func killed(t *testing.T, dir, mode string) map[string]map[int]bool {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestCrashOutboxChild$", "-test.v")
	child.Env = append(os.Environ(), crashDir+"="+dir, crashMode+"="+mode)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	child.Stderr = os.Stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	said := map[string]map[int]bool{"begun": {}, "ended": {}, "telling": {}, "told": {}}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var word string
		var i int
		if n, _ := fmt.Sscanf(lines.Text(), "%s %d", &word, &i); n != 2 || said[word] == nil {
			continue
		}
		if said[word][i] = true; word == "told" && len(said[word]) == 1500 {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Wait() // it was killed
	if len(said["told"]) < 1500 {
		t.Fatalf("only %d deliveries were made", len(said["told"]))
	}
	return said
}
