package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/store/redisstore"
)

func init() {
	caddy.RegisterModule(new(Store))
}

// Store keeps sessions on a Redis server. Any number of proxies can share it.
type Store struct {
	// Address is host:port of the server. Placeholders in it, and in the
	// username and the password, are resolved when the configuration loads.
	Address string `json:"address,omitempty"`

	// Username and Password sign in to the server. Write them as placeholders,
	// which they stay in what the admin API shows. Default: none.
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`

	// TLS encrypts the connection, and checks the server's certificate against
	// the host of the address. Default: false, clear text.
	TLS bool `json:"tls,omitempty"`

	// TLSCA is a file of certificates, in PEM, that vouch for the server's; it
	// is read when the store opens, and means TLS. Placeholders are resolved.
	// Default: those of the system.
	TLSCA string `json:"tls_ca,omitempty"`

	// Database is the number of the server's database. Default: 0.
	Database int `json:"database,omitempty"`

	// Prefix begins the names of all keys, in characters of A-Za-z0-9_-.
	// Default: sessions.
	Prefix string `json:"prefix,omitempty"`

	// Timeout bounds each call to the server. Default: 5s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	resolved settings
}

// settings are what a configuration comes to: comparable, and holding on to
// nothing of the module.
type settings struct {
	address, username, password, prefix string
	tls                                 bool
	authority                           string // a file
	database                            int
	timeout                             time.Duration
}

// options are those of the store, but for TLS.
func (s settings) options() redisstore.Options {
	return redisstore.Options{
		Address: s.address, Username: s.username, Password: s.password, Database: s.database, Prefix: s.prefix, Timeout: s.timeout,
	}
}

// tlsConfig is how the server's certificate is checked; nil is clear text.
func (s settings) tlsConfig() (*tls.Config, error) {
	if !s.tls {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.authority == "" {
		return config, nil
	}
	text, err := os.ReadFile(s.authority)
	if err != nil {
		return nil, fmt.Errorf("reading tls_ca: %w", err)
	}
	if config.RootCAs = x509.NewCertPool(); !config.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("reading tls_ca: %s has no certificate in PEM", s.authority)
	}
	return config, nil
}

// CaddyModule returns the Caddy module information.
func (*Store) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: runtime.StoreNamespace + ".redis", New: func() caddy.Module { return new(Store) }}
}

// Provision resolves placeholders and checks the options. It asks no server.
func (r *Store) Provision(caddy.Context) error {
	repl := caddy.NewReplacer()
	r.resolved = settings{prefix: r.Prefix, tls: r.TLS || r.TLSCA != "", database: r.Database, timeout: time.Duration(r.Timeout)}
	for _, option := range []struct {
		name, text string
		into       *string
	}{{"address", r.Address, &r.resolved.address}, {"username", r.Username, &r.resolved.username}, {"password", r.Password, &r.resolved.password}, {"tls_ca", r.TLSCA, &r.resolved.authority}} {
		var err error
		if *option.into, err = repl.ReplaceOrErr(option.text, true, true); err != nil {
			return fmt.Errorf("resolving the session store's %s: %w", option.name, err)
		}
	}
	if err := r.resolved.options().Validate(); err != nil {
		return fmt.Errorf("reading the session store on redis: %w", err)
	}
	return nil
}

// PoolKey is the engine, and where the keys are.
func (r *Store) PoolKey() string {
	o := r.resolved.options().WithDefaults()
	return fmt.Sprintf("redis:%s/%d:%s", o.Address, o.Database, o.Prefix)
}

// Open connects to the server.
func (r *Store) Open(logger *zap.Logger) (runtime.OpenStore, error) {
	o := r.resolved.options()
	var err error
	if o.TLS, err = r.resolved.tlsConfig(); err != nil {
		return nil, err
	}
	st, err := redisstore.Open(context.Background(), o)
	if err != nil {
		return nil, err
	}
	logger.Info("opened session store on redis", zap.String("store", r.PoolKey()))
	return st, nil
}

// CompatibleWith refuses to change the options of an open store.
func (r *Store) CompatibleWith(other runtime.StoreProvider) error {
	o, ok := other.(*Store)
	if !ok {
		return fmt.Errorf("the session store %s was opened by another module; restart the server to change it", r.PoolKey())
	}
	var option string
	switch was, is := o.resolved, r.resolved; {
	case was.username != is.username:
		option = "username"
	case was.password != is.password:
		option = "password"
	case was.tls != is.tls:
		option = "tls"
	case was.authority != is.authority:
		option = "tls_ca"
	case was.timeout != is.timeout:
		option = "timeout"
	default:
		return nil
	}
	return fmt.Errorf("changing %s of the session store %s is impossible while it is open; restart the server instead of reloading", option, r.PoolKey())
}

// Interface guards.
var (
	_ caddy.Provisioner     = (*Store)(nil)
	_ runtime.StoreProvider = (*Store)(nil)
)
