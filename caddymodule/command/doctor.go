package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/sessionproxy/sessionproxy/caddymodule/adminapi"
)

func (c *cli) doctorCommand() subcommand {
	var url string
	var upstreams []string
	return subcommand{
		use: "doctor", short: "Looks for what is wrong between the proxy and its apps",
		long: `
Reads the running configuration and asks, of each app on this machine that is
proxied with a session, or that --upstream names:

  - how much header the app really takes, against "inline_limit"
  - whether it answers on other addresses of this machine than the proxy uses,
    so that others could reach it without the proxy
  - whether a route leads to it without a session handler, so that session
    headers of clients would arrive
  - with --url, whether the proxy removes such headers there

and whether store and listeners are well. It sends GET requests, to apps and
through the proxy; it changes no configuration. Error routes are not looked at.
Ends with status 1 if a check failed.
`,
		flags: func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&url, "url", "", "An address of the site, through the proxy: http://localhost:8080/")
			cmd.Flags().StringArrayVar(&upstreams, "upstream", nil, "An address of the app, behind the proxy: http://127.0.0.1:3000/")
		},
		run: func(ctx context.Context, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			d := &doctor{client: client, url: url, upstreams: upstreams, outside: outsideAddresses, timeout: 5 * time.Second, now: c.now}
			if err := d.run(ctx); err != nil {
				return err
			}
			return c.printFindings(d.findings)
		},
	}
}

// States of a finding.
const (
	stateOK, stateWarn, stateFail, stateSkip = "ok", "warn", "fail", "skip"
)

// finding is the result of one check.
type finding struct {
	Check  string `json:"check"`
	State  string `json:"state"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"`
}

// doctor collects findings about a running server.
type doctor struct {
	client    *adminClient
	url       string
	upstreams []string
	outside   func() ([]netip.Addr, error) // addresses of this machine that others may reach
	timeout   time.Duration                // of one probe
	now       func() time.Time
	findings  []finding
}

func (d *doctor) found(check, state, remedy, format string, args ...any) {
	d.findings = append(d.findings, finding{check, state, fmt.Sprintf(format, args...), remedy})
}

// run makes all checks. An error means that nothing could be checked.
func (d *doctor) run(ctx context.Context) error {
	config, err := d.config(ctx)
	if err != nil && len(d.upstreams) == 0 && d.url == "" {
		return err
	}
	if err != nil {
		d.found("configuration", stateWarn, "say --address, or do without what it would tell", "%v", err)
	} else {
		d.checkConfig(config)
		d.checkServer(ctx)
	}
	probed, err := d.targets(config)
	if err != nil {
		return err
	}
	for _, p := range probed {
		d.checkHeaderLimit(ctx, p)
		d.checkReach(ctx, p)
	}
	d.checkStripping(ctx)
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return nil
}

// config reads the running configuration.
func (d *doctor) config(ctx context.Context) (*siteMap, error) {
	var raw json.RawMessage
	if err := d.client.read(ctx, adminRequest{method: http.MethodGet, path: "/config/"}, &raw); err != nil {
		return nil, err
	}
	return readSiteMap(raw)
}

// checkServer asks for what the server itself knows to be wrong.
func (d *doctor) checkServer(ctx context.Context) {
	var s adminapi.StatsView
	if err := d.client.read(ctx, adminRequest{method: http.MethodGet, path: "/sessions/stats"}, &s); err != nil {
		d.found("store", stateFail, "see the server's log", "the server does not tell how its store is: %v", err)
		return
	}
	switch {
	case s.Store != nil && s.Store.Health != nil && !s.Store.Health.Writable:
		d.found("store", stateFail, "do as the reason says; it goes on by itself then", "writes are refused: %s", s.Store.Health.Reason)
	case s.Store == nil:
		d.found("store", stateSkip, "", "this kind of store tells nothing of itself")
	case s.Store.DamagedLogs > 0:
		d.found("store", stateFail, "check the disk, and what removes files from the store's directory; restore a backup if sessions are missed", "%s damaged or missing when the store was opened: acknowledged sessions are lost", count(s.Store.DamagedLogs, "log"))
	case s.Store.Damaged > 0:
		d.found("store", stateWarn, "check the disk; restore a backup if sessions are missed", "%s failed the checksum and are gone", count(s.Store.Damaged, "record"))
	default:
		d.found("store", stateOK, "", "no damage, %s on disk", bytesOf(s.Store.DiskBytes))
	}
	d.checkTickets(s.Managers)
	d.checkCookies(s.Managers)
	d.checkListeners(s.Listeners)
}

// checkTickets looks for tickets that this proxy has not signed.
func (d *doctor) checkTickets(managers []adminapi.ManagerStats) {
	for _, m := range managers {
		if m.Forged > 0 {
			d.found("tickets", stateWarn, "a removed ticket_key that was needed still? another proxy on this host name? or somebody tries", "%s of manager %s signed by none of the ticket keys", count(m.Forged, "ticket"), m.ID)
		}
	}
}

// checkCookies looks for cookies that an app may miss.
func (d *doctor) checkCookies(managers []adminapi.ManagerStats) {
	for _, m := range managers {
		for _, name := range m.UnknownCookies {
			d.found("cookies", stateWarn, "if the app reads what its scripts write there, add to `cookies` of its session: pass "+name,
				"browsers send %s, which the app of manager %s never set, so it does not reach the app", name, m.ID)
		}
	}
}

// behind is how long a listener may take before that is a finding: it was told
// twice without success by then.
const behind = time.Minute

// checkListeners looks at what waits for listeners.
func (d *doctor) checkListeners(listeners []adminapi.BacklogView) {
	dead, waiting := 0, 0
	late, lag := "", behind
	for _, l := range listeners {
		if !l.Configured {
			d.found("listeners", stateWarn, "configure it again, or drop them: `sessions discard --listener`", "%s waiting for %s, which no configuration has", count(int64(l.Waiting+l.Dead), "event"), l.Name)
			continue
		}
		dead, waiting = dead+l.Dead, waiting+l.Waiting
		if l.Waiting == 0 || l.Oldest == nil {
			continue
		}
		if age := d.now().Sub(time.Unix(*l.Oldest, 0)); age > lag {
			late, lag = l.Name, age
		}
	}
	if late != "" {
		d.found("listeners", stateWarn, "the server's log says why: `session listener failed`", "%s waiting; %s has not heard what happened %s ago", count(int64(waiting), "event"), late, period(lag))
	}
	if dead > 0 {
		d.found("listeners", stateWarn, "`sessions dead-letters` says why, `sessions retry` tries again, `sessions discard` gives up", "%s could not be told", count(int64(dead), "event"))
	}
	if late == "" && dead == 0 {
		d.found("listeners", stateOK, "", "%s waiting, none given up", count(int64(waiting), "event"))
	}
}

// errFailed makes doctor exit with status 1.
var errFailed = errors.New("a check failed")

func (c *cli) printFindings(findings []finding) error {
	failed := false
	for _, f := range findings {
		failed = failed || f.State == stateFail
	}
	if c.json {
		text, err := json.Marshal(map[string]any{"checks": findings})
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s\n", text)
	} else {
		var b bytes.Buffer
		for _, f := range findings {
			fmt.Fprintf(&b, "%-4s  %s: %s\n", map[string]string{stateOK: "OK", stateWarn: "WARN", stateFail: "FAIL", stateSkip: "-"}[f.State], f.Check, plain(f.Detail))
			if f.Remedy != "" {
				fmt.Fprintf(&b, "      → %s\n", plain(f.Remedy))
			}
		}
		fmt.Fprintf(c.out, "%s", b.Bytes())
	}
	if failed {
		return errFailed
	}
	return nil
}
