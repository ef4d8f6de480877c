package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/sessionproxy/sessionproxy/caddymodule/adminapi"
)

func (c *cli) healthCommand() subcommand {
	return subcommand{
		use: "health", short: "Tells whether sessions can be read and written",
		long: `
Asks the server whether its session store takes writes. The exit status is 0 if
it does, and 1 if it does not, or if the server cannot be reached: for a probe
that asks often. "doctor" looks further.
`,
		run: func(ctx context.Context, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			resp, err := client.send(ctx, adminRequest{method: http.MethodGet, path: "/sessions/health"})
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			var h adminapi.HealthView
			if err := json.NewDecoder(resp.Body).Decode(&h); err != nil {
				return fmt.Errorf("reading the answer of %s: %w; is that an admin endpoint?", c.address, err)
			}
			switch {
			case h.Writable:
				fmt.Fprintln(c.out, "sessions can be read and written")
				return nil
			case h.Reason == "":
				return errors.New("the session store is unavailable")
			}
			return errors.New("writes are refused: " + h.Reason)
		},
	}
}
