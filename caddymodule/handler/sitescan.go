package handler

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// word is a token of a Caddyfile.
type word struct {
	text, file string
	line       int
}

// siteWords returns the tokens of the site that a directive stands in; see
// siteKeys for how. Without them a mistake is found when the configuration is
// loaded, and is told without its lines.
func siteWords(h httpcaddyfile.Helper) (words []word) {
	block := reflect.ValueOf(h).FieldByName("parentBlock")
	if !block.IsValid() || block.Kind() != reflect.Struct {
		return nil
	}
	segments := block.FieldByName("Segments")
	if !segments.IsValid() || segments.Kind() != reflect.Slice {
		return nil
	}
	for i := range segments.Len() {
		segment := segments.Index(i)
		if segment.Kind() != reflect.Slice {
			return nil
		}
		for j := range segment.Len() {
			token := segment.Index(j)
			if token.Kind() != reflect.Struct {
				return nil
			}
			text, file, line := token.FieldByName("Text"), token.FieldByName("File"), token.FieldByName("Line")
			if !text.IsValid() || text.Kind() != reflect.String || !file.IsValid() || file.Kind() != reflect.String || !line.IsValid() || line.Kind() != reflect.Int {
				return nil
			}
			words = append(words, word{text.String(), file.String(), int(line.Int())})
		}
	}
	return words
}

// written is a session directive as it stands in a site.
type written struct {
	name, place string
	matched     bool
	literal     bool  // it stands in a route block, whose order is that of the lines
	scope       []int // the blocks around it, by their numbers, the outermost first
}

// routingBlocks are the directives whose blocks hold directives. What is in
// handle_errors is met by requests whose session has ended.
var routingBlocks = []string{"handle", "handle_path", "route", "handle_response"}

// writtenSessions returns the session directives among the words of a site.
func writtenSessions(words []word) (found []written) {
	type open struct {
		number    int
		routing   bool
		directive string
	}
	scopes, numbers := []open{{0, true, ""}}, 0
	for i := 0; i < len(words); {
		end := i + 1 // of the line
		for end < len(words) && words[end].line == words[i].line && words[end].file == words[i].file {
			end++
		}
		line := words[i:end]
		i = end
		inner := scopes[len(scopes)-1]
		if line[0].text == "}" {
			if len(scopes) > 1 {
				scopes = scopes[:len(scopes)-1]
			}
			continue
		}
		if inner.routing && line[0].text == directive {
			if s, ok := readWritten(line); ok {
				s.literal = inner.directive == "route"
				for _, o := range scopes {
					s.scope = append(s.scope, o.number)
				}
				found = append(found, s)
			}
		}
		if line[len(line)-1].text == "{" {
			numbers++
			scopes = append(scopes, open{numbers, inner.routing && slices.Contains(routingBlocks, line[0].text), line[0].text})
		}
	}
	return found
}

// sortedBeforeGateways reports whether Caddy's order alone puts the session at a
// place before the gateways of the site, if it has any; a named route that it
// invokes may have one. Without words, it does.
func sortedBeforeGateways(words []word, place string) bool {
	if len(words) > 0 && !slices.ContainsFunc(words, func(w word) bool { return w.text == "forward_auth" || w.text == "invoke" }) {
		return false
	}
	return !slices.ContainsFunc(writtenSessions(words), func(s written) bool { return s.place == place && s.literal })
}

// readWritten reads the line of a directive; one that is off opens no session.
func readWritten(line []word) (s written, ok bool) {
	s.place = fmt.Sprintf("%s:%d", line[0].file, line[0].line)
	rest := line[1:]
	if len(rest) > 0 && (rest[0].text == "*" || strings.HasPrefix(rest[0].text, "@") || strings.HasPrefix(rest[0].text, "/")) {
		s.matched, rest = rest[0].text != "*", rest[1:]
	}
	if len(rest) > 0 && rest[0].text != "{" {
		s.name = rest[0].text
	}
	return s, s.name != "off"
}

// errMeeting refuses two sessions of one site that a request must meet: one of
// them has no matcher, and the other stands in its block or below.
// matched knows, by their places, which of those had one that were read before:
// reading takes it out of the words.
func errMeeting(words []word, matched map[string]bool) error {
	all := writtenSessions(words)
	for i, s := range all {
		all[i].matched = s.matched || matched[s.place]
	}
	for i, a := range all {
		for _, b := range all[i+1:] {
			outer, inner := a, b
			if len(outer.scope) > len(inner.scope) {
				outer, inner = inner, outer
			}
			below := slices.Equal(outer.scope, inner.scope[:len(outer.scope)])
			alike := len(outer.scope) == len(inner.scope)
			if below && (!outer.matched || alike && !inner.matched) {
				return fmt.Errorf("two session handlers on one request, at %s and at %s; a request has one session: remove one of them, or put each into a `handle` block of its own", a.place, b.place)
			}
		}
	}
	return nil
}
