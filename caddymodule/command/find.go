package command

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/sessionproxy/sessionproxy/caddymodule/adminapi"
)

// managers asks for the managers that the server knows.
func (c *adminClient) managers(ctx context.Context) ([]adminapi.ManagerView, error) {
	var answer struct{ Managers []adminapi.ManagerView }
	err := c.read(ctx, adminRequest{method: http.MethodGet, path: "/sessions/managers"}, &answer)
	return answer.Managers, err
}

// unknownManager says which managers there are, when a call found none of that name.
func (c *adminClient) unknownManager(ctx context.Context, name string, err error) error {
	if err == nil || err.Error() != adminapi.NoSuchManager {
		return err
	}
	all, other := c.managers(ctx)
	if other != nil {
		return err
	}
	names := make([]string, 0, len(all))
	for _, m := range all {
		if m.ID == name {
			return err
		}
		names = append(names, plain(m.ID))
	}
	return &commandError{exitNothing, fmt.Errorf("there is no manager %q; there are: %s", plain(name), orDash(strings.Join(names, ", ")))}
}

func (c *cli) findCommand() subcommand {
	return subcommand{
		use: "find <principal>", short: "Lists the sessions that somebody is signed in to, of all managers", least: 1, most: 1,
		long: `
Looks through all managers for sessions of a principal. "revoke" ends one, or
all of one manager.
`,
		run: func(ctx context.Context, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			managers, err := client.managers(ctx)
			if err != nil {
				return err
			}
			found := 0
			t := wideTable(c.out)
			now := c.now()
			for _, m := range managers {
				for next := "first"; next != ""; {
					page, err := client.page(ctx, m.ID, args[0], next)
					if err != nil {
						return err
					}
					next = page.Next
					for _, raw := range page.Sessions {
						if found++; c.json {
							line, err := json.Marshal(struct {
								Manager string          `json:"manager"`
								Session json.RawMessage `json:"session"`
							}{m.ID, raw})
							if err != nil {
								return err
							}
							fmt.Fprintf(c.out, "%s\n", line)
							continue
						}
						var s adminapi.SessionView
						if err := json.Unmarshal(raw, &s); err != nil {
							return fmt.Errorf("reading the answer of the admin endpoint: %w", err)
						}
						if found == 1 {
							row(t, "MANAGER", "SESSION", "BEGAN", "IDLE FOR", "ENDS IN", "SIZE")
						}
						row(t, plain(m.ID), plain(s.ID), ago(s.Created, now), since(s.Accessed, now), until(s.Expires, now), bytesOf(int64(s.Size)))
					}
				}
			}
			if found == 0 {
				return &commandError{exitNothing, errNoSessions}
			}
			return t.Flush()
		},
	}
}

// sessionPage is a page of a list.
type sessionPage struct {
	Sessions []json.RawMessage
	Next     string
}

// page asks for sessions of a principal; the cursor of the first page is "first".
func (c *adminClient) page(ctx context.Context, manager, principal, cursor string) (page sessionPage, err error) {
	q := url.Values{"limit": {strconv.Itoa(adminapi.MaxLimit)}}
	if cursor != "first" {
		q.Set("cursor", cursor)
	}
	r := adminRequest{method: http.MethodGet, path: sessionsPath(manager) + "?" + q.Encode()}
	r.json = map[string]string{"principal": principal} // not in the address: it is logged
	return page, c.read(ctx, r, &page)
}
