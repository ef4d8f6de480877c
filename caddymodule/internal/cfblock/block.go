package cfblock

import (
	"math"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"
)

// Block reads a block of a Caddyfile whose lines begin with a word each. A
// word that is unknown is refused, and one that comes twice if it must not.
type Block struct {
	d       *caddyfile.Dispenser
	of      string // what the block belongs to, for messages
	Words   map[string]func() error
	Repeats []string // words that may come twice
}

// NewBlock returns the block that begins at the end of this line.
func NewBlock(d *caddyfile.Dispenser, of string) *Block { return &Block{d: d, of: of} }

// Parse reads the block that begins at the end of the line, if one does.
func (b *Block) Parse() error {
	seen := make(map[string]int)
	for nesting := b.d.Nesting(); b.d.NextBlock(nesting); {
		word, line := b.d.Val(), b.d.Line()
		read, ok := b.Words[word]
		if !ok {
			return b.d.Errf("unknown option '%s' of %s%s", word, b.of, didYouMean(word, b.Words))
		}
		if first, ok := seen[word]; ok && !slices.Contains(b.Repeats, word) {
			return b.d.Errf("option '%s' of %s is given twice, first on line %d", word, b.of, first)
		}
		seen[word] = line
		if err := read(); err != nil {
			return err
		}
	}
	return nil
}

// OneArg reads exactly one argument.
func OneArg(d *caddyfile.Dispenser, into *string) error {
	if !d.AllArgs(into) || *into == "" {
		return d.ArgErr()
	}
	return nil
}

// NoArgs reads a word that stands alone.
func NoArgs(d *caddyfile.Dispenser, into *bool) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	*into = true
	return nil
}

// OneOf reads one of the words, of which there are two or more.
func OneOf(d *caddyfile.Dispenser, into *string, words ...string) error {
	option := d.Val()
	if err := OneArg(d, into); err != nil {
		return err
	}
	if !slices.Contains(words, *into) {
		last := len(words) - 1
		return d.Errf("%s is %s or %s, not '%s'", option, strings.Join(words[:last], ", "), words[last], *into)
	}
	return nil
}

// OnOff reads the word on or off.
func OnOff(d *caddyfile.Dispenser, into *bool) error {
	var word string
	if err := OneOf(d, &word, "on", "off"); err != nil {
		return err
	}
	*into = word == "on"
	return nil
}

// Duration reads a duration such as 90s, 30m or 7d, of at least the least.
func Duration(d *caddyfile.Dispenser, into *caddy.Duration, least caddy.Duration) error {
	var text string
	option := d.Val()
	if err := OneArg(d, &text); err != nil {
		return err
	}
	return ParseDuration(d, option, text, into, least)
}

// ParseDuration is Duration for a text that was read already.
func ParseDuration(d *caddyfile.Dispenser, option, text string, into *caddy.Duration, least caddy.Duration) error {
	value, err := caddy.ParseDuration(text)
	if err != nil {
		return d.Errf("parsing %s: %v", option, err)
	}
	if *into = caddy.Duration(value); *into < least {
		return d.Errf("parsing %s: '%s' is too short", option, text)
	}
	return nil
}

// Size reads a number of bytes such as 4096, 4KiB or 1GB.
func Size(d *caddyfile.Dispenser, into *int64, least int64) error {
	var text string
	option := d.Val()
	if err := OneArg(d, &text); err != nil {
		return err
	}
	value, err := humanize.ParseBytes(text)
	if err != nil {
		return d.Errf("parsing %s: '%s' is not a size such as 4KiB", option, text)
	}
	if value > math.MaxInt64 || int64(value) < least {
		return d.Errf("parsing %s: '%s' is out of range", option, text)
	}
	*into = int64(value)
	return nil
}
