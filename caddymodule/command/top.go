package command

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sessionproxy/sessionproxy/caddymodule/adminapi"
)

// maxLocks is how many locks `top` shows.
const maxLocks = 10

func (c *cli) topCommand() subcommand {
	var once bool
	every := 2 * time.Second
	return subcommand{
		use: "top", short: "Shows live activity",
		long: `
Shows how many sessions are opened and committed in a second, which locks are
held the longest, and what waits for listeners, until Ctrl-C. What is not a
terminal, or a dumb one, gets one picture below the other. With --json each
picture is one line: what "stats --json" prints.
`,
		flags: func(cmd *cobra.Command) {
			cmd.Flags().BoolVar(&once, "once", false, "Show one picture")
			cmd.Flags().DurationVar(&every, "interval", every, "How long to wait between two")
		},
		run: func(ctx context.Context, _ []string) error {
			if every < 100*time.Millisecond {
				return usageError("--interval is at least 100ms")
			}
			client, err := c.client()
			if err != nil {
				return err
			}
			t := &top{cli: c, client: client, every: every, inPlace: isTerminal(c.out) && os.Getenv("TERM") != "dumb" && os.Getenv("TERM") != ""}
			t.size = func() (int, int) { return terminalSize(c.out) }
			return t.run(ctx, once)
		},
	}
}

// top shows pictures of a server.
type top struct {
	*cli
	client  *adminClient
	every   time.Duration
	inPlace bool
	size    func() (columns, rows int) // of the terminal; 0 if unknown
}

// sample is what one picture is made of.
type sample struct {
	at    time.Time
	stats adminapi.StatsView
	locks []adminapi.LockView
}

// run needs two samples for rates: they are differences. The first picture
// has none, unless it is to be the only one.
func (t *top) run(ctx context.Context, once bool) error {
	before, err := t.look(ctx)
	if err != nil || t.json && once {
		return err
	}
	if !t.json && !once {
		if err := t.draw(before, before); err != nil {
			return err
		}
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.tick(t.every):
		}
		now, err := t.look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // interrupted, not failed
		case err != nil && once:
			return err
		case err != nil: // it may come back
			t.show(fmt.Appendf(nil, "%s\n", err))
			continue
		}
		if !t.json {
			if err := t.draw(before, now); err != nil {
				return err
			}
		}
		if once {
			return nil
		}
		before = now
	}
}

func (t *top) look(ctx context.Context) (s sample, err error) {
	r := adminRequest{method: http.MethodGet, path: "/sessions/stats"}
	if t.json {
		return s, t.client.copy(ctx, r, t.out)
	}
	if err := t.client.read(ctx, r, &s.stats); err != nil {
		return s, err
	}
	var answer struct{ Locks []adminapi.LockView }
	r.path = "/sessions/locks"
	err = t.client.read(ctx, r, &answer)
	s.at, s.locks = t.now(), answer.Locks
	return s, err
}

// draw makes the picture: all of it first, so that it does not flicker.
func (t *top) draw(before, now sample) error {
	seconds := now.at.Sub(before.at).Seconds()
	rate := func(was, is int64) string {
		if seconds <= 0 || is < was { // the server has begun anew
			return "-"
		}
		return humanize.CommafWithDigits(float64(is-was)/seconds, 1)
	}
	was := make(map[string]adminapi.ManagerStats)
	for _, m := range before.stats.Managers {
		was[m.ID] = m
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "sessions at %s, %s\n\n", plain(t.client.address), now.at.Format("15:04:05"))
	w := table(&b)
	row(w, "MANAGER", "SESSIONS", "OPENED/S", "COMMITS/S", "PROBLEMS/S")
	for _, m := range now.stats.Managers {
		o := was[m.ID]
		row(w, plain(m.ID), sessionCount(m.Sessions), rate(o.Opened, m.Opened), rate(o.Commits, m.Commits), rate(o.Problems, m.Problems))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(&b, "\n%s, %s held, %s waiting\n", count(int64(now.stats.Streams), "open stream"),
		count(int64(now.stats.Locks.Held), "lock"), count(int64(now.stats.Locks.Waiting), "request"))
	if st, old := now.stats.Store, before.stats.Store; st != nil && old != nil {
		fmt.Fprintf(&b, "store: %s writes/s in %s transactions/s, %s swept/s, %s on disk, %s free\n", rate(old.Writes, st.Writes),
			rate(old.Batches, st.Batches), rate(old.Swept, st.Swept), bytesOf(st.DiskBytes), bytesOf(st.FreeBytes))
	}
	if len(now.locks) > 0 {
		fmt.Fprintln(&b)
		w := table(&b)
		row(w, "LOCKED FOR", "WAITING", "MANAGER", "SESSION", "BY")
		for _, l := range now.locks[:min(len(now.locks), maxLocks)] {
			row(w, fmt.Sprintf("%.1fs", l.Age), l.Waiting, plain(l.Manager), plain(l.Session), plain(l.Method+" "+l.Path))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if len(now.stats.Listeners) > 0 {
		fmt.Fprintln(&b)
		if err := t.printBacklog(&b, now.stats.Listeners); err != nil {
			return err
		}
	}
	t.show(b.Bytes())
	return nil
}

// show puts a picture in place of the one before, or below it.
func (t *top) show(picture []byte) {
	if !t.inPlace {
		fmt.Fprintf(t.out, "%s\n", picture)
		return
	}
	columns, rows := t.size()
	picture = firstLines(picture, rows-1) // the cursor is below
	if columns > 0 {
		picture = cutLines(picture, columns)
	}
	// Home, without wrapping; each line cleared behind its end; all below cleared.
	picture = bytes.ReplaceAll(picture, []byte("\n"), []byte("\x1b[K\n"))
	fmt.Fprintf(t.out, "\x1b[H\x1b[?7l%s\x1b[J\x1b[?7h", picture)
}

// firstLines returns so many lines of a text; all of them, if n is not positive.
func firstLines(text []byte, n int) []byte {
	end := 0
	for range n {
		i := bytes.IndexByte(text[end:], '\n')
		if i < 0 {
			return text
		}
		end += i + 1
	}
	if n <= 0 {
		return text
	}
	return text[:end]
}

// cutLines shortens the lines of a text that are longer than so many characters.
func cutLines(text []byte, most int) []byte {
	lines := bytes.Split(text, []byte("\n"))
	for i, line := range lines {
		if chars := []rune(string(line)); len(chars) > most {
			lines[i] = append([]byte(strings.TrimRight(string(chars[:most-1]), " ")), "…"...)
		}
	}
	return bytes.Join(lines, []byte("\n"))
}

// terminalSize returns the size of the terminal, or zeros if it is unknown.
func terminalSize(w any) (columns, rows int) {
	f, ok := terminal(w)
	if !ok {
		return 0, 0
	}
	columns, rows, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0, 0
	}
	return columns, rows
}
