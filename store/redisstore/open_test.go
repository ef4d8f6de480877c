package redisstore

import (
	"strings"
	"testing"
)

// TestFit judges servers by what they say of themselves.
func TestFit(t *testing.T) {
	const good = "# Server\r\nredis_version:7.0.15\r\nloading:0\r\nrole:master\r\nmaxmemory_policy:noeviction\r\n"
	for name, c := range map[string]struct{ info, want string }{
		"good":             {good, ""},
		"a later one":      {strings.Replace(good, "7.0.15", "10.2.0", 1), ""},
		"an older one":     {strings.Replace(good, "7.0.15", "6.2.14", 1), `version "6.2.14", and 7.0 is needed`},
		"Valkey":           {strings.Replace(good, "7.0.15", "7.2.4\r\nvalkey_version:8.0.1", 1), ""},
		"an older Valkey":  {strings.Replace(good, "7.0.15", "7.2.4\r\nvalkey_version:7.1.0", 1), `version "7.1.0", and 7.2 is needed`},
		"one that loads":   {strings.Replace(good, "loading:0", "loading:1", 1), "is loading its data"},
		"a replica":        {strings.Replace(good, "master", "slave", 1), "address of the master"},
		"one that evicts":  {strings.Replace(good, "noeviction", "volatile-ttl", 1), "maxmemory-policy volatile-ttl"},
		"something else":   {"HTTP/1.1 400 Bad Request", "version"},
		"one without role": {strings.Replace(good, "role:master", "", 1), "address of the master"},
	} {
		err := fit(c.info)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
