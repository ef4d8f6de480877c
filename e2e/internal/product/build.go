// Package product builds the program that the tests, benchmarks and stress runs
// of this module look at.
package product

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Build builds the binary in the module of the product, not in this one: it is
// the one that is shipped, with the versions of its own go.mod.
func Build(ctx context.Context, binary string, flags ...string) error {
	root, err := source()
	if err != nil {
		return fmt.Errorf("building the proxy: %w", err)
	}
	return BuildIn(ctx, root, binary, flags...)
}

// BuildIn builds the binary from the source tree below root.
func BuildIn(ctx context.Context, root, binary string, flags ...string) error {
	build := exec.CommandContext(ctx, "go", append(append([]string{"build", "-o", binary}, flags...), "./cmd/sessionproxy")...)
	build.Dir, build.Stderr = root, os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building the proxy: %w", err)
	}
	return nil
}

// source returns the directory of the product's module: the working directory
// or the nearest one above it that has the program.
func source() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "cmd", "sessionproxy", "main.go")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("its source is not here: run this in its source tree")
		}
		dir = up
	}
}
