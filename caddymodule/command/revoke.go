package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/sessionproxy/sessionproxy/caddymodule/adminapi"
)

var errNoSessions = errors.New("no session matches")

func (c *cli) revokeCommand() subcommand {
	var principal, except string
	return subcommand{
		use: "revoke <manager> (<session> | --principal <name> [--except <session>])", short: "Ends a session, or those of a principal", least: 1, most: 2, ids: true,
		long: `
Ends one session, or all that somebody is signed in to: "log out everywhere",
with --except everywhere else. Who uses an ended session is signed out at the
next request; open WebSockets and event streams are closed.
`,
		flags: func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&principal, "principal", "", "End all sessions that this principal is signed in to")
			cmd.Flags().StringVar(&except, "except", "", "But for this session")
		},
		run: func(ctx context.Context, args []string) error {
			r := adminRequest{method: http.MethodDelete, path: sessionsPath(args[0])}
			switch {
			case len(args) == 2 && principal == "" && except == "":
				r.path = sessionsPath(args[0], args[1])
			case len(args) == 2:
				return usageError("name a session, or --principal, and not both")
			case principal == "":
				return usageError("name a session, or --principal; to end all there is purge")
			default:
				named := map[string]string{"principal": principal} // not in the address: it is logged
				if except != "" {
					named["except"] = except
				}
				r.json = named
			}
			return c.end(ctx, r)
		},
	}
}

func (c *cli) purgeCommand() subcommand {
	var yes, dry bool
	return subcommand{
		use: "purge <manager> (--yes | --dry-run)", short: "Ends all sessions of a manager", least: 1, most: 1,
		long: `
Ends all sessions of one manager: everybody is signed out. For a manager that
is not configured any more it removes what it has left behind.
`,
		flags: func(cmd *cobra.Command) {
			cmd.Flags().BoolVar(&yes, "yes", false, "Yes, all of them")
			cmd.Flags().BoolVar(&dry, "dry-run", false, "Say how many there are, and end none")
		},
		run: func(ctx context.Context, args []string) error {
			if !yes || dry {
				return c.wouldPurge(ctx, args[0], dry)
			}
			return c.end(ctx, adminRequest{method: http.MethodDelete, path: sessionsPath(args[0]) + "?all=true"})
		},
	}
}

// wouldPurge says how many sessions a purge would end.
func (c *cli) wouldPurge(ctx context.Context, manager string, dry bool) error {
	sessions := "all sessions"
	if client, err := c.client(); err == nil {
		managers, err := client.managers(ctx)
		if err != nil {
			return err
		}
		for _, m := range managers {
			if m.ID == manager && m.Sessions != nil {
				sessions = count(*m.Sessions, "session")
			}
		}
	}
	if !dry {
		return usageError("purge ends %s of %s; say --yes if that is meant", sessions, plain(manager))
	}
	fmt.Fprintf(c.out, "would end %s of %s\n", sessions, plain(manager))
	return nil
}

// end makes a request that ends sessions, and says how many.
func (c *cli) end(ctx context.Context, r adminRequest) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	var answer adminapi.EndResult
	if err := client.read(ctx, r, &answer); err != nil {
		return err
	}
	if c.json {
		fmt.Fprintf(c.out, "{\"ended\":%d}\n", answer.Ended)
	} else if answer.Ended > 0 {
		fmt.Fprintf(c.out, "ended %s\n", count(int64(answer.Ended), "session"))
	}
	if answer.Ended == 0 {
		return &commandError{exitNothing, errNoSessions}
	}
	return nil
}
