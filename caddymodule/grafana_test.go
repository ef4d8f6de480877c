package caddymodule_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
)

// exports returns the labels of every metric that is exported, by name.
func exports(t *testing.T) map[string][]string {
	t.Helper()
	described := regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "[^"]+",.* constLabels: \{\}, variableLabels: \{([^}]*)\}`)
	all := make(map[string][]string)
	for _, c := range runtime.Collectors() {
		descs := make(chan *prometheus.Desc, 32)
		c.Describe(descs)
		close(descs)
		for desc := range descs {
			m := described.FindStringSubmatch(desc.String())
			if m == nil {
				t.Fatalf("what is %s", desc)
			}
			all[m[1]] = strings.Split(m[2], ",")
		}
	}
	return all
}

// TestDashboard sees that Grafana's file loads without edits, asks for what is
// exported and for nothing else, and shows all of it.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("../grafana/sessionproxy.json")
	if err != nil {
		t.Fatal(err)
	}
	type source struct{ Type, UID string }
	var dashboard struct {
		Inputs     []any `json:"__inputs"`
		UID, Title string
		Templating struct {
			List []struct {
				Name, Type, Query string
			}
		}
		Panels []struct {
			ID          int
			Type, Title string
			Datasource  source
			GridPos     struct{ H, W, X, Y int }
			Targets     []struct {
				Datasource   source
				Expr         string
				LegendFormat string
			}
		}
	}
	// The second variable's query is no string: Grafana has two kinds.
	text = regexp.MustCompile(`"query": \{[^}]*\}`).ReplaceAll(text, []byte(`"query": ""`))
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	if len(dashboard.Inputs) > 0 || dashboard.UID == "" || dashboard.Title == "" {
		t.Error("the dashboard asks for something before it loads")
	}
	if v := dashboard.Templating.List; len(v) == 0 || v[0].Name != "DS_PROMETHEUS" || v[0].Type != "datasource" || v[0].Query != "prometheus" {
		t.Errorf("the data source is no variable: %+v", v)
	}
	want := source{"prometheus", "${DS_PROMETHEUS}"}
	exported, shown, ids, rows := exports(t), make(map[string]bool), make(map[int]bool), []string(nil)
	metric := regexp.MustCompile(`caddy_sessions_\w+`)
	by := regexp.MustCompile(`by \(([^)]*)\)`)
	legend := regexp.MustCompile(`\{\{(\w+)\}\}`)
	right, bottom := 0, 0
	for _, p := range dashboard.Panels {
		if ids[p.ID] {
			t.Errorf("%s has the id of another panel", p.Title)
		}
		ids[p.ID] = true
		if p.GridPos.X != right && p.GridPos.Y != bottom || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s stands at %+v, among others", p.Title, p.GridPos)
		}
		right, bottom = p.GridPos.X+p.GridPos.W, p.GridPos.Y+p.GridPos.H
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		if p.Datasource != want || len(p.Targets) == 0 {
			t.Errorf("%s asks %+v", p.Title, p.Datasource)
		}
		for _, target := range p.Targets {
			if target.Datasource != want {
				t.Errorf("%s asks %+v", p.Title, target.Datasource)
			}
			name := metric.FindString(target.Expr)
			if _, ok := exported[name]; !ok { // a histogram has several
				name = strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count")
			}
			labels, ok := exported[name]
			if !ok {
				t.Errorf("%s shows %s, which is not exported", p.Title, target.Expr)
				continue
			}
			shown[name] = true
			var grouped []string
			if m := by.FindStringSubmatch(target.Expr); m != nil {
				grouped = strings.Split(m[1], ", ")
			}
			for _, label := range grouped {
				if !slices.Contains(labels, label) && label != "le" {
					t.Errorf("%s: %s has no label %s", p.Title, name, label)
				}
			}
			for _, m := range legend.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !slices.Contains(grouped, m[1]) {
					t.Errorf("%s: the legend names %s, which %s has not", p.Title, m[1], target.Expr)
				}
			}
			if strings.Contains(target.Expr, "$manager") != slices.Contains(labels, "manager") {
				t.Errorf("%s: %s does not follow the choice of managers", p.Title, target.Expr)
			}
		}
	}
	if !slices.Equal(rows, []string{"Traffic", "Conflicts and locks", "Endings", "Listeners", "Store", "Refusals"}) {
		t.Errorf("the rows are %q", rows)
	}
	for name := range exported {
		if !shown[name] {
			t.Errorf("%s is exported, and not shown", name)
		}
	}
}

// TestPageNamesTheMetrics compares the table with what is exported.
func TestPageNamesTheMetrics(t *testing.T) {
	named := make(map[string]string)
	for _, m := range regexp.MustCompile("`caddy_sessions_(\\w+)(?:\\{([^}`]*)\\})?`").FindAllStringSubmatch(pages(t, "metrics"), -1) {
		named["caddy_sessions_"+m[1]] = m[2]
	}
	exported := exports(t)
	for name, labels := range exported {
		if got, ok := named[name]; !ok || got != strings.Join(labels, ",") {
			t.Errorf("docs/metrics.md has %s{%s}, and it is {%s}", name, got, strings.Join(labels, ","))
		}
	}
	for name := range named {
		if _, ok := exported[name]; !ok {
			t.Errorf("docs/metrics.md names %s, which is not exported", name)
		}
	}
}
