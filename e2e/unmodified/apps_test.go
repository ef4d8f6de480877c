package unmodified

import (
	"fmt"
	"path/filepath"

	"golang.org/x/net/html"
)

// apps are those that the tests go through.
var apps = []*app{phpApp, phpLiteAdmin, dokuWiki, mediaWiki, djangoAdmin, flask, express, jupyter, redmine, tomcat}

// clobbered are the checks that fail where both copies set the same cookie for
// the path /: signing in to b signs alice out, signing out of a signs bob out.
var clobbered = []string{"alice is still signed in to a", "bob is still signed in to b"}

// eachEnds are those that fail where, besides, each copy ends a session that it
// cannot read: after signing in to b, no one is signed in to either.
var eachEnds = []string{"alice is still signed in to a", "alice signs out of a", "bob is still signed in to b"}

// behind is the route of a copy that knows its prefix, or that is told of it.
func behind(m *mount, upstream string) string {
	return fmt.Sprintf("\tredir %[1]s %[1]s/\n\thandle %[1]s/* {\n\t\t{session}\n\t\t%[2]s\n\t}\n", m.path, upstream)
}

// stripped is the route of a copy that does not see its prefix.
func stripped(m *mount, upstream string) string {
	m.stripped = true
	return fmt.Sprintf("\tredir %[1]s %[1]s/\n\thandle_path %[1]s/* {\n\t\t{session}\n\t\t%[2]s\n\t}\n", m.path, upstream)
}

func id(want string) func(*html.Node) bool {
	return func(n *html.Node) bool { return attribute(n, "id") == want }
}

func class(want string) func(*html.Node) bool {
	return func(n *html.Node) bool { return attribute(n, "class") == want }
}

// formLogin, formLogout and shownUser are those of the small sites in testdata.
func formLogin(v *visitor, at *mount, user string) {
	v.submit(v.open(at.path+"/"), "password", "user", user, "password", password(user), "do", "login")
}

func formLogout(v *visitor, at *mount) {
	v.submit(v.open(at.path+"/"), "logout")
}

func shownUser(v *visitor, at *mount) string {
	p := v.open(at.path + "/")
	if p.status != 200 {
		v.fail("%s answers %d:\n%s", at.path, p.status, p.body)
	}
	return p.text(id("user"))
}

var flask = &app{
	name:  "flask",
	needs: []string{"/usr/bin/python3", "/usr/lib/python3/dist-packages/flask_login"},
	start: func(p *pair) error {
		program, err := filepath.Abs("testdata/flask/app.py")
		if err != nil {
			return err
		}
		return p.each(func(m *mount) error {
			address, port, err := free()
			if err != nil {
				return err
			}
			m.route = stripped(m, "reverse_proxy "+address+" {\n\t\t\theader_up X-Forwarded-Prefix "+m.path+"\n\t\t}")
			_, err = serve("tcp", address, nil, m.dir, "/usr/bin/python3", program, port, "secret of "+m.name)
			return err
		})
	},
	adopt:  "session",
	broken: clobbered,
	login:  formLogin, who: shownUser, logout: formLogout,
}

var express = &app{
	name:  "express",
	needs: []string{"node", "cache/node/node_modules/express-session", "cache/node/node_modules/csurf"},
	start: func(p *pair) error {
		program, err := filepath.Abs("testdata/express/app.js")
		if err != nil {
			return err
		}
		env := []string{"NODE_PATH=" + filepath.Join(cache, "node", "node_modules"), "NODE_ENV=production"}
		return p.each(func(m *mount) error {
			address, port, err := free()
			if err != nil {
				return err
			}
			m.route = stripped(m, "reverse_proxy "+address)
			_, err = serve("tcp", address, env, m.dir, "node", program, port, "secret of "+m.name)
			return err
		})
	},
	adopt:  "connect.sid _csrf",
	broken: clobbered,
	login:  formLogin, who: shownUser, logout: formLogout,
}
