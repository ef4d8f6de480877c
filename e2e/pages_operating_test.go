package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shell runs a line of a page as its reader would, on this proxy.
func (p *proxy) shell(line string) (string, error) {
	p.t.Helper()
	line = strings.NewReplacer(
		"sessionproxy sessions", binary+" sessions --address "+p.admin,
		"localhost:2019", p.admin,
		"http://localhost:8080/", p.url("/"),
	).Replace(line)
	cmd := exec.CommandContext(p.t.Context(), "sh", "-ec", line)
	cmd.Dir, cmd.Env = p.dir, append(os.Environ(), p.env()...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// commands is the block of docs/operating.md that lists all commands.
const commands = "sessionproxy sessions ls "

// TestOperatorsCommands runs the commands for operators, in their order.
func TestOperatorsCommands(t *testing.T) {
	t.Parallel()
	p := newProxy(t, shopSite("admin_data on", "", shop(t)))
	ran := 0
	for _, block := range blocksWith(t, "sh", commands) {
		for line := range strings.Lines(block.text) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
			line = strings.TrimSpace(line)
			if strings.Contains(line, "<session>") || strings.Contains(line, "alice") || strings.Contains(line, " purge ") || strings.HasSuffix(line, " ls shop --order expires") {
				id, _, _ := p.client(t).do(`login=alice&patch={"cart":3}`)
				line = strings.ReplaceAll(line, "<session>", id)
			}
			if strings.HasSuffix(line, " top") { // it goes on until Ctrl-C
				p.interrupted(line)
			} else if strings.Contains(line, "<letter>") {
				p.findsNothing(strings.ReplaceAll(line, "<letter>", "1-none"))
			} else if out, err := p.shell(line); err != nil {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
			ran++
		}
	}
	if ran < 12 {
		t.Errorf("%d commands", ran)
	}
}

// findsNothing runs a line that is understood, and for which there is nothing
// to do: exit status 3.
func (p *proxy) findsNothing(line string) {
	p.t.Helper()
	out, err := p.shell(line)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		p.t.Errorf("%s: %v\n%s", line, err, out)
	}
}

// interrupted runs a line until it has printed something, and ends it by Ctrl-C.
func (p *proxy) interrupted(line string) {
	p.t.Helper()
	args := strings.Fields(line)[1:]
	top := start(p.t, p.env(), p.dir, binary, append(args, "--address", p.admin)...)
	until(p.t, "there is a picture", top, func() bool { return strings.Contains(top.output(), "MANAGER") })
	if err := top.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-top.Done():
	case <-time.After(30 * time.Second):
		p.t.Fatalf("%s does not end", line)
	}
	if status := top.ExitCode(); status != 0 {
		p.t.Errorf("%s: [%d] %s", line, status, top.output())
	}
}

// TestOperatingPage runs the other commands of the pages, in their order: what
// one block copies, the next one brings into an empty proxy.
func TestOperatingPage(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	site := shopSite(ticketKey, "", shop(t))
	p := newProxy(t, site)
	c := p.client(t)
	c.do(`login=alice&patch={"cart":3}`)
	ran := 0
	for _, block := range blocks(t, "sh") {
		if !strings.Contains(block.text, "sessionproxy sessions") && !strings.Contains(block.text, "/sessions/") || strings.Contains(block.text, commands) {
			continue
		}
		for line := range strings.Lines(block.text) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
			if strings.Contains(line, " salvage ") {
				continue // TestSalvage runs it
			}
			if strings.Contains(line, " discard ") {
				p.findsNothing(line)
				ran++
				continue
			}
			on := p
			restores := strings.Contains(line, "restore")
			if restores {
				on = newProxy(t, site)
				if err := os.Rename(filepath.Join(p.dir, "sessions.bak"), filepath.Join(on.dir, "sessions.bak")); err != nil {
					t.Fatal(err)
				}
			}
			out, err := on.shell(line)
			if err != nil {
				t.Fatalf("%s: %v\n%s", line, err, out)
			}
			if restores {
				moved := on.client(t)
				moved.Jar = c.Jar
				if _, state, data := moved.do(""); state != "active" || data != `{"cart":3}` {
					t.Errorf("%s: the session is %s with %s", line, state, data)
				}
			}
			ran++
		}
	}
	if ran != 9 {
		t.Errorf("%d commands", ran)
	}
}
