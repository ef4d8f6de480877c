package unmodified

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

var dokuWiki = &app{
	name:  "dokuwiki",
	adopt: "DokuWiki DW*",
	needs: []string{"/usr/sbin/php-fpm*", "/usr/share/php/simplepie", "/usr/share/php-geshi", "/usr/share/javascript/jquery-cookie", "cache/root/usr/share/dokuwiki"},
	start: func(p *pair) error { return p.each(startDokuWiki) },
	words: "pass DOKU_PREFS",
	login: func(v *visitor, at *mount, user string) {
		v.submit(v.open(at.path+"/doku.php?do=login"), "u", "u", user, "p", password(user))
	},
	who: func(v *visitor, at *mount) string {
		p := v.open(at.path + "/doku.php")
		if p.status != 200 {
			v.fail("%s answers %d:\n%s", p.at, p.status, p.body)
		}
		_, user, _ := strings.Cut(p.text(class("user")), "(")
		return strings.TrimSuffix(user, ")")
	},
	logout: func(v *visitor, at *mount) { v.follow(v.open(at.path+"/doku.php"), "do=logout") },
}

func startDokuWiki(m *mount) error {
	to, conf, data := mkdir(filepath.Join(www(), m.name)), mkdir(filepath.Join(m.dir, "conf")), filepath.Join(m.dir, "data")
	root := filepath.Join(cache, "root")
	for from, to := range map[string]string{"usr/share/dokuwiki": to, "etc/dokuwiki": conf, "var/lib/dokuwiki/data": mkdir(data)} {
		if err := runTo(nil, workdir, "cp", "-rL", filepath.Join(root, from)+"/.", to); err != nil {
			return err
		}
	}
	preload := filepath.Join(to, "inc", "preload.php")
	text, err := os.ReadFile(preload)
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		preload:                               strings.ReplaceAll(string(text), "/etc/dokuwiki", conf),
		filepath.Join(conf, "local.php"):      fmt.Sprintf("<?php\n$conf['savedir'] = '%s';\n$conf['useacl'] = 1;\n$conf['passcrypt'] = 'sha1';\n", data),
		filepath.Join(conf, "acl.auth.php"):   "* @ALL 8\n",
		filepath.Join(conf, "users.auth.php"): fmt.Sprintf("%s:%x:%s of %s:%s@example.org:user\n", m.user, sha1Of(password(m.user)), m.user, m.name, m.user),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return byFPM(m, "")
}

var mediaWiki = &app{
	name:  "mediawiki",
	adopt: "my_wiki*",
	needs: []string{"/usr/sbin/php-fpm*", "php", "/usr/share/doc/php-sqlite3", "/usr/share/doc/php-intl", "/usr/share/doc/php-xml", "/usr/share/doc/php-mbstring", "cache/root/usr/share/mediawiki"},
	start: func(p *pair) error { return p.each(startMediaWiki) },
	login: func(v *visitor, at *mount, user string) {
		v.submit(v.open(at.path+"/index.php?title=Special:UserLogin"), "wpName", "wpName", user, "wpPassword", password(user))
	},
	who: func(v *visitor, at *mount) string {
		p := v.fetch(at.path + "/api.php?action=query&meta=userinfo&format=json")
		var answer struct {
			Query struct {
				UserInfo struct {
					ID   int
					Name string
				}
			}
		}
		if err := json.Unmarshal([]byte(p.body), &answer); err != nil {
			v.fail("%s answers %d:\n%s", p.at, p.status, p.body)
		}
		if answer.Query.UserInfo.ID == 0 {
			return ""
		}
		return strings.ToLower(answer.Query.UserInfo.Name)
	},
	logout: func(v *visitor, at *mount) {
		v.submit(v.open(at.path+"/index.php?title=Special:UserLogout"), "wpEditToken")
	},
	broken: eachEnds,
}

func startMediaWiki(m *mount) error {
	code := filepath.Join(cache, "root/usr/share/mediawiki")
	err := runTo(nil, code, "php", "maintenance/install.php", "--dbtype=sqlite", "--dbpath="+m.dir, "--dbname=my_wiki", "--confpath="+m.dir,
		"--scriptpath="+m.path, "--server=http://127.0.0.1", "--pass="+password(m.user), m.name, m.user)
	if err != nil {
		return err
	}
	settings := filepath.Join(m.dir, "LocalSettings.php")
	text, err := os.ReadFile(settings)
	if err != nil {
		return err
	}
	if err := os.WriteFile(settings, append(text, "\n$wgServer = WebRequest::detectServer( false );\n$wgShowExceptionDetails = true;\n"...), 0o600); err != nil {
		return err
	}
	if err := os.Symlink(code, filepath.Join(mkdir(www()), m.name)); err != nil {
		return err
	}
	return byFPM(m, "env MW_CONFIG_FILE "+settings)
}
