package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/sessionproxy/sessionproxy/caddymodule/stores/badger"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store/badgerstore"
)

func (c *cli) salvageCommand() subcommand {
	var key, temp string
	var certain bool
	return subcommand{
		use: "salvage <dir> <file>|-", short: "Writes what can be read of a damaged store into a backup", least: 2, most: 2,
		long: `
Reads the files of a store that does not open any more, and writes all sessions
that can be read into a backup, for "restore". Works without a server, on a
directory that no server has open, and changes nothing in it. What is lost is
told on standard error.

A copy of the store is built beside the file, or in --temp, and removed at the
end. It and the backup hold the data of all sessions in clear.

Where something was lost, sessions may be as of an earlier moment, and some may
be back that had ended, as after the restore of an older backup. They are
counted as doubtful, and their tickets are good; --certain leaves them out.

The exit status is 0 if nothing was lost, 3 if something was, and 1 if nothing
can be read.
`,
		flags: func(cmd *cobra.Command) {
			flags := cmd.Flags()
			flags.StringVar(&key, "encryption-key", "", "The store's encryption_key, best as {env.NAME} or {file./path}; default: that of --config")
			flags.StringVar(&temp, "temp", "", "The directory to work in, with as much space as the store takes")
			flags.BoolVar(&certain, "certain", false, "Leave out sessions that may have changed or ended in what was lost")
		},
		run: func(ctx context.Context, args []string) error {
			dir, file := args[0], args[1]
			o := badgerstore.SalvageOptions{Dir: dir, Temp: temp, Certain: certain, Check: session.CheckRecord}
			var err error
			if o.EncryptionKey, err = c.encryptionKey(key); err != nil {
				return err
			}
			if o.Temp == "" {
				o.Temp = filepath.Dir(file)
			}
			places := []string{o.Temp}
			if file != "-" {
				places = append(places, filepath.Dir(file))
			}
			for _, written := range places {
				inside, err := isInside(written, dir)
				switch {
				case err != nil:
					return err
				case inside:
					return usageError("%s is in the directory that is read, and nothing is written there: choose another place, with --temp for the copy", written)
				}
			}
			var out *badgerstore.Salvaged
			write := func(w io.Writer) (_ int64, err error) {
				out, err = badgerstore.Salvage(ctx, o, w)
				return 0, err
			}
			if file == "-" {
				_, err = write(c.out)
			} else {
				_, err = writeFile(file, write)
			}
			if out != nil {
				for _, fault := range out.Faults {
					fmt.Fprintln(c.err, fault)
				}
			}
			if err != nil {
				return err
			}
			return c.salvaged(file, out)
		},
	}
}

// salvagedView is what salvage prints with --json.
type salvagedView struct {
	Complete       bool     `json:"complete"`
	Sessions       int64    `json:"sessions"`
	Deliveries     int64    `json:"deliveries"`
	LostSessions   int64    `json:"lost_sessions"`
	LostDeliveries int64    `json:"lost_deliveries"`
	Ended          int64    `json:"ended"`
	Doubtful       int64    `json:"doubtful"`
	Faults         []string `json:"faults"`
}

// salvaged tells what has come, and fails if that is not all.
func (c *cli) salvaged(file string, s *badgerstore.Salvaged) error {
	out := c.out
	if file == "-" {
		out = c.err
	}
	if c.json {
		err := json.NewEncoder(out).Encode(salvagedView{
			s.Complete(), s.Sessions, s.Deliveries, s.LostSessions, s.LostDeliveries, s.Ended, s.Doubtful, append([]string{}, s.Faults...),
		})
		if err != nil {
			return fmt.Errorf("printing: %w", err)
		}
	} else {
		fmt.Fprintf(out, "%s: %s, %s\n", file, count(s.Sessions, "session"), events(s.Deliveries))
	}
	if s.Complete() {
		return nil
	}
	lost := []string{count(s.LostSessions, "session") + " at least", events(s.LostDeliveries)}
	if s.Ended > 0 {
		lost = append(lost, fmt.Sprintf("left out since they have ended: %d", s.Ended))
	}
	if s.Doubtful > 0 {
		lost = append(lost, fmt.Sprintf("doubtful, since they may have changed or ended in what is lost: %d", s.Doubtful))
	}
	return &commandError{exitNothing, errors.New("not everything could be read; lost: " + strings.Join(lost, ", "))}
}

// events counts what listeners are to be told.
func events(n int64) string { return count(n, "event") + " for listeners" }

// encryptionKey returns the key that is given, or that of the configuration.
func (c *cli) encryptionKey(text string) ([]byte, error) {
	if text == "" && c.config != "" {
		config, _, _, err := caddycmd.LoadConfig(c.config, c.adapter)
		if err != nil {
			return nil, fmt.Errorf("loading the configuration: %w", err)
		}
		var parts struct {
			Apps struct {
				Sessions struct {
					Store struct {
						EncryptionKey string `json:"encryption_key"`
					} `json:"store"`
				} `json:"sessions"`
			} `json:"apps"`
		}
		if err := json.Unmarshal(config, &parts); err != nil {
			return nil, fmt.Errorf("reading the configuration: %w", err)
		}
		text = parts.Apps.Sessions.Store.EncryptionKey
	}
	key, err := caddy.NewReplacer().ReplaceOrErr(text, true, true)
	if err != nil {
		return nil, fmt.Errorf("resolving encryption_key: %w", err)
	}
	raw, err := badger.DecodeKey(key)
	if err != nil {
		return nil, fmt.Errorf("reading encryption_key: %w", err)
	}
	return []byte(raw), nil
}

// isInside reports whether a path is a directory or stands in it.
func isInside(path, dir string) (bool, error) {
	if _, err := os.Stat(dir); err != nil {
		return false, fmt.Errorf("looking for the store: %w", err)
	}
	path, err := badger.CanonicalDir(path)
	if err != nil {
		return false, err
	}
	if dir, err = badger.CanonicalDir(dir); err != nil {
		return false, err
	}
	return path == dir || strings.HasPrefix(path, dir+string(filepath.Separator)), nil
}
