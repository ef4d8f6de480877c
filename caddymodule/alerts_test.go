package caddymodule_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestAlertsAskForWhatIsExported: each rule's metrics and labels are there.
func TestAlertsAskForWhatIsExported(t *testing.T) {
	text, err := os.ReadFile("../grafana/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	exported, rules := exports(t), 0
	metric := regexp.MustCompile(`caddy_sessions_\w+`)
	labels := regexp.MustCompile(`(?:by \(([^)]*)\)|\{(\w+)=)`)
	for line := range strings.Lines(string(text)) {
		_, expr, ok := strings.Cut(line, "expr: ")
		if !ok {
			continue
		}
		rules++
		for _, name := range metric.FindAllString(expr, -1) {
			has, ok := exported[strings.TrimSuffix(name, "_bucket")]
			if !ok {
				t.Errorf("%s is not exported", name)
				continue
			}
			for _, m := range labels.FindAllStringSubmatch(expr, -1) {
				for label := range strings.SplitSeq(m[1]+m[2], ", ") {
					if label != "le" && !slices.Contains(has, label) {
						t.Errorf("%s has no label %s", name, label)
					}
				}
			}
		}
	}
	if alerts := strings.Count(string(text), "- alert: "); rules != 10 || alerts != rules {
		t.Errorf("%d alerts with %d expressions", alerts, rules)
	}
}
