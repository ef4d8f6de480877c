package caddytest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

const (
	betweenCases = "==========\n"
	beforeResult = "----------\n"
)

// Golden compares Caddyfiles with the JSON, or the error, that they adapt
// to: those of the folder testdata. A file holds several cases; each begins with a comment that names it.
func Golden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cases := strings.Split(string(text), betweenCases)
		for i, c := range cases {
			input, want, _ := strings.Cut(c, beforeResult)
			name, _, _ := strings.Cut(strings.TrimPrefix(input, "# "), "\n")
			got := adapted(t, input)
			cases[i] = input + beforeResult + got
			t.Run(name, func(t *testing.T) {
				if got != want && !*Update {
					t.Errorf("%s\nadapts to\n%s\nwant\n%s", input, got, want)
				}
			})
		}
		if *Update {
			if err := os.WriteFile(file, []byte(strings.Join(cases, betweenCases)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// adapted returns indented JSON, or the error.
func adapted(t *testing.T, input string) string {
	t.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(input), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return err.Error() + "\n"
	}
	var b bytes.Buffer
	if err := json.Indent(&b, config, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return b.String() + "\n"
}
