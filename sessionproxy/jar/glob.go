package jar

import "strings"

// glob is a pattern of names: the parts between its stars. Only * is special.
type glob []string

func newGlob(pattern string) glob { return strings.Split(pattern, "*") }

func (g glob) matches(name string) bool {
	if len(g) == 1 {
		return name == g[0]
	}
	first, last := g[0], g[len(g)-1]
	if len(name) < len(first)+len(last) || !strings.HasPrefix(name, first) || !strings.HasSuffix(name, last) {
		return false
	}
	name = name[len(first) : len(name)-len(last)]
	for _, part := range g[1 : len(g)-1] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return true
}

// globs is a list of patterns. A single star is kept apart, since it loses to
// the patterns of every other list.
type globs struct {
	named []glob
	star  bool
}

func newGlobs(patterns []string) (gs globs) {
	for _, p := range patterns {
		if p == "*" {
			gs.star = true
		} else {
			gs.named = append(gs.named, newGlob(p))
		}
	}
	return gs
}

// names reports whether a pattern other than a single star matches.
func (gs globs) names(name string) bool {
	for _, g := range gs.named {
		if g.matches(name) {
			return true
		}
	}
	return false
}

// sessionNames are those that web frameworks give to their session cookies,
// some of which scripts can read.
var sessionNames = newGlobs(strings.Fields(`
	PHPSESSID JSESSIONID* connect.sid sessionid session *_session *_session_id
	ASP.NET_SessionId ASPSESSIONID* .AspNet* CFID CFTOKEN rack.session
	express:sess* koa.sess* *.sid sid remember_*`))

// IsSessionName reports whether a web framework gives that name to its session
// cookie, the prefixes __Host- and __Secure- aside. Such cookies are kept in
// the jar though scripts may read them.
func IsSessionName(name string) bool {
	return sessionNames.names(strings.TrimPrefix(strings.TrimPrefix(name, "__Host-"), "__Secure-"))
}
