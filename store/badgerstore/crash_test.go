package badgerstore

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/store"
)

const crashDir, crashMode = "SESSIONPROXY_TEST_CRASH_DIR", "SESSIONPROXY_TEST_CRASH_MODE"

// TestCrashChild is not a test of its own: it writes until its parent kills
// it, and tells of each acknowledged save.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		t.Skip("runs only as the child of TestKill")
	}
	s := open(t, dir, func(o *Options) {
		if os.Getenv(crashMode) == "async" {
			o.Durability = Async
		}
	})
	for client := range 8 {
		go func() {
			key := keyOf(byte(client + 1))
			rec := create(t, s, key, "0")
			for i := 1; ; i++ {
				n := rec
				n.Data, n.Version = fmt.Appendf(nil, "%d %s", i, strings.Repeat("x", i%3000)), rec.Version.Next()
				if err := s.Save(t.Context(), key, store.Write{Record: n}, store.IfVersion(rec.Version)); err != nil {
					panic(err)
				}
				rec = n
				fmt.Printf("ack %d %d\n", client, i)
			}
		}()
	}
	select {}
}

// After kill -9 in the middle of a write load the store opens, no record is
// torn, and every acknowledged save is there: the operating system still has
// what the process wrote, with either durability.
func TestKill(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"sync", "async"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			child := exec.Command(os.Args[0], "-test.run=^TestCrashChild$", "-test.v")
			child.Env = append(os.Environ(), crashDir+"="+dir, crashMode+"="+mode)
			out, err := child.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			child.Stderr = os.Stderr
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			acked := make(map[int]int)
			lines := bufio.NewScanner(out)
			for total := 0; lines.Scan(); {
				fields := strings.Fields(lines.Text())
				if len(fields) != 3 || fields[0] != "ack" {
					continue
				}
				client, err1 := strconv.Atoi(fields[1])
				i, err2 := strconv.Atoi(fields[2])
				if err1 != nil || err2 != nil {
					t.Fatalf("child says %q", lines.Text())
				}
				acked[client] = i
				if total++; total == 3000 {
					if err := child.Process.Kill(); err != nil {
						t.Fatal(err)
					}
				}
			}
			_ = child.Wait() // it was killed
			if len(acked) < 8 {
				t.Fatalf("only %d clients wrote", len(acked))
			}
			s := open(t, dir, nil)
			defer shut(t, s)
			for client, i := range acked {
				rec, err := s.Load(t.Context(), keyOf(byte(client+1)))
				if err != nil {
					t.Fatal(err)
				}
				text, padding, _ := strings.Cut(string(rec.Data), " ")
				got, err := strconv.Atoi(text)
				if err != nil || len(padding) != got%3000 {
					t.Fatalf("record of client %d is torn: %.40q", client, rec.Data)
				}
				if got < i {
					t.Fatalf("client %d: save %d was acknowledged, save %d is there", client, i, got)
				}
			}
		})
	}
}
