package unmodified

import (
	"crypto/sha1"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const python = "/usr/bin/python3" // Debian's, that has its packages

// sha1Of is the form in which some apps keep a password.
func sha1Of(text string) [sha1.Size]byte { return sha1.Sum([]byte(text)) }

var djangoAdmin = &app{
	name:  "django",
	adopt: "sessionid",
	needs: []string{python, "/usr/bin/django-admin"},
	start: func(p *pair) error { return p.each(startDjango) },
	login: func(v *visitor, at *mount, user string) {
		v.submit(v.open(at.path+"/admin/"), "password", "username", user, "password", password(user))
	},
	who: func(v *visitor, at *mount) string {
		p := v.open(at.path + "/admin/")
		if p.status != 200 {
			v.fail("%s answers %d:\n%s", p.at, p.status, p.body)
		}
		_, rest, _ := strings.Cut(p.body, "<strong>")
		user, _, _ := strings.Cut(rest, "</strong>")
		return user
	},
	logout: func(v *visitor, at *mount) { v.follow(v.open(at.path+"/admin/"), "/admin/logout/") },
	broken: eachEnds,
}

func startDjango(m *mount) error {
	if err := runTo(nil, m.dir, "/usr/bin/django-admin", "startproject", "site_"+m.name[len(m.name)-1:], "."); err != nil {
		return err
	}
	settings, err := filepath.Glob(filepath.Join(m.dir, "site_*", "settings.py"))
	if err != nil || len(settings) != 1 {
		return fmt.Errorf("%v: %w", settings, err)
	}
	text, err := os.ReadFile(settings[0])
	if err != nil {
		return err
	}
	extra := fmt.Sprintf("\nFORCE_SCRIPT_NAME = %q\nSTATIC_URL = %q\nALLOWED_HOSTS = ['*']\n", m.path, m.path+"/static/")
	if err := os.WriteFile(settings[0], append(text, extra...), 0o600); err != nil {
		return err
	}
	if err := runTo(nil, m.dir, python, "manage.py", "migrate", "-v0"); err != nil {
		return err
	}
	env := []string{"DJANGO_SUPERUSER_PASSWORD=" + password(m.user)}
	if err := runTo(env, m.dir, python, "manage.py", "createsuperuser", "--noinput", "--username", m.user, "--email", m.user+"@example.org"); err != nil {
		return err
	}
	address, _, err := free()
	if err != nil {
		return err
	}
	m.route = stripped(m, "reverse_proxy "+address)
	_, err = serve("tcp", address, nil, m.dir, python, "manage.py", "runserver", "--noreload", address)
	return err
}

// jupyter has one password and no names.
var jupyter = &app{
	name:  "jupyter",
	adopt: "username-* _xsrf",
	needs: []string{"/usr/bin/jupyter-notebook", "/usr/lib/python3/dist-packages/ipykernel"},
	start: func(p *pair) error { return p.each(startJupyter) },
	login: func(v *visitor, at *mount, user string) {
		v.submit(v.open(at.path+"/login"), "password", "password", password(user))
	},
	who: func(v *visitor, at *mount) string {
		p := v.open(at.path + "/tree")
		if p.status != 200 {
			v.fail("%s answers %d:\n%s", p.at, p.status, p.body)
		}
		if strings.HasSuffix(p.at.Path, "/tree") {
			return at.user
		}
		return ""
	},
	logout: func(v *visitor, at *mount) { v.open(at.path + "/logout") },
}

func startJupyter(m *mount) error {
	address, port, err := free()
	if err != nil {
		return err
	}
	m.route = behind(m, "reverse_proxy "+address)
	env := []string{"HOME=" + m.dir, "JUPYTER_RUNTIME_DIR=" + m.dir, "JUPYTER_CONFIG_DIR=" + m.dir, "IPYTHONDIR=" + m.dir}
	args := []string{
		"--no-browser", "--ip=127.0.0.1", "--port=" + port, "--port-retries=0", "--notebook-dir=" + mkdir(filepath.Join(m.dir, "notes")),
		"--NotebookApp.base_url=" + m.path + "/", fmt.Sprintf("--NotebookApp.password=sha1:0123456789ab:%x", sha1Of(password(m.user)+"0123456789ab")),
	}
	if os.Getuid() == 0 {
		args = append(args, "--allow-root")
	}
	_, err = serve("tcp", address, env, m.dir, "/usr/bin/jupyter-notebook", args...)
	return err
}
