package unmodified

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

var redmine = &app{
	name:  "redmine",
	adopt: "Redmine autologin",
	needs: []string{"/usr/share/redmine", "/usr/share/doc/redmine-sqlite", "puma", "bundle"},
	start: startRedmine,
	words: "remember autologin\n\t\t\t\tpass history_last_tab",
	login: func(v *visitor, at *mount, user string) {
		v.submit(v.open(at.path+"/login"), "password", "username", user, "password", password(user))
	},
	who: func(v *visitor, at *mount) string {
		p := v.open(at.path + "/")
		if p.status != http.StatusOK {
			v.fail("%s answers %d:\n%s", p.at, p.status, p.body)
		}
		return p.text(class("user active"))
	},
	logout: func(v *visitor, at *mount) { v.submit(v.open(at.path+"/logout"), "logout") },
}

// startRedmine makes one database, which takes longest, for both copies.
func startRedmine(p *pair) error {
	if err := p.each(copyRedmine); err != nil {
		return err
	}
	var ruby strings.Builder
	ruby.WriteString(`ActiveRecord::Migration.verbose = false
ActiveRecord::Base.connection.migration_context.migrate
ActiveRecord::Base.descendants.each(&:reset_column_information)
Setting.autologin = "30"
`)
	for _, m := range p.mounts() {
		fmt.Fprintf(&ruby, `u = User.new(firstname: %[1]q, lastname: "Tester", mail: "%[1]s@example.org", language: "en")
u.login, u.admin = %[1]q, true
u.password = u.password_confirmation = %[2]q
u.save!
`, m.user, password(m.user))
	}
	if err := runTo(redmineEnv(p.a), filepath.Join(p.a.dir, "redmine"), "bundle", "exec", "rails", "runner", ruby.String()); err != nil {
		return err
	}
	if err := runTo(nil, workdir, "cp", filepath.Join(p.a.dir, "redmine.db"), p.b.dir); err != nil {
		return err
	}
	return p.each(func(m *mount) error {
		address, _, err := free()
		if err != nil {
			return err
		}
		m.route = behind(m, "reverse_proxy "+address)
		_, err = serve("tcp", address, redmineEnv(m), filepath.Join(m.dir, "redmine"), "bundle", "exec", "puma", "-t", "2:4", "-b", "tcp://"+address, "mounted.ru")
		return err
	})
}

func redmineEnv(m *mount) []string {
	return []string{"RAILS_ENV=production", "RAILS_RELATIVE_URL_ROOT=" + m.path, "RAILS_SERVE_STATIC_FILES=1", "HOME=" + m.dir}
}

// copyRedmine makes a copy as Debian's notes for it say.
func copyRedmine(m *mount) error {
	dir := mkdir(filepath.Join(m.dir, "redmine"))
	if err := runTo(nil, m.dir, "cp", "-r", "/usr/share/redmine/.", dir); err != nil {
		return err
	}
	for _, name := range []string{"Gemfile.lock", "instances", "config/database.yml"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	const instance = "instances/default/"
	for name, text := range map[string]string{
		"Gemfile.local":                        "gem 'puma'\n",
		"config/additional_environment.rb":     "config.relative_url_root = '" + m.path + "'\n",
		"mounted.ru":                           fmt.Sprintf("require_relative 'config/environment'\nmap('%s') { run Rails.application }\n", m.path),
		instance + "config/database.yml":       fmt.Sprintf("production:\n  adapter: sqlite3\n  database: %s/redmine.db\n", m.dir),
		instance + "config/secret_key.txt":     strings.Repeat(fmt.Sprintf("%x", sha1Of(m.name)), 2),
		instance + "config/configuration.yml":  "default:\n",
		instance + "files/none":                "",
		instance + "log/none":                  "",
		instance + "tmp/cache/none":            "",
		instance + "public/plugin_assets/none": "",
	} {
		if err := write(dir, name, text); err != nil {
			return err
		}
	}
	return nil
}

var tomcat = &app{
	name:  "tomcat",
	adopt: "JSESSIONID",
	needs: []string{"java", "/usr/share/tomcat10/bin/catalina.sh", "/usr/share/tomcat10-examples/examples"},
	start: startTomcat,
	login: func(v *visitor, at *mount, user string) {
		v.submit(v.open(at.path+protected), "j_password", "j_username", user, "j_password", password(user))
	},
	who: func(v *visitor, at *mount) string {
		p := v.open(at.path + protected)
		if p.status != http.StatusOK {
			v.fail("%s answers %d:\n%s", p.at, p.status, p.body)
		}
		_, rest, _ := strings.Cut(p.body, "You are logged in as remote user\n<b>")
		user, _, _ := strings.Cut(rest, "</b>")
		return user
	},
	logout: func(v *visitor, at *mount) { v.open(at.path + protected + "?logoff=true") },
}

const protected = "/jsp/security/protected/index.jsp"

// startTomcat starts one Tomcat with two contexts of one directory.
func startTomcat(p *pair) error {
	address, port, err := free()
	if err != nil {
		return err
	}
	base, users := p.a.dir, "<tomcat-users>\n"
	if err := runTo(nil, base, "cp", "-r", "/usr/share/tomcat10/skel/.", "."); err != nil {
		return err
	}
	for _, m := range p.mounts() {
		m.route = behind(m, "reverse_proxy "+address)
		users += fmt.Sprintf("<user username=%q password=%q roles=\"role1\"/>\n", m.user, password(m.user))
		if err := write(base, "conf/Catalina/localhost/"+m.name+".xml", `<Context docBase="/usr/share/tomcat10-examples/examples"/>`); err != nil {
			return err
		}
	}
	server := fmt.Sprintf(`<Server port="-1"><GlobalNamingResources><Resource name="UserDatabase" auth="Container" type="org.apache.catalina.UserDatabase"
	factory="org.apache.catalina.users.MemoryUserDatabaseFactory" pathname="conf/tomcat-users.xml"/></GlobalNamingResources>
<Service name="Catalina"><Connector port="%s" address="127.0.0.1" protocol="HTTP/1.1"/><Engine name="Catalina" defaultHost="localhost">
<Realm className="org.apache.catalina.realm.UserDatabaseRealm" resourceName="UserDatabase"/><Host name="localhost" appBase="webapps"/></Engine></Service></Server>`, port)
	for name, text := range map[string]string{"conf/server.xml": server, "conf/tomcat-users.xml": users + "</tomcat-users>\n", "temp/none": "", "webapps/none": "", "logs/none": ""} {
		if err := write(base, name, text); err != nil {
			return err
		}
	}
	env := []string{"CATALINA_HOME=/usr/share/tomcat10", "CATALINA_BASE=" + base, "CATALINA_TMPDIR=" + base + "/temp"}
	_, err = serve("tcp", address, env, base, "/usr/share/tomcat10/bin/catalina.sh", "run")
	return err
}
