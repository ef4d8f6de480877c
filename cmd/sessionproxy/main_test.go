package main

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestCommandsThatExchangeTheBinaryAreRefused(t *testing.T) {
	for _, command := range []string{"upgrade", "add-package", "remove-package"} {
		if got := refusal([]string{"sessionproxy", command, "x"}); !strings.Contains(got, command) || !strings.Contains(got, "go install") {
			t.Errorf("%s: %q", command, got)
		}
	}
	for _, args := range [][]string{{"sessionproxy"}, {"sessionproxy", "run"}, {"sessionproxy", "version"}} {
		if got := refusal(args); got != "" {
			t.Errorf("%q: %q", args, got)
		}
	}
}

func TestVersion(t *testing.T) {
	if got := version(&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, true); got != "v1.2.3" {
		t.Error(got)
	}
	if got := version(nil, false); got != "(unknown)" {
		t.Error(got)
	}
}
