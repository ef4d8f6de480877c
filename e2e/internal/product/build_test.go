package product

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSource looks from below, from the tree itself, and from outside.
func TestSource(t *testing.T) {
	root := t.TempDir()
	here := filepath.Join(root, "e2e", "bench")
	program := filepath.Join(root, "cmd", "sessionproxy")
	for _, dir := range []string{here, program} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(here)
	if dir, err := source(); err == nil {
		t.Errorf("found a program that is not there, in %s", dir)
	}
	err := Build(t.Context(), filepath.Join(root, "binary"))
	if err == nil || !strings.Contains(err.Error(), "run this in its source tree") {
		t.Errorf("building: %v", err)
	}
	if err := os.WriteFile(filepath.Join(program, "main.go"), []byte("package main\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{here, root, program} {
		t.Chdir(dir)
		if found, err := source(); err != nil || found != root {
			t.Errorf("from %s: %q, %v", dir, found, err)
		}
	}
}
