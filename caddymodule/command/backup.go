package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/dustin/go-humanize"
)

func (c *cli) backupCommand() subcommand {
	return subcommand{
		use: "backup <file>|-", short: "Copies all sessions into a file", least: 1, most: 1,
		long: `
Copies everything that the server keeps, as of one moment, while it goes on.
The file appears when it is complete, in place of an older one of that name;
only its owner can read it. "-" writes to standard output.

The data of all sessions is in it, in clear: encrypt what leaves the machine.
`,
		run: func(ctx context.Context, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			write := func(w io.Writer) (int64, error) { return c.fetch(ctx, client, w) }
			if args[0] == "-" {
				_, err := write(c.out)
				return err
			}
			n, err := writeFile(args[0], write)
			if err != nil {
				return fmt.Errorf("backing up into %s: %w", args[0], err)
			}
			return c.done("backup", n, fmt.Sprintf("%s: %s\n", args[0], bytesOf(n)))
		},
	}
}

// done reports one number.
func (c *cli) done(name string, n int64, text string) error {
	if c.json {
		text = fmt.Sprintf("{%q:%d}\n", name, n)
	}
	fmt.Fprint(c.out, text)
	return nil
}

// fetch copies the server's backup to w. A transfer that was broken off is an error.
func (c *cli) fetch(ctx context.Context, client *adminClient, w io.Writer) (int64, error) {
	resp, err := client.do(ctx, adminRequest{method: http.MethodGet, path: "/sessions/backup"})
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	p := c.progress(0)
	n, err := io.Copy(io.MultiWriter(w, p), resp.Body)
	p.end()
	switch {
	case ctx.Err() != nil:
		return n, errors.New("interrupted")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return n, fmt.Errorf("the server broke off after %s; its log says why", bytesOf(n))
	}
	return n, err
}

// writeFile has a file written beside its place, and moves it there when it is
// complete and on the disk. Otherwise nothing is left of it.
func writeFile(name string, write func(io.Writer) (int64, error)) (n int64, err error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return 0, errors.New("it is no regular file, and a backup takes the place of what is there; \"-\" writes to standard output")
	}
	dir := filepath.Dir(name)
	f, err := os.CreateTemp(dir, "."+filepath.Base(name)+"-*") // for its owner alone
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if n, err = write(f); err != nil {
		return n, err
	}
	if err := f.Sync(); err != nil {
		return n, err
	}
	if err := f.Close(); err != nil {
		return n, err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return n, err
	}
	d, err := os.Open(dir)
	if err != nil {
		return n, nil // it is in place; a directory need not be readable
	}
	defer d.Close()
	_ = d.Sync() // not every file system has it
	return n, nil
}

func (c *cli) restoreCommand() subcommand {
	return subcommand{
		use: "restore <file>|-", short: "Brings a copy of all sessions into an empty store", least: 1, most: 1,
		long: `
Sends a backup to a server whose store has no sessions. A file that is cut off,
damaged or of another kind is refused, and changes nothing. Start a server with
an empty directory to restore, before browsers reach it: visitors' tickets are
good if its ticket keys are the same.
`,
		run: func(ctx context.Context, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			in, size := c.in, int64(0)
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return fmt.Errorf("restoring: %w", err)
				}
				defer f.Close()
				if info, err := f.Stat(); err == nil {
					size = info.Size()
				}
				in = f
			}
			p := c.progress(size)
			var answer struct{ Restored int64 }
			// Without its Close: the client would close a file that is still needed.
			body := io.TeeReader(struct{ io.Reader }{in}, p)
			err = client.read(ctx, adminRequest{method: http.MethodPost, path: "/sessions/restore", stream: body}, &answer)
			p.end()
			if err != nil {
				return fmt.Errorf("restoring %s: %w", args[0], err)
			}
			return c.done("restored", answer.Restored, fmt.Sprintf("restored %s\n", count(answer.Restored, "session")))
		},
	}
}

// progress draws a progress bar if the output is a terminal.
type progress struct {
	cli   *cli
	shown bool
	total int64 // zero if it is unknown
	n     int64
	began time.Time
	last  time.Time
}

func (c *cli) progress(total int64) *progress {
	now := c.now()
	return &progress{cli: c, total: total, began: now, last: now}
}

// Write counts.
func (p *progress) Write(b []byte) (int, error) {
	p.n += int64(len(b))
	if now := p.cli.now(); now.Sub(p.last) >= 200*time.Millisecond && isTerminal(p.cli.err) {
		p.last, p.shown = now, true
		text := bytesOf(p.n)
		if p.total > 0 {
			const width = 30
			done := int(min(p.n, p.total) * width / p.total)
			text = fmt.Sprintf("[%-*s] %3d%%  %s", width, bar[:done], min(p.n, p.total)*100/p.total, text)
		}
		if s := now.Sub(p.began).Seconds(); s > 0 {
			text += "  " + humanize.IBytes(uint64(float64(p.n)/s)) + "/s"
		}
		fmt.Fprintf(p.cli.err, "\r%s    ", text)
	}
	return len(b), nil
}

const bar = "##############################"

// end ends the line.
func (p *progress) end() {
	if p.shown {
		fmt.Fprintln(p.cli.err)
	}
}
