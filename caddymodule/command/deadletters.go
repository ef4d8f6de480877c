package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sessionproxy/sessionproxy/caddymodule/adminapi"
)

func (c *cli) lettersCommand() subcommand {
	var limit int
	var cursor string
	var all bool
	return subcommand{
		use: "dead-letters", short: "Lists what listeners could not be told",
		long: `
Lists events that were tried so often without success that nobody tries them
any more, the oldest first. What they tell of is kept; "retry" tries again.
`,
		flags: func(cmd *cobra.Command) {
			cmd.Flags().IntVar(&limit, "limit", adminapi.DefaultLimit, "How many")
			cmd.Flags().StringVar(&cursor, "cursor", "", "Where to go on: what the list before has printed at its end")
			cmd.Flags().BoolVar(&all, "all", false, "All of them")
		},
		run: func(ctx context.Context, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			if all {
				return c.allLetters(ctx, client)
			}
			q := url.Values{"limit": {strconv.Itoa(limit)}}
			if cursor != "" {
				q.Set("cursor", cursor)
			}
			r := adminRequest{method: http.MethodGet, path: "/sessions/dead-letters?" + q.Encode()}
			if c.json {
				return client.copy(ctx, r, c.out)
			}
			var answer struct {
				Letters []adminapi.LetterView `json:"dead_letters"`
				Next    string
			}
			if err := client.read(ctx, r, &answer); err != nil {
				return err
			}
			return c.printLetters(answer.Letters, answer.Next)
		},
	}
}

// allLetters prints page by page.
func (c *cli) allLetters(ctx context.Context, client *adminClient) error {
	var letters []adminapi.LetterView
	for l, err := range client.letters(ctx) {
		if err != nil {
			return err
		}
		letters = append(letters, l)
	}
	if !c.json {
		return c.printLetters(letters, "")
	}
	text, err := json.Marshal(map[string]any{"dead_letters": letters})
	if err == nil {
		fmt.Fprintf(c.out, "%s\n", text)
	}
	return err
}

// letters asks for all dead letters, page by page. An error ends them.
func (c *adminClient) letters(ctx context.Context) iter.Seq2[adminapi.LetterView, error] {
	return func(yield func(adminapi.LetterView, error) bool) {
		q := url.Values{"limit": {strconv.Itoa(adminapi.MaxLimit)}}
		for {
			var page struct {
				Letters []adminapi.LetterView `json:"dead_letters"`
				Next    string
			}
			if err := c.read(ctx, adminRequest{method: http.MethodGet, path: "/sessions/dead-letters?" + q.Encode()}, &page); err != nil {
				yield(adminapi.LetterView{}, err)
				return
			}
			for _, l := range page.Letters {
				if !yield(l, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			q.Set("cursor", page.Next)
		}
	}
}

func (c *cli) printLetters(letters []adminapi.LetterView, next string) error {
	if len(letters) == 0 {
		fmt.Fprintln(c.err, "no dead letters")
		return nil
	}
	t := table(c.out)
	row(t, "LETTER", "LISTENER", "EVENT", "MANAGER", "SESSION", "HAPPENED", "TRIED", "ERROR")
	now := c.now()
	for _, l := range letters {
		event := l.Event
		if l.Reason != "" {
			event += " (" + l.Reason + ")"
		}
		row(t, plain(l.ID), plain(l.Listener), plain(event), plain(l.Manager), plain(l.Session), ago(l.At, now), l.Attempts, orDash(l.Error))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if next != "" {
		fmt.Fprintf(c.err, "There are more: --cursor %s\n", next)
	}
	return nil
}

func (c *cli) retryCommand() subcommand {
	var listener string
	var all bool
	return subcommand{
		use: "retry (<letter>... | --listener <name> | --all)", short: "Delivers dead letters again", most: adminapi.MaxLimit,
		long: `
Has dead letters delivered again, at once: those that are named, those of one
listener, or all there are now.
`,
		flags: func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&listener, "listener", "", "All of this listener")
			cmd.Flags().BoolVar(&all, "all", false, "All of them")
		},
		run: func(ctx context.Context, args []string) error {
			if ways := min(len(args), 1) + min(len(listener), 1); all && ways > 0 || !all && ways != 1 {
				return usageError("name dead letters, or --listener, or --all, and one of these alone")
			}
			if len(args) == 0 {
				client, err := c.client()
				if err != nil {
					return err
				}
				for l, err := range client.letters(ctx) { // before any is retried: it may be dead again soon
					if err != nil {
						return err
					}
					if all || l.Listener == listener {
						args = append(args, l.ID)
					}
				}
				if len(args) == 0 {
					return &commandError{exitNothing, errors.New("no dead letter matches")}
				}
			}
			return c.eachLetter(ctx, args, http.MethodPost, "/retry", "is tried again")
		},
	}
}

func (c *cli) discardCommand() subcommand {
	var listener string
	var yes bool
	return subcommand{
		use: "discard (<letter>... | --listener <name> --yes)", short: "Drops undelivered events", most: adminapi.MaxLimit,
		long: `
Drops dead letters for good; or, for a listener that is not configured any
more, all that waits for it. "stats" shows which listeners those are. The last
data of ended sessions goes with what told of it.
`,
		flags: func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&listener, "listener", "", "Drop all that waits for this listener, which no configuration has")
			cmd.Flags().BoolVar(&yes, "yes", false, "Yes, all of it")
		},
		run: func(ctx context.Context, args []string) error {
			switch {
			case len(args) > 0 && listener == "" && !yes:
				return c.eachLetter(ctx, args, http.MethodDelete, "", "is discarded")
			case len(args) > 0 || listener == "":
				return usageError("name dead letters, or --listener with --yes, and not both")
			case !yes:
				return usageError("discard drops all that waits for %s; say --yes if that is meant", plain(listener))
			}
			return c.discardBacklog(ctx, listener)
		},
	}
}

func (c *cli) discardBacklog(ctx context.Context, listener string) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	r := adminRequest{method: http.MethodDelete, path: "/sessions/backlog?" + url.Values{"listener": {listener}}.Encode()}
	if c.json {
		return client.copy(ctx, r, c.out)
	}
	var answer struct{ Discarded int64 }
	if err := client.read(ctx, r, &answer); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "discarded %s\n", count(answer.Discarded, "event"))
	return nil
}

// eachLetter does something with dead letters, one after the other, and says
// what became of each.
func (c *cli) eachLetter(ctx context.Context, ids []string, method, suffix, done string) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	for _, id := range ids {
		var answer struct{ ID string }
		r := adminRequest{method: method, path: "/sessions/dead-letters/" + url.PathEscape(id) + suffix}
		if err := client.read(ctx, r, &answer); err != nil {
			return fmt.Errorf("%s: %w", plain(id), err)
		}
		if c.json {
			fmt.Fprintf(c.out, "{\"id\":%q}\n", answer.ID)
		} else {
			fmt.Fprintf(c.out, "%s %s\n", plain(answer.ID), done)
		}
	}
	return nil
}
