package command

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"
	"golang.org/x/term"
)

// table returns a writer of lines with tabs between columns, to be flushed.
func table(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 8, 2, ' ', 0) }

// wideTable is a table whose columns stay in place when it is flushed in parts.
func wideTable(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 12, 8, 2, ' ', 0) }

// row writes a line of a table.
func row(w io.Writer, columns ...any) {
	for i, column := range columns {
		if i > 0 {
			fmt.Fprint(w, "\t")
		}
		fmt.Fprint(w, column)
	}
	fmt.Fprintln(w)
}

// plain returns a text from outside as it can be shown at a terminal: quoted,
// if it holds what is not to be printed.
func plain(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return strconv.QuoteToGraphic(s)
	}
	return s
}

// orDash shows that there is nothing.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return plain(s)
}

// period shows a duration by its two largest units.
func period(d time.Duration) string {
	d = max(0, d.Round(time.Second))
	units := []struct {
		name string
		of   time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}
	for i, u := range units {
		n := d / u.of
		if n == 0 {
			continue
		}
		text := fmt.Sprintf("%d%s", n, u.name)
		if rest := d % u.of; i+1 < len(units) && rest >= units[i+1].of {
			text += fmt.Sprintf(" %d%s", rest/units[i+1].of, units[i+1].name)
		}
		return text
	}
	return "0s"
}

// since, ago and until show how far away a time is; "-" if there is none.
func since(at *int64, now time.Time) string {
	if at == nil {
		return "-"
	}
	return period(now.Sub(time.Unix(*at, 0)))
}

func ago(at *int64, now time.Time) string {
	if at == nil {
		return "-"
	}
	return since(at, now) + " ago"
}

func until(at *int64, now time.Time) string {
	if at == nil {
		return "-"
	}
	return period(time.Unix(*at, 0).Sub(now))
}

// clock shows a time, in the zone of now.
func clock(at *int64, now time.Time) string {
	if at == nil {
		return "-"
	}
	return time.Unix(*at, 0).In(now.Location()).Format("2006-01-02 15:04:05 -0700")
}

func bytesOf(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// count shows a number with its noun.
func count(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return humanize.Comma(n) + " " + noun
}

// output remembers that something could not be written: what is printed in
// part must not look like a success.
type output struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	n, err := o.w.Write(b)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// isTerminal reports whether w is a terminal.
func isTerminal(w any) bool {
	f, ok := terminal(w)
	return ok && term.IsTerminal(int(f.Fd()))
}

// terminal returns the file that w writes to, which may be a terminal.
func terminal(w any) (f *os.File, ok bool) {
	if o, wrapped := w.(*output); wrapped {
		w = o.w
	}
	f, ok = w.(*os.File)
	return f, ok
}
