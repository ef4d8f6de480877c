package command

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// adminAddress returns the address of the admin endpoint that the flags mean.
func (c *cli) adminAddress() (string, error) {
	var config []byte
	if c.address == "" && c.config != "" {
		var err error
		if config, err = c.readConfig(); err != nil {
			return "", err
		}
	}
	return caddycmd.DetermineAdminAPIAddress(c.address, config, c.config, c.adapter)
}

// readConfig returns the configuration of --config as JSON. Caddy's own way
// logs what it does, and tables are no place for that. Warnings are printed.
func (c *cli) readConfig() (config []byte, err error) {
	if c.config == "-" {
		config, err = io.ReadAll(c.in)
	} else {
		config, err = os.ReadFile(c.config)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	name := c.adapter
	if name == "" && namesCaddyfile(c.config) {
		name = "caddyfile"
	}
	if name == "" {
		if err := json.Unmarshal(config, new(any)); err != nil {
			return nil, fmt.Errorf("reading the configuration: %w; --adapter says what it is, if it is no JSON", err)
		}
		return config, nil
	}
	adapter := caddyconfig.GetAdapter(name)
	if adapter == nil {
		return nil, fmt.Errorf("there is no adapter %q", name)
	}
	config, warnings, err := adapter.Adapt(config, map[string]any{"filename": c.config})
	if err != nil {
		return nil, fmt.Errorf("adapting the configuration: %w", err)
	}
	for _, w := range warnings {
		fmt.Fprintln(c.err, "Warning:", w)
	}
	return config, nil
}

// namesCaddyfile reports whether Caddy takes a file of that name for a Caddyfile.
func namesCaddyfile(path string) bool {
	base := strings.ToLower(filepath.Base(path))
	return filepath.Ext(base) != ".json" && (strings.HasPrefix(base, "caddyfile") || strings.HasSuffix(base, ".caddyfile"))
}
