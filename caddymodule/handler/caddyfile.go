package handler

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sessionproxy/sessionproxy/caddymodule/app"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/cfblock"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

const directive = "session"

func init() {
	httpcaddyfile.RegisterDirective(directive, parseDirective)
	// Before header, redir, rewrite, basic_auth, forward_auth, request_header
	// and all else that may ask for the session: a guard that stood before it
	// would find no user signed in. After map and vars, which look up their
	// sources late, and after log_skip and log_name, which have no use for it.
	// A request_header line can undo what is injected: checkRoutes refuses it.
	httpcaddyfile.RegisterDirectiveOrder(directive, httpcaddyfile.Before, "header")
}

// parseDirective makes the route of the directive.
func parseDirective(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // the directive's name
	state, words := sessionsOf(h), siteWords(h)
	place := fmt.Sprintf("%s:%d", h.File(), h.Line())
	matchers, err := h.ExtractMatcherSet() // takes the matcher out of the words
	if err != nil {
		return nil, err
	}
	if err := errMeeting(words, state.matched); err != nil {
		return nil, err
	}
	state.matched[place] = matchers != nil
	handler, err := parseSession(h)
	if err != nil {
		return nil, err
	}
	if s, ok := handler.(*Handler); ok && !s.Off {
		s.HideFromGateways = sortedBeforeGateways(words, place)
	}
	return h.NewRoute(matchers, handler), nil
}

// parseSession reads the directive:
//
//	session [<matcher>] off
//	session [<matcher>] [<manager>] {
//		locking lossy|serialized|optimistic {
//			wait <duration>          # serialized
//			queue <n>                # serialized
//			on_conflict <way>...     # optimistic: merge, restart [<n>], fail
//			replayable <matcher>     # optimistic
//			replay_limit <size>      # optimistic
//		}
//		read_only <request matcher>
//		passive <request matcher>
//		idle_timeout <duration>
//		absolute_timeout <duration>
//		max_timeout <idle> <absolute>
//		assurance aal1|aal2|aal3
//		rotate_every <duration> [grace <duration>]
//		max_per_principal <n> evict_oldest|refuse
//		bind host
//		create on_write|always
//		forward data|endpoint|id
//		inline_limit <size>
//		max_size <size>
//		commit_on success|any
//		on_store_failure closed|open
//		on_end close|keep
//		ticket cookie [<name>] {
//			path <path>
//			domain <domain>
//			same_site lax|strict|none
//			secure auto|always
//			persist
//			partitioned
//		}
//		ticket header <name>
//		ticket bearer
//		cookies {                    # see parseCookies
//			...
//		}
//		listener <module> [...]      # any number of them
//	}
//
// A request matcher is @name, one matcher on the line, or a block of matchers.
func parseSession(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next() // the directive's name
	place := fmt.Sprintf("%s:%d", h.File(), h.Line())
	args := h.RemainingArgs()
	if len(args) > 1 {
		return nil, h.Errf("session takes one name, and '%s' is too many", args[1])
	}
	s := new(Handler)
	if len(args) == 1 && args[0] == "off" {
		s.Off = true
		if h.NextBlock(0) {
			return nil, h.Errf("session off takes no block, but here is '%s'", h.Val())
		}
		return s, nil
	}
	b := cfblock.NewBlock(h.Dispenser, directive)
	b.Words, b.Repeats = s.options(h), []string{"ticket", "listener"}
	if err := b.Parse(); err != nil {
		return nil, err
	}
	state := sessionsOf(h)
	if len(args) == 1 {
		s.Manager = args[0]
	} else if err := state.name(h, s, place); err != nil {
		return nil, err
	}
	// The block has been read, so the helper would name its last line.
	resolved, err := s.resolve()
	if err != nil {
		return nil, fmt.Errorf("%w, at %s", err, place)
	}
	n, err := resolved.registration(place)
	if err != nil {
		return nil, fmt.Errorf("%w, at %s", err, place)
	}
	return s, state.managers.Add(n)
}

func (s *Handler) options(h httpcaddyfile.Helper) map[string]func() error {
	d := h.Dispenser
	return map[string]func() error{
		"locking":          func() error { return s.parseLocking(h) },
		"read_only":        func() error { return parseMatcher(h, &s.ReadOnlyRaw) },
		"passive":          func() error { return parseMatcher(h, &s.PassiveRaw) },
		"idle_timeout":     func() error { return cfblock.Duration(d, &s.IdleTimeout, 1) },
		"absolute_timeout": func() error { return cfblock.Duration(d, &s.AbsoluteTimeout, 1) },
		"max_timeout":      func() error { return s.parseMaxTimeout(h) },
		"assurance":        func() error { return cfblock.OneOf(d, &s.Assurance, session.AssuranceLevels()...) },
		"rotate_every":     func() error { return s.parseRotation(d) },
		"max_per_principal": func() error {
			s.MaxPerPrincipal = new(PrincipalLimit)
			return s.MaxPerPrincipal.parse(d)
		},
		"bind":   func() error { return cfblock.OneArg(d, &s.Bind) },
		"create": func() error { return cfblock.OneOf(d, &s.Create, createOnWrite, createAlways) },
		"inline_limit": func() error {
			s.InlineLimit = new(int64)
			return cfblock.Size(d, s.InlineLimit, 0)
		},
		"max_size":         func() error { return cfblock.Size(d, &s.MaxSize, 1) },
		"commit_on":        func() error { return cfblock.OneOf(d, &s.CommitOn, commitOnSuccess, commitOnAny) },
		"on_store_failure": func() error { return cfblock.OneOf(d, &s.OnStoreFailure, failClosed, failOpen) },
		"on_end":           func() error { return cfblock.OneOf(d, &s.OnEnd, endClose, endKeep) },
		"forward":          func() error { return cfblock.OneOf(d, &s.Forward, forwards...) },
		"ticket":           func() error { return s.parseTicket(d) },
		"cookies":          func() error { return s.parseCookies(h) },
		"listener":         func() error { return s.parseListener(d) },
	}
}

func (s *Handler) parseLocking(h httpcaddyfile.Helper) error {
	d := h.Dispenser
	s.Locking = new(Locking)
	if err := cfblock.OneOf(d, &s.Locking.Policy, "lossy", "serialized", "optimistic"); err != nil {
		return err
	}
	b := cfblock.NewBlock(d, "locking "+s.Locking.Policy)
	switch s.Locking.Policy {
	case "serialized":
		b.Words = map[string]func() error{
			"wait": func() error {
				s.Locking.Wait = new(caddy.Duration)
				return cfblock.Duration(d, s.Locking.Wait, 0)
			},
			"queue": func() error {
				var text string
				if err := cfblock.OneArg(d, &text); err != nil {
					return err
				}
				n, err := strconv.Atoi(text)
				if err != nil || n < 1 {
					return d.Errf("parsing queue: '%s' is not a positive number", text)
				}
				s.Locking.Queue = &n
				return nil
			},
		}
	case "optimistic":
		b.Words = map[string]func() error{
			"on_conflict":  func() error { return s.Locking.parseConflicts(d) },
			"replayable":   func() error { return parseMatcher(h, &s.Locking.ReplayableRaw) },
			"replay_limit": func() error { return cfblock.Size(d, &s.Locking.ReplayLimit, 1) },
		}
	}
	return b.Parse()
}

// parseConflicts reads the ways to settle a conflict: words, and a number
// behind restart.
func (l *Locking) parseConflicts(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.ArgErr()
	}
	for i, arg := range args {
		if n, err := strconv.Atoi(arg); err == nil && i > 0 && args[i-1] == conflictRestart {
			if n < 1 {
				return d.Errf("parsing on_conflict: '%s' is not a positive number", arg)
			}
			l.Restarts = n
			continue
		}
		l.OnConflict = append(l.OnConflict, arg)
	}
	return nil
}

func (s *Handler) parseMaxTimeout(h httpcaddyfile.Helper) error {
	var idle, absolute string
	if !h.AllArgs(&idle, &absolute) {
		return h.ArgErr()
	}
	if err := cfblock.ParseDuration(h.Dispenser, "max_timeout", idle, &s.MaxIdleTimeout, 1); err != nil {
		return err
	}
	return cfblock.ParseDuration(h.Dispenser, "max_timeout", absolute, &s.MaxAbsoluteTimeout, 1)
}

// parseListener reads:
//
//	listener <module> [...]
func (s *Handler) parseListener(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	mod, err := caddyfile.UnmarshalModule(d, app.ListenerNamespace+"."+name)
	if err != nil {
		return err
	}
	if _, ok := mod.(app.Listener); !ok {
		return d.Errf("module %s.%s is not a session listener", app.ListenerNamespace, name)
	}
	s.ListenersRaw = append(s.ListenersRaw, caddyconfig.JSONModuleObject(mod, app.ListenerKey, name, nil))
	return nil
}

// parseMatcher reads a request matcher: @name, one matcher, or a block.
func parseMatcher(h httpcaddyfile.Helper, into *caddyhttp.RawMatcherSets) error {
	option, named := h.Val(), false
	if h.NextArg() {
		word := h.Val()
		if word == "*" || strings.HasPrefix(word, "/") {
			return h.Errf("%s takes @name, one matcher such as 'path /assets/*', or a block of matchers, not '%s'", option, word)
		}
		named = strings.HasPrefix(word, "@")
		h.Prev()
	}
	var set caddy.ModuleMap
	var err error
	if named {
		if set, _, err = h.MatcherToken(); err != nil {
			return h.WrapErr(err)
		}
		if h.NextArg() {
			return h.ArgErr()
		}
	} else if set, err = caddyhttp.ParseCaddyfileNestedMatcherSet(h.Dispenser); err != nil {
		return h.WrapErr(err)
	}
	if len(set) == 0 {
		return h.ArgErr()
	}
	*into = caddyhttp.RawMatcherSets{set}
	return nil
}
