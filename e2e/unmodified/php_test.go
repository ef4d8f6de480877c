package unmodified

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/sessionproxy/sessionproxy/e2e/internal/product"
)

// www is the root of all PHP apps, in which each copy has a directory.
func www() string { return filepath.Join(workdir, "www") }

// fpm starts one php-fpm, with one directory of sessions, as a machine has it.
var fpm = sync.OnceValues(func() (socket string, err error) {
	path, err := product.Find("php-fpm", "/usr/sbin/php-fpm*")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(workdir, "fpm")
	socket = filepath.Join(dir, "fpm.sock")
	conf := fmt.Sprintf("[global]\nerror_log = /dev/stderr\ndaemonize = no\n[www]\nlisten = %s\npm = static\npm.max_children = 6\ncatch_workers_output = yes\nphp_admin_value[session.save_path] = %s\n", socket, dir)
	args := []string{"-F", "-y", filepath.Join(dir, "fpm.conf")}
	if os.Getuid() == 0 {
		conf += "user = root\ngroup = root\n"
		args = append(args, "-R")
	}
	if err := write(dir, "fpm.conf", conf); err != nil {
		return "", err
	}
	_, err = serve("unix", socket, nil, dir, path, args...)
	return socket, err
})

// byFPM is the route of a copy below www.
func byFPM(m *mount, env string) error {
	socket, err := fpm()
	m.route = behind(m, fmt.Sprintf("root * %s\n\t\tphp_fastcgi unix/%s {\n\t\t\t%s\n\t\t}\n\t\tfile_server", www(), socket, env))
	return err
}

var phpApp = &app{
	name:  "php",
	adopt: "PHPSESSID",
	needs: []string{"/usr/sbin/php-fpm*"},
	start: func(p *pair) error {
		text, err := os.ReadFile("testdata/php/index.php")
		if err != nil {
			return err
		}
		return p.each(func(m *mount) error {
			if err := write(www(), m.name+"/index.php", string(text)); err != nil {
				return err
			}
			return byFPM(m, "")
		})
	},
	broken: []string{
		"b does not know alice", // one php-fpm knows the sessions of both
		"alice is still signed in to a",
		"bob is still signed in to b",
	},
	login:  formLogin,
	who:    shownUser,
	logout: func(v *visitor, at *mount) { v.submit(v.open(at.path+"/"), "leave", "do", "logout") },
}

// phpLiteAdmin has one password and no names.
var phpLiteAdmin = &app{
	name:  "phpliteadmin",
	adopt: "PHPSESSID",
	needs: []string{"/usr/sbin/php-fpm*", "php", "/usr/share/doc/php-sqlite3", "cache/root/usr/share/phpliteadmin"},
	start: func(p *pair) error {
		return p.each(func(m *mount) error {
			to := filepath.Join(www(), m.name)
			if err := runTo(nil, workdir, "cp", "-rL", filepath.Join(cache, "root/usr/share/phpliteadmin")+"/.", mkdir(to)); err != nil {
				return err
			}
			config := fmt.Sprintf("<?php\n$password = '%s';\n$directory = '%s';\n", password(m.user), m.dir)
			if err := write(to, "phpliteadmin.config.php", config); err != nil {
				return err
			}
			const table = `(new SQLite3("notes.sqlite"))->exec("create table notes (note text)");`
			if err := runTo(nil, m.dir, "php", "-r", table); err != nil {
				return err
			}
			return byFPM(m, "")
		})
	},
	login: func(v *visitor, at *mount, user string) {
		v.submit(v.open(at.path+"/phpliteadmin.php"), "password", "password", password(user), "login", "Log In")
	},
	who: func(v *visitor, at *mount) string {
		p := v.open(at.path + "/phpliteadmin.php")
		if p.status != 200 {
			v.fail("%s answers %d:\n%s", p.at, p.status, p.body)
		}
		if strings.Contains(p.body, "name='logout'") {
			return at.user
		}
		return ""
	},
	logout: func(v *visitor, at *mount) {
		v.open(at.path + "/phpliteadmin.php?logout=Logout")
	},
	broken: clobbered,
}

// mkdir makes a directory, and returns it; what uses it fails if it is not there.
func mkdir(path string) string {
	_ = os.MkdirAll(path, 0o750)
	return path
}
