package unmodified

import (
	"fmt"
	"testing"
)

// TestScriptsInABrowser signs in to both copies of four apps in one real browser,
// and has their scripts do what needs cookies: read one, send it back as a
// header, open a WebSocket, keep a preference.
func TestScriptsInABrowser(t *testing.T) {
	t.Parallel()
	var all []*pair
	for _, a := range []*app{jupyter, djangoAdmin, mediaWiki, dokuWiki} {
		all = append(all, launch(a))
	}
	for _, p := range all {
		p.ready(t)
	}
	c := newChromium(t, newProxy(t, withJar(), "", all...))
	for _, letter := range []string{"a", "b"} {
		for _, p := range all {
			m := p.a
			if letter == "b" {
				m = p.b
			}
			switch p.app {
			case jupyter:
				c.signIn(m.path+"/login", map[string]string{"password": password(m.user)}, `id="notebook_list"`)
			case djangoAdmin:
				c.signIn(m.path+"/admin/", map[string]string{"username": m.user, "password": password(m.user)}, "<strong>"+m.user+"</strong>")
			case mediaWiki:
				c.signIn(m.path+"/index.php?title=Special:UserLogin", map[string]string{"wpName": m.user, "wpPassword": password(m.user)}, "pt-logout")
			case dokuWiki:
				c.signIn(m.path+"/doku.php?do=login", map[string]string{"u": m.user, "p": password(m.user)}, "do=logout")
			}
		}
	}
	for _, p := range all {
		for _, m := range p.mounts() {
			scripts[p.app.name](c, m)
		}
	}
}

var scripts = map[string]func(c *chromium, m *mount){
	// The notebook's script sends _xsrf as a header, and talks to a kernel.
	"jupyter": func(c *chromium, m *mount) {
		c.open(m.path + "/tree")
		c.run(m.name+" runs code by XHR and WebSocket", fmt.Sprintf(`
			const xsrf = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)[1];
			const made = await fetch(%[1]q + '/api/kernels', { method: 'POST', headers: { 'X-XSRFToken': xsrf, 'Content-Type': 'application/json' }, body: '{}' });
			if (!made.ok) return 'kernel: ' + made.status;
			const { id } = await made.json();
			const socket = new WebSocket(location.origin.replace('http', 'ws') + %[1]q + '/api/kernels/' + id + '/channels');
			const result = await new Promise((resolve, reject) => {
				socket.onerror = () => reject('no WebSocket');
				socket.onclose = (e) => reject('closed: ' + e.code);
				socket.onopen = () => socket.send(JSON.stringify({ channel: 'shell', parent_header: {}, metadata: {}, buffers: [],
					header: { msg_id: 'm1', msg_type: 'execute_request', session: 's1', username: '', version: '5.2' },
					content: { code: '6 * 7', silent: false, store_history: false, user_expressions: {}, allow_stdin: false } }));
				socket.onmessage = (e) => {
					const m = JSON.parse(e.data);
					if (m.msg_type === 'execute_result') resolve(m.content.data['text/plain']);
				};
			});
			socket.onclose = null; socket.close();
			await fetch(%[1]q + '/api/kernels/' + id, { method: 'DELETE', headers: { 'X-XSRFToken': xsrf } });
			return result;`, m.path), "42")
		c.run(m.name+" refuses without _xsrf", fmt.Sprintf("return (await fetch(%q, { method: 'POST', body: '{}' })).status", m.path+"/api/kernels"), "403")
	},
	// Django's pattern for scripts: csrftoken from the cookie into X-CSRFToken.
	"django": func(c *chromium, m *mount) {
		c.open(m.path + "/admin/")
		const post = "const token = document.cookie.match(/(?:^|; )csrftoken=([^;]*)/)[1];" +
			"return (await fetch(%q, { method: 'POST', body: '', headers: { 'X-CSRFToken': %s } })).status"
		c.run(m.name+" takes a script's POST", fmt.Sprintf(post, m.path+"/admin/password_change/", "token"), "200")
		c.run(m.name+" refuses another token", fmt.Sprintf(post, m.path+"/admin/password_change/", "token.split('').reverse().join('')"), "403")
		c.run(m.name+" sees its own cookies alone", "return document.cookie.split('; ').map((c) => c.split('=')[0]).sort().join()", "csrftoken")
		c.shot(m.name)
	},
	// An edit by MediaWiki's own library, with a token of the session.
	"mediawiki": func(c *chromium, m *mount) {
		c.open(m.path + "/index.php?title=Main_Page")
		c.run(m.name+" takes an edit", fmt.Sprintf(`
			await mw.loader.using('mediawiki.api');
			const answer = await new mw.Api().postWithToken('csrf', { action: 'edit', title: 'Page of the browser', text: 'by ' + mw.config.get('wgUserName') + %q, assert: 'user' });
			return answer.edit.result + ' ' + mw.config.get('wgUserName').toLowerCase();`, m.path), "Success "+m.user)
	},
	// A preference that a script writes and PHP reads: the line `pass DOKU_PREFS`.
	"dokuwiki": func(c *chromium, m *mount) {
		const page = "/doku.php?do=media&ns=wiki&tab_files=files"
		const list = "return document.querySelector('#mediamanager__page .filelist .panelContent > ul').className"
		c.open(m.path + page)
		c.run(m.name+" shows pictures at first", list, "thumbs")
		c.run(m.name+" keeps a preference", "DokuCookie.setValue('list', 'rows'); return 'kept'", "kept")
		c.open(m.path + page)
		c.run(m.name+" reads the preference", list, "rows")
	},
}
