package command

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/dustin/go-humanize"

	"github.com/sessionproxy/sessionproxy/caddymodule/adminapi"
	"github.com/sessionproxy/sessionproxy/store"
)

func (c *cli) statsCommand() subcommand {
	return subcommand{
		use: "stats", short: "Shows what store, managers and listeners count",
		long: `
Shows sizes and counters. Counters begin at the start of the server.
`,
		run: func(ctx context.Context, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			r := adminRequest{method: http.MethodGet, path: "/sessions/stats"}
			if c.json {
				return client.copy(ctx, r, c.out)
			}
			var s adminapi.StatsView
			if err := client.read(ctx, r, &s); err != nil {
				return err
			}
			return c.printStats(s)
		},
	}
}

// writes says whether the store takes any.
func writes(h *store.Health) string {
	if h.Writable {
		return "yes"
	}
	return "NO: " + plain(h.Reason)
}

func (c *cli) printStats(s adminapi.StatsView) error {
	t := table(c.out)
	row(t, "MANAGER", "SESSIONS", "OPENED", "COMMITS", "PROBLEMS", "SPOOFED HEADERS")
	for _, m := range s.Managers {
		row(t, plain(m.ID), sessionCount(m.Sessions), humanize.Comma(m.Opened), humanize.Comma(m.Commits), humanize.Comma(m.Problems), humanize.Comma(m.Removed))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "\n%s, %s held, %s waiting\n", count(int64(s.Streams), "open stream"), count(int64(s.Locks.Held), "lock"), count(int64(s.Locks.Waiting), "request"))
	if s.Store != nil {
		fmt.Fprintln(c.out, "\nstore")
		t := table(c.out)
		if h := s.Store.Health; h != nil {
			row(t, "  takes writes", writes(h))
			row(t, "  reserve", bytesOf(h.ReserveBytes))
		}
		row(t, "  on disk", bytesOf(s.Store.DiskBytes))
		row(t, "  free disk space", bytesOf(s.Store.FreeBytes))
		row(t, "  cache", bytesOf(s.Store.CacheBytes))
		row(t, "  writes", fmt.Sprintf("%s in %s", humanize.Comma(s.Store.Writes), count(s.Store.Batches, "transaction")))
		row(t, "  swept", count(s.Store.Swept, "session"))
		row(t, "  swept through", clock(s.Store.SweptThrough, c.now()))
		row(t, "  damaged", count(s.Store.Damaged, "record"))
		if s.Store.DamagedLogs > 0 {
			row(t, "  damaged logs", humanize.Comma(s.Store.DamagedLogs))
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if len(s.Listeners) > 0 {
		fmt.Fprintln(c.out)
	}
	return c.printBacklog(c.out, s.Listeners)
}

func (c *cli) printBacklog(w io.Writer, listeners []adminapi.BacklogView) error {
	if len(listeners) == 0 {
		return nil
	}
	t := table(w)
	row(t, "LISTENER", "WAITING", "DEAD", "OLDEST", "CONFIGURED")
	now := c.now()
	for _, l := range listeners {
		row(t, plain(l.Name), humanize.Comma(int64(l.Waiting)), humanize.Comma(int64(l.Dead)), ago(l.Oldest, now), yesNo(l.Configured))
	}
	return t.Flush()
}
