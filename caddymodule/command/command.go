package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "sessions",
		Usage: "<command>",
		Short: "Lists, inspects, ends and backs up the sessions of a running server",
		Long: `
Works on the sessions of a running server, by its admin endpoint: --address
says where it is, or the --config that the server was started with. Without
both it is looked for at Caddy's default address.

Prints tables for people, and with --json what the admin API answers.

Exit status:
  0  done
  1  failed: the server cannot be reached, or could not do it; a check of
     doctor failed
  2  invalid usage
  3  there is no such manager, session or dead letter, or none matched;
     salvage could not read everything
`,
		CobraFunc: func(cmd *cobra.Command) {
			newCLI(os.Stdin, os.Stdout, os.Stderr).addTo(cmd, caddyExit)
		},
	})
}

// Exit statuses, as the help tells them.
const (
	exitFailed, exitUsage, exitNothing = 1, 2, 3
)

// commandError is an error with an exit status of its own; others are exitFailed.
type commandError struct {
	status int
	err    error
}

func (e *commandError) Error() string { return e.err.Error() }
func (e *commandError) Unwrap() error { return e.err }

func usageError(format string, args ...any) error {
	return &commandError{exitUsage, fmt.Errorf(format, args...)}
}

// exitStatus returns what the command ends with.
func exitStatus(err error) int {
	var e *commandError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.status
	}
	return exitFailed
}

// caddyExit prints the error and has Caddy's command end with its status.
func caddyExit(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	fmt.Fprintln(cmd.ErrOrStderr(), "Error:", err)
	if status := exitStatus(err); status != exitFailed {
		return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return status, nil })(cmd, nil)
	}
	return err
}

// cli is the command `sessions` with its surroundings.
type cli struct {
	in       io.Reader
	out, err io.Writer
	now      func() time.Time
	tick     func(time.Duration) <-chan time.Time

	// Flags.
	address, config, adapter string
	json                     bool
}

func newCLI(in io.Reader, out, err io.Writer) *cli {
	return &cli{in: in, out: out, err: err, now: time.Now, tick: time.After}
}

// subcommand is one of the command's own.
type subcommand struct {
	use, short, long string
	least, most      int  // arguments
	ids              bool // of sessions are among them
	flags            func(cmd *cobra.Command)
	run              func(ctx context.Context, args []string) error
}

// addTo adds flags and sub-commands. finish is given the error of each run.
func (c *cli) addTo(parent *cobra.Command, finish func(*cobra.Command, error) error) {
	flags := parent.PersistentFlags()
	flags.StringVar(&c.address, "address", "", "The address of the server's admin endpoint")
	flags.StringVarP(&c.config, "config", "c", "", "The configuration that says where the admin endpoint is")
	flags.StringVarP(&c.adapter, "adapter", "a", "", "The adapter of that configuration")
	flags.BoolVar(&c.json, "json", false, "Print JSON")
	parent.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return finish(cmd, &commandError{exitUsage, err})
	})
	parent.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return finish(cmd, usageError("there is no command %q; --help shows which there are", args[0]))
	}
	for _, s := range []subcommand{
		c.listCommand(), c.findCommand(), c.showCommand(), c.revokeCommand(), c.purgeCommand(), c.lettersCommand(), c.retryCommand(), c.discardCommand(),
		c.statsCommand(), c.healthCommand(), c.topCommand(), c.backupCommand(), c.restoreCommand(), c.salvageCommand(), c.doctorCommand(),
	} {
		cmd := &cobra.Command{Use: s.use, Short: s.short, Long: s.long, DisableFlagParsing: s.ids}
		cmd.Args = cobra.ArbitraryArgs // they are counted below
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if s.ids {
				line, help, err := parseIDs(cmd, args)
				switch {
				case err != nil:
					return finish(cmd, &commandError{exitUsage, err})
				case help:
					return cmd.Help()
				}
				args = line
			}
			if len(args) < s.least || len(args) > s.most {
				return finish(cmd, usageError("wrong number of arguments; it is: sessions %s", s.use))
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			out := &output{w: c.out}
			c.out = out
			err := s.run(ctx, args)
			if err == nil && out.err != nil {
				err = fmt.Errorf("printing: %w", out.err)
			}
			return finish(cmd, err)
		}
		if s.flags != nil {
			s.flags(cmd)
		}
		parent.AddCommand(cmd)
	}
}

// client returns a client of the admin endpoint that the flags mean.
func (c *cli) client() (*adminClient, error) {
	address, err := c.adminAddress()
	if err != nil {
		return nil, fmt.Errorf("finding the admin endpoint: %w", err)
	}
	return newAdminClient(address)
}
