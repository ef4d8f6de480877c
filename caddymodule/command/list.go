package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/sessionproxy/sessionproxy/caddymodule/adminapi"
)

func sessionsPath(manager string, id ...string) string {
	path := "/sessions/managers/" + url.PathEscape(manager) + "/sessions"
	if len(id) > 0 {
		path += "/" + url.PathEscape(id[0])
	}
	return path
}

// listing is what `ls` is asked for.
type listing struct {
	manager, principal, order, cursor string
	limit                             int
	all                               bool
}

func (c *cli) listCommand() subcommand {
	var l listing
	return subcommand{
		use: "ls [<manager>]", short: "Lists managers, or the sessions of one", most: 1,
		long: `
Without a manager, lists the managers. With one, lists its sessions, the newest
first: how long ago they began, how long nobody has used them, and when they
end if that stays so.
`,
		flags: func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&l.principal, "principal", "", "Only sessions that this principal is signed in to")
			cmd.Flags().StringVar(&l.order, "order", "created", "created: the newest first; expires: the next to end first")
			cmd.Flags().IntVar(&l.limit, "limit", adminapi.DefaultLimit, "How many sessions")
			cmd.Flags().StringVar(&l.cursor, "cursor", "", "Where to go on: the next of the list before, as --json shows it")
			cmd.Flags().BoolVar(&l.all, "all", false, "All sessions")
		},
		run: func(ctx context.Context, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			if len(args) == 0 && (l.principal != "" || l.cursor != "" || l.all) {
				return usageError("name the manager whose sessions are meant")
			}
			if len(args) == 0 {
				return c.listManagers(ctx, client)
			}
			l.manager = args[0]
			return client.unknownManager(ctx, l.manager, c.list(ctx, client, l))
		},
	}
}

func (c *cli) listManagers(ctx context.Context, client *adminClient) error {
	r := adminRequest{method: http.MethodGet, path: "/sessions/managers"}
	if c.json {
		return client.copy(ctx, r, c.out)
	}
	var answer struct{ Managers []adminapi.ManagerView }
	if err := client.read(ctx, r, &answer); err != nil {
		return err
	}
	if len(answer.Managers) == 0 {
		fmt.Fprintln(c.err, "no managers")
		return nil
	}
	t := table(c.out)
	row(t, "MANAGER", "SESSIONS", "CONFIGURED")
	for _, m := range answer.Managers {
		row(t, plain(m.ID), sessionCount(m.Sessions), yesNo(m.Configured))
	}
	return t.Flush()
}

func sessionCount(n *int64) string {
	if n == nil {
		return "-"
	}
	return humanize.Comma(*n)
}

// list prints page by page, so that a long list begins at once.
func (c *cli) list(ctx context.Context, client *adminClient, l listing) error {
	if l.limit < 1 {
		return usageError("--limit is at least 1")
	}
	shown, next := 0, l.cursor
	for {
		q := url.Values{"order": {l.order}, "limit": {strconv.Itoa(adminapi.MaxLimit)}}
		if !l.all {
			q.Set("limit", strconv.Itoa(min(l.limit-shown, adminapi.MaxLimit)))
		}
		if next != "" {
			q.Set("cursor", next)
		}
		r := adminRequest{method: http.MethodGet, path: sessionsPath(l.manager) + "?" + q.Encode()}
		if l.principal != "" {
			r.json = map[string]string{"principal": l.principal} // not in the address: it is logged
		}
		var page struct {
			Sessions []json.RawMessage
			Next     string
		}
		if err := client.read(ctx, r, &page); err != nil {
			return err
		}
		next = page.Next
		if err := c.printPage(page.Sessions, shown); err != nil {
			return err
		}
		shown += len(page.Sessions)
		if next == "" || !l.all && shown >= l.limit {
			return c.endList(shown, next)
		}
	}
}

func (c *cli) printPage(sessions []json.RawMessage, before int) error {
	if c.json {
		for i, s := range sessions {
			sep := ",\n"
			if before+i == 0 {
				sep = `{"sessions":[` + "\n"
			}
			fmt.Fprintf(c.out, "%s%s", sep, s)
		}
		return nil
	}
	if len(sessions) == 0 {
		return nil
	}
	t := wideTable(c.out)
	if before == 0 {
		row(t, "SESSION", "BEGAN", "IDLE FOR", "ENDS IN", "SIZE", "PRINCIPAL")
	}
	now := c.now()
	for _, text := range sessions {
		var s adminapi.SessionView
		if err := json.Unmarshal(text, &s); err != nil {
			return fmt.Errorf("reading the answer of the admin endpoint: %w", err)
		}
		row(t, plain(s.ID), ago(s.Created, now), since(s.Accessed, now), until(s.Expires, now), bytesOf(int64(s.Size)), orDash(s.Principal))
	}
	return t.Flush()
}

// endList closes the list, and says whether there is more.
func (c *cli) endList(shown int, next string) error {
	if c.json {
		if shown == 0 {
			fmt.Fprint(c.out, `{"sessions":[`)
		}
		fmt.Fprint(c.out, "]")
		if next != "" {
			fmt.Fprintf(c.out, `,"next":%q`, next)
		}
		fmt.Fprintln(c.out, "}")
	}
	switch {
	case shown == 0:
		return &commandError{exitNothing, errNoSessions}
	case next != "" && !c.json:
		fmt.Fprintln(c.err, "There are more: --all lists them, --limit more of them.")
	}
	return nil
}

func (c *cli) showCommand() subcommand {
	var data bool
	return subcommand{
		use: "show <manager> <session>", short: "Shows one session", least: 2, most: 2, ids: true,
		long: `
Shows what is known of one session; with --data its data, too, if the option
"admin_data on" of the server's configuration allows it.
`,
		flags: func(cmd *cobra.Command) {
			cmd.Flags().BoolVar(&data, "data", false, "Show the data, too")
		},
		run: func(ctx context.Context, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			r := adminRequest{method: http.MethodGet, path: sessionsPath(args[0], args[1])}
			if data {
				r.path += "?data=true"
			}
			if c.json {
				return client.copy(ctx, r, c.out)
			}
			var s adminapi.SessionView
			if err := client.read(ctx, r, &s); err != nil {
				return client.unknownManager(ctx, args[0], err)
			}
			return c.printSession(args[0], s)
		},
	}
}

func (c *cli) printSession(manager string, s adminapi.SessionView) error {
	now := c.now()
	t := table(c.out)
	row(t, "session", plain(s.ID))
	row(t, "manager", plain(manager))
	row(t, "principal", orDash(s.Principal))
	row(t, "created", clock(s.Created, now)+"  ("+ago(s.Created, now)+")")
	row(t, "accessed", clock(s.Accessed, now)+"  ("+ago(s.Accessed, now)+")")
	row(t, "written", clock(s.Written, now)+"  ("+ago(s.Written, now)+")")
	row(t, "expires", clock(s.Expires, now)+"  (in "+until(s.Expires, now)+")")
	row(t, "size", bytesOf(int64(s.Size)))
	row(t, "version", plain(s.Version))
	if err := t.Flush(); err != nil {
		return err
	}
	if err := c.printCookies(s); err != nil || s.Data == nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, s.Data, "", "  "); err != nil {
		return fmt.Errorf("reading the session's data: %w", err)
	}
	fmt.Fprintf(c.out, "\n%s\n", b.Bytes())
	return nil
}
