package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestComparisonIsHeldAgainstTheNoise prints workloads that differ by less and
// by more than equal sides did.
func TestComparisonIsHeldAgainstTheNoise(t *testing.T) {
	rep := &report{Compared: "0123456789abcdef", Workloads: []result{
		{Name: control + "READ", Rounds: rounds(1.03, 0)}, // 0.98 to 1.08
		{Name: "equal", Rounds: rounds(0.95, 0)},
		{Name: "worse", Rounds: rounds(0.90, 0)},
		{Name: "better", Rounds: rounds(1.10, 0)},
	}}
	var out bytes.Buffer
	rep.print(&out)
	for name, want := range map[string]string{
		"against ": "0123456789ab:", control: "", "equal": "within the noise", "worse": "slower", "better": "faster", "A/A noise": "±8 %",
	} {
		found := false
		for line := range strings.Lines(out.String()) {
			if strings.HasPrefix(line, name) {
				found = strings.Contains(line, want)
				break
			}
		}
		if !found {
			t.Errorf("no line %s … %s in\n%s", name, want, out.String())
		}
	}
}

// TestBaseThatIsNoCommit refuses a ref before anything is built.
func TestBaseThatIsNoCommit(t *testing.T) {
	_, _, err := buildBase(t.Context(), &fleet{dir: t.TempDir()}, "--no-such-ref")
	if err == nil || !strings.Contains(err.Error(), "no such commit") {
		t.Errorf("got %v", err)
	}
}
