package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// manager is one policy under test, on a site of its own.
type manager struct {
	name   string
	policy string
}

// managers are those under load; the last one is only purged.
var managers = []manager{
	{"lossy", "locking lossy"},
	{"merge", "locking optimistic"},
	{"restart", "locking optimistic {\n\t\t\ton_conflict restart 3 fail\n\t\t\treplayable method POST\n\t\t}"},
	{"serial", "locking serialized {\n\t\t\tqueue 1000\n\t\t}"},
	{"spare", "locking lossy"},
}

// config is what a reload changes.
type config struct {
	durability string
	idle       int // hours
	sweep      int // seconds
	extra      bool
}

const hookSecret = "whsec_c2Vzc2lvbnByb3h5IHN0cmVzcyB0ZXN0cw=="

// text is the Caddyfile.
func (p *proxy) text() string {
	c := p.config
	var b strings.Builder
	fmt.Fprintf(&b, `{
	admin 127.0.0.1:%d
	persist_config off
	auto_https off
	skip_install_trust
	grace_period 5s
	sessions {
		store badger %s {
			durability %s
		}
		endpoint 127.0.0.1:%d
		sweep_interval %ds
	}
}
`, p.port, p.storeDir(), c.durability, p.port+1, c.sweep)
	for i, m := range managers {
		fmt.Fprintf(&b, `http://127.0.0.1:%d {
	bind 127.0.0.1
	session %s {
		%s
		idle_timeout %dh
		absolute_timeout 72h
		max_size 128KiB
		listener webhook http://%s/hook {
			secret %s
			events delete
			allow_private
		}
	}
	reverse_proxy %s
}
`, p.port+2+i, m.name, m.policy, c.idle, p.w.app.address, hookSecret, p.w.app.address)
	}
	if c.extra {
		fmt.Fprintf(&b, "http://127.0.0.1:%d {\n\tbind 127.0.0.1\n\tsession extra\n\treverse_proxy %s\n}\n", p.port+2+len(managers), p.w.app.address)
	}
	return b.String()
}

func (p *proxy) storeDir() string { return filepath.Join(p.disk, "store") }

// address is where a manager's site listens.
func (p *proxy) address(name string) string {
	for i, m := range managers {
		if m.name == name {
			return fmt.Sprintf("127.0.0.1:%d", p.port+2+i)
		}
	}
	return ""
}
