package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// fakeAdmin answers as an admin endpoint, from a table, and notes what is asked.
type fakeAdmin struct {
	answers map[string]string // by method and path with query; a number is a status before the body
	asked   []string
}

func (f *fakeAdmin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	call := r.Method + " " + r.URL.RequestURI()
	f.asked = append(f.asked, strings.TrimSpace(call+" "+string(body)))
	answer, ok := f.answers[call]
	switch {
	case !ok:
		http.NotFound(w, r)
	case strings.HasPrefix(answer, "{"):
		_, _ = io.WriteString(w, answer+"\n")
	default:
		var status int
		_, text, _ := strings.Cut(answer, " ")
		_, _ = fmt.Sscan(answer, &status)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

// runSessions runs the command with these arguments against an address, and
// returns what it prints and its exit status.
func runSessions(t *testing.T, address, stdin string, args ...string) (out, err string, status int) {
	t.Helper()
	var o, e bytes.Buffer
	c := newCLI(strings.NewReader(stdin), &o, &e)
	now := caddytest.Begin.Add(2 * time.Hour).UTC()
	c.now = func() time.Time { return now }
	c.tick = func(d time.Duration) <-chan time.Time {
		now = now.Add(d)
		tick := make(chan time.Time, 1)
		tick <- now
		return tick
	}
	root, command := &cobra.Command{Use: "caddy"}, &cobra.Command{Use: "sessions"}
	root.AddCommand(command)
	root.SetOut(&o)
	root.SetErr(&e)
	var ended error
	c.addTo(command, func(cmd *cobra.Command, err error) error {
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		if ended = err; err != nil {
			fmt.Fprintln(&e, "Error:", err)
		}
		return err
	})
	root.SetArgs(append([]string{"sessions", "--address", address}, args...))
	if err := root.Execute(); err != nil && ended == nil {
		t.Errorf("%v: an error that is none of the command's own: %v", args, err)
	}
	return o.String(), e.String(), exitStatus(ended)
}

const (
	oneSession  = `{"id":"AwAAAAAAAAAAAAAAAAAA_w","created":1700000180,"accessed":1700007000,"written":1700000180,"expires":1700087200,"principal":"alice","size":20,"version":"3-0000000000000005"}`
	evilSession = `{"id":"AgAAAAAAAAAAAAAAAAAA_w","size":65536,"version":"1-0000000000000005","principal":"\u001b[2J\u202eeve"}`
)

// TestCommandPrints compares what the commands ask and print with a golden file.
func TestCommandPrints(t *testing.T) {
	fake := &fakeAdmin{answers: map[string]string{
		"GET /sessions/managers": `{"managers":[{"id":"left","sessions":12345,"configured":false},{"id":"shop","sessions":2,"configured":true}]}`,
		"GET /sessions/managers/shop/sessions?limit=100&order=created":             `{"sessions":[` + oneSession + `,` + evilSession + `]}`,
		"GET /sessions/managers/shop/sessions?limit=1&order=expires":               `{"sessions":[` + oneSession + `],"next":"abc"}`,
		"GET /sessions/managers/shop/sessions?limit=1000&order=created":            `{"sessions":[` + oneSession + `],"next":"abc"}`,
		"GET /sessions/managers/shop/sessions?cursor=abc&limit=1000&order=created": `{"sessions":[` + evilSession + `]}`,
		"GET /sessions/managers/empty/sessions?limit=100&order=created":            `{"sessions":[]}`,
		"GET /sessions/managers/other/sessions?limit=100&order=created":            `404 {"type":"about:blank","title":"Not Found","status":404,"detail":"there is no such manager"}`,
		"GET /sessions/managers/a%2Fb/sessions/%3Fx":                               `404 {"type":"about:blank","title":"Not Found","status":404,"detail":"there is no such session"}`,
		"GET /sessions/managers/shop/sessions/AwAAAAAAAAAAAAAAAAAA_w":              oneSession,
		"GET /sessions/managers/shop/sessions/AwAAAAAAAAAAAAAAAAAA_w?data=true":    strings.TrimSuffix(oneSession, "}") + `,"data":{"cart":{"n":3}}}`,
		"GET /sessions/managers/left/sessions/AwAAAAAAAAAAAAAAAAAA_w?data=true":    `403 {"type":"urn:sessionproxy:data-off","title":"Forbidden","status":403,"detail":"the data of sessions is not shown; the option ` + "`admin_data on`" + ` of ` + "`sessions`" + ` allows it"}`,
		"DELETE /sessions/managers/shop/sessions/AwAAAAAAAAAAAAAAAAAA_w":           `{"ended":1}`,
		"DELETE /sessions/managers/shop/sessions":                                  `{"ended":2}`,
		"DELETE /sessions/managers/empty/sessions":                                 `{"ended":0}`,
		"DELETE /sessions/managers/left/sessions?all=true":                         `{"ended":12345}`,
		"DELETE /sessions/managers/shop/sessions?all=true":                         `503 {"type":"urn:sessionproxy:unavailable","title":"Service Unavailable","status":503,"detail":"the disk is full","ended":7}`,
		"GET /sessions/stats": `{"store":{"batches":3,"writes":1200,"damaged":1,"swept":5,"cache_bytes":1048576,"disk_bytes":5242880,"free_bytes":0,"swept_through":1700000000},` +
			`"managers":[{"id":"shop","sessions":2,"configured":true,"opened":12000,"commits":30,"problems":1,"removed_headers":4}],"streams":1,"locks":{"held":2,"waiting":1},` +
			`"listeners":[{"name":"left","waiting":12000,"dead":0,"oldest":1700000000,"configured":false},{"name":"mail","waiting":3,"dead":1,"oldest":1700003600,"configured":true}]}`,
		"GET /sessions/locks":                                        `{"locks":[{"manager":"shop","session":"AwAAAAAAAAAAAAAAAAAA_w","method":"GET","path":"/a\u001b[31m","age_seconds":1.234,"waiting":1}]}`,
		"GET /sessions/managers/left/sessions?limit=1000":            `{"sessions":[]}`,
		"GET /sessions/managers/shop/sessions?limit=1000":            `{"sessions":[` + oneSession + `],"next":"abc"}`,
		"GET /sessions/managers/shop/sessions?cursor=abc&limit=1000": `{"sessions":[` + evilSession + `]}`,
		"GET /sessions/dead-letters?limit=1000":                      `{"dead_letters":[{"id":"0001","listener":"mail","event":"delete","manager":"shop","session":"x","attempts":9},{"id":"0002","listener":"audit","event":"save","manager":"shop","session":"y","attempts":9}],"next":"xyz"}`,
		"GET /sessions/dead-letters?cursor=xyz&limit=1000":           `{"dead_letters":[{"id":"0003","listener":"mail","event":"save","manager":"shop","session":"z","attempts":9}]}`,
		"POST /sessions/dead-letters/0002/retry":                     `{"id":"0002"}`,
		"POST /sessions/dead-letters/0003/retry":                     `{"id":"0003"}`,
		"GET /sessions/health":                                       `503 {"writable":false,"reason":"the disk is full"}`,
		"GET /sessions/dead-letters?limit=100":                       `{"dead_letters":[{"id":"0001","listener":"mail","event":"delete","reason":"idle","manager":"shop","session":"AwAAAAAAAAAAAAAAAAAA_w","at":1700003600,"attempts":9,"error":"500"}],"next":"xyz"}`,
		"GET /sessions/dead-letters?cursor=xyz&limit=1":              `{"dead_letters":[]}`,
		"POST /sessions/dead-letters/0001/retry":                     `{"id":"0001"}`,
		"POST /sessions/dead-letters/..%2Fbackup/retry":              `404 {"type":"about:blank","title":"Not Found","status":404,"detail":"there is no such dead letter"}`,
		"DELETE /sessions/dead-letters/0001":                         `{"id":"0001"}`,
		"DELETE /sessions/dead-letters/..%2Fbackup":                  `404 {"type":"about:blank","title":"Not Found","status":404,"detail":"there is no such dead letter"}`,
		"DELETE /sessions/backlog?listener=left":                     `{"discarded":12000}`,
		"DELETE /sessions/backlog?listener=a%26b":                    `404 {"type":"about:blank","title":"Not Found","status":404,"detail":"nothing waits for a listener of that name"}`,
		"DELETE /sessions/backlog?listener=mail":                     `409 {"type":"about:blank","title":"Conflict","status":409,"detail":"the listener mail is configured"}`,
		"POST /sessions/restore":                                     `409 {"type":"urn:sessionproxy:not-empty","title":"Conflict","status":409,"detail":"the session store is not empty"}`,
	}}
	server := httptest.NewServer(fake)
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	const file = "testdata/commands.txt"
	text, err := os.ReadFile(file)
	if err != nil && !*caddytest.Update {
		t.Fatal(err)
	}
	want := make(map[string]string)
	for c := range strings.SplitSeq(string(text), "==========\n") {
		line, rest, _ := strings.Cut(c, "\n")
		want[strings.TrimPrefix(line, "$ sessions ")] = rest
	}
	var golden []string
	for _, line := range []string{
		"ls", "ls --json", "ls shop", "ls shop --json", "ls shop --limit 1 --order expires", "ls shop --limit 1 --order expires --json", "ls shop --all", "ls shop --all --json",
		"ls shop --principal alice", "ls empty", "ls empty --json", "ls other", "ls --principal alice", "ls shop --limit 0", "ls shop more", "ls --no-such-flag",
		"show shop AwAAAAAAAAAAAAAAAAAA_w", "show shop AwAAAAAAAAAAAAAAAAAA_w --data", "show shop AwAAAAAAAAAAAAAAAAAA_w --json", "show left AwAAAAAAAAAAAAAAAAAA_w --data",
		"show a/b ?x", "show shop", "find alice", "find alice --json", "find", "health",
		"revoke shop AwAAAAAAAAAAAAAAAAAA_w", "revoke shop --principal alice", "revoke shop --principal alice --except AwAAAAAAAAAAAAAAAAAA_w --json",
		"revoke empty --principal alice", "revoke shop", "revoke shop x --principal alice", "revoke shop --except x",
		"purge left", "purge left --dry-run", "purge left --yes", "purge shop --yes",
		"stats", "stats --json", "top --once", "top --once --json", "top --interval 1ms",
		"dead-letters", "dead-letters --limit 1 --cursor xyz", "dead-letters --all", "dead-letters --all --json",
		"retry 0001", "retry ../backup", "retry --all", "retry --listener mail", "retry --listener nobody", "retry --all 0001", "retry", "restore -",
		"discard 0001", "discard 0001 ../backup --json", "discard", "discard 0001 --listener left", "discard 0001 --yes", "discard --yes",
		"discard --listener left", "discard --listener left --yes", "discard --listener left --yes --json", "discard --listener a&b --yes", "discard --listener mail --yes",
		"restore testdata/no-such-file", "backup", "no-such-command", "doctor --upstream x",
	} {
		t.Run(line, func(t *testing.T) {
			fake.asked = nil
			out, errs, status := runSessions(t, address, "a backup", strings.Fields(line)...)
			var b strings.Builder
			for _, call := range fake.asked {
				fmt.Fprintf(&b, "> %s\n", call)
			}
			b.WriteString(out)
			for l := range strings.Lines(errs) {
				b.WriteString("! " + l)
			}
			fmt.Fprintf(&b, "[%d]\n", status)
			got := strings.ReplaceAll(b.String(), address, "ADDRESS")
			if got != want[line] && !*caddytest.Update {
				t.Errorf("prints\n%s\nwant\n%s", got, want[line])
			}
			golden = append(golden, "$ sessions "+line+"\n"+got)
		})
	}
	if *caddytest.Update {
		if err := os.WriteFile(file, []byte(strings.Join(golden, "==========\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCommandThatCannotPrint has commands print where nothing can be written.
func TestCommandThatCannotPrint(t *testing.T) {
	caddytest.Shop(t, "")
	server := httptest.NewServer(caddytest.AdminMux())
	defer server.Close()
	address := "--address=" + strings.TrimPrefix(server.URL, "http://")
	for _, line := range []string{
		"ls", "ls shop", "ls shop --json", "ls shop --principal alice --json", "stats", "stats --json", "top --once --json",
		"backup -", "revoke shop --principal alice --json",
	} {
		var err error
		cmd := &cobra.Command{SilenceErrors: true, SilenceUsage: true}
		newCLI(nil, full{}, io.Discard).addTo(cmd, func(_ *cobra.Command, e error) error {
			err = e
			return nil
		})
		cmd.SetArgs(append(strings.Fields(line), address))
		if e := cmd.Execute(); e != nil {
			t.Fatal(e)
		}
		if exitStatus(err) != 1 || !strings.Contains(fmt.Sprint(err), "disk is full") {
			t.Errorf("%s: [%d] %v", line, exitStatus(err), err)
		}
	}
}

// full is where nothing can be written.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk is full") }

// TestIDsThatLookLikeFlags: one id in 64 begins with a hyphen, and with a
// letter that may be a flag.
func TestIDsThatLookLikeFlags(t *testing.T) {
	const a, c, two = "-AAAAAAAAAAAAAAAAAAA_w", "-cAAAAAAAAAAAAAAAAAA_w", "--AAAAAAAAAAAAAAAAAA_w"
	fake := new(fakeAdmin)
	server := httptest.NewServer(fake)
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	for line, want := range map[string]string{
		"show shop " + a:                          "GET /sessions/managers/shop/sessions/" + a,
		"show shop " + c + " --data":              "GET /sessions/managers/shop/sessions/" + c + "?data=true",
		"show --data shop " + two:                 "GET /sessions/managers/shop/sessions/" + two + "?data=true",
		"show --data -- shop " + two:              "GET /sessions/managers/shop/sessions/" + two + "?data=true",
		"show shop " + two + " --data -- ":        "GET /sessions/managers/shop/sessions/" + two + "?data=true",
		"revoke shop " + two:                      "DELETE /sessions/managers/shop/sessions/" + two,
		"--json revoke shop " + c:                 "DELETE /sessions/managers/shop/sessions/" + c,
		"revoke shop --principal x --except " + a: `DELETE /sessions/managers/shop/sessions {"except":"` + a + `","principal":"x"}`,
		"revoke shop --principal " + a:            `DELETE /sessions/managers/shop/sessions {"principal":"` + a + `"}`,
	} {
		fake.asked = nil
		_, errs, _ := runSessions(t, address, "", strings.Fields(line)...)
		if len(fake.asked) != 1 || fake.asked[0] != want {
			t.Errorf("%s: asks %q, want %s\n%s", line, fake.asked, want, errs)
		}
	}
	for line, want := range map[string]string{
		"show shop -AAA":                      "unknown shorthand",
		"show shop --AAAAAAAAAAAAAAAAAAAAAAA": "unknown flag",
		"show shop " + a + " " + c:            "wrong number",
		"revoke " + a + " --help":             "log out everywhere",
	} {
		fake.asked = nil
		out, errs, _ := runSessions(t, address, "", strings.Fields(line)...)
		if len(fake.asked) != 0 || !strings.Contains(out+errs, want) {
			t.Errorf("%s: asks %q\n%s%s, want %s", line, fake.asked, out, errs, want)
		}
	}
}

func TestPeriod(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "0s", 0: "0s", 59 * time.Second: "59s", time.Minute: "1m", 61 * time.Second: "1m 1s", time.Hour + time.Second: "1h",
		25*time.Hour + time.Minute: "1d 1h", 48 * time.Hour: "2d", 1499 * time.Millisecond: "1s",
	} {
		if got := period(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"alice@example.org": "alice@example.org", "Zoë ☃": "Zoë ☃", "a\nb": `"a\nb"`, "\x1b[31m": `"\x1b[31m"`, "\u202egro": `"\u202egro"`, "\xff": `"\xff"`,
	} {
		if got := plain(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestCaddyExit: the statuses reach the process.
func TestCaddyExit(t *testing.T) {
	for want, err := range map[string]error{
		"":                      nil,
		"broken":                errors.New("broken"),
		"exiting with status 2": usageError("no"),
		"exiting with status 3": &commandError{exitNothing, errNoSessions},
	} {
		cmd := new(cobra.Command)
		cmd.SetErr(io.Discard)
		got := ""
		if err := caddyExit(cmd, err); err != nil {
			got = err.Error()
		}
		if got != want || cmd.SilenceErrors != (err != nil) {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
