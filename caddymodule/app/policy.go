package app

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Policy is the resolved policy of a manager: what all handlers of its name
// have to agree on. It is made from the JSON of the options with all defaults
// filled in, so an option that is left out equals one that states the default.
//
// Everything in that JSON counts: timeouts, locking, limits, tickets, cookies,
// request matchers and listeners. Matchers and listeners count by what their
// own JSON says, so a named matcher equals the same one written inline, and a
// placeholder counts as it is written. Neither the order of members nor the
// spelling of strings and numbers (`"\u0061"` and `"a"`, `1.0` and `1`) makes a
// difference; the order of a list does, since the first listener of a kind is
// another one than the second. What is not configured does not count: the
// process, its host, its version, the place of the handler.
type Policy struct {
	options     any // as decoded JSON
	fingerprint string
}

// NewPolicy resolves a policy from options that marshal to JSON.
func NewPolicy(options any) (Policy, error) {
	text, err := json.Marshal(options)
	if err != nil {
		return Policy{}, err
	}
	var p Policy
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&p.options); err != nil {
		return Policy{}, err
	}
	p.options = normalise(p.options)
	// Maps marshal with their members sorted.
	canonical, err := json.Marshal(p.options)
	if err != nil {
		return Policy{}, err
	}
	sum := sha256.Sum256(canonical)
	p.fingerprint = hex.EncodeToString(sum[:])
	return p, nil
}

// Fingerprint returns the SHA-256 of the policy in hexadecimal: equal policies
// have equal ones, in any process of this version. It shows no option, but
// secrets of listeners are in the sum: it is for nodes that share a store, and
// not for logs.
func (p Policy) Fingerprint() string { return p.fingerprint }

// Equal reports whether two policies have the same fingerprint.
func (p Policy) Equal(o Policy) bool { return p.fingerprint == o.fingerprint }

// Differences returns the names of the options in which two policies differ,
// with dots between the levels. Values are left out: they may be secret.
func (p Policy) Differences(o Policy) []string { return differing("", p.options, o.options) }

// String names the fingerprint alone, so that no option is printed by mistake.
func (p Policy) String() string { return fmt.Sprintf("policy %.12s", p.fingerprint) }

func differing(name string, a, b any) (names []string) {
	if reflect.DeepEqual(a, b) {
		return nil
	}
	x, isObject := a.(map[string]any)
	y, isToo := b.(map[string]any)
	if !isObject || !isToo {
		return []string{name}
	}
	members := maps.Clone(x)
	maps.Copy(members, y)
	for _, member := range slices.Sorted(maps.Keys(members)) {
		path := member
		if name != "" {
			path = name + "." + member
		}
		names = append(names, differing(path, x[member], y[member])...)
	}
	return names
}

// normalise gives each number in decoded JSON one spelling.
func normalise(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			v[name] = normalise(member)
		}
	case []any:
		for i, element := range v {
			v[i] = normalise(element)
		}
	case json.Number:
		return normaliseNumber(v)
	}
	return v
}

// normaliseNumber keeps the digits of whole numbers, which may be more than a
// float holds: a duration in nanoseconds is one.
func normaliseNumber(n json.Number) json.Number {
	if n == "-0" {
		return "0"
	}
	if !strings.ContainsAny(n.String(), ".eE") {
		return n
	}
	f, err := n.Float64()
	if err != nil { // too large for any option
		return n
	}
	if f == 0 {
		return "0"
	}
	return json.Number(strconv.FormatFloat(f, 'f', -1, 64))
}
