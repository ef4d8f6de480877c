package app

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func policyOf(t *testing.T, text string) Policy {
	t.Helper()
	p, err := NewPolicy(json.RawMessage(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPoliciesAreEqualByWhatTheySay compares policies that are spelled in
// another way, and such as say something else.
func TestPoliciesAreEqualByWhatTheySay(t *testing.T) {
	const base = `{"manager":"a","idle_timeout":1800000000000,"read_only":[{"header":{"A":["x"],"B":null},"path":["/a","/b"]}],"listeners":[{"module":"w","secret":"hunter2"},{"module":"v"}]}`
	for name, tc := range map[string]struct {
		from, to string
		differs  []string
	}{
		"itself":                        {"", "", nil},
		"order of members":              {`"A":["x"],"B":null`, `"B":null,"A":["x"]`, nil},
		"order of members in a list":    {`{"module":"w","secret":"hunter2"}`, `{"secret":"hunter2","module":"w"}`, nil},
		"spelling of a string":          {`"/a"`, `"\u002fa"`, nil},
		"spelling of a number":          {`1800000000000`, `1.8e12`, nil},
		"space":                         {`"manager":"a",`, " \n\t\"manager\" : \"a\" ,", nil},
		"last digit of a large number":  {`1800000000000`, `1800000000001`, []string{"idle_timeout"}},
		"digits beyond those of floats": {`1800000000000`, `9007199254740993`, []string{"idle_timeout"}},
		"a value":                       {`"/b"`, `"/c"`, []string{"read_only"}},
		"order of a list":               {`"/a","/b"`, `"/b","/a"`, []string{"read_only"}},
		"a secret":                      {`hunter2`, `hunter3`, []string{"listeners"}},
		"no listener":                   {`,{"module":"v"}`, ``, []string{"listeners"}},
		"another option":                {`"manager":"a"`, `"manager":"a","ticket":{"cookie":{"path":"/x"}}`, []string{"ticket"}},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(base, tc.from) {
				t.Fatalf("no %s in %s", tc.from, base)
			}
			p, o := policyOf(t, base), policyOf(t, strings.Replace(base, tc.from, tc.to, 1))
			if equal := len(tc.differs) == 0; p.Equal(o) != equal || (p.Fingerprint() == o.Fingerprint()) != equal {
				t.Errorf("equal: %t, want %t", !equal, equal)
			}
			if got := p.Differences(o); !slices.Equal(got, tc.differs) {
				t.Errorf("differences %q, want %q", got, tc.differs)
			}
		})
	}
	// Two large numbers that are one float.
	if policyOf(t, `{"n":9007199254740993}`).Equal(policyOf(t, `{"n":9007199254740992}`)) {
		t.Error("large numbers are rounded")
	}
	for _, zero := range []string{"-0", "0.0", "-0e5"} {
		if !policyOf(t, `[0]`).Equal(policyOf(t, `[`+zero+`]`)) {
			t.Errorf("%s is not zero", zero)
		}
	}
}

// TestFingerprintIsStable pins a fingerprint: nodes compare those of several
// processes. Where it changes, nodes of two versions no longer agree.
func TestFingerprintIsStable(t *testing.T) {
	p := policyOf(t, `{"b":{"y":2,"x":[1.5,"ä<"]},"a":true}`)
	// Of {"a":true,"b":{"x":[1.5,"ä\u003c"],"y":2}}.
	const want = "92fa519bc972be48a03fb795492e4b850d910bd2e5ab1bb9367b51a8dd649148"
	if p.Fingerprint() != want {
		t.Errorf("fingerprint %s, want %s", p.Fingerprint(), want)
	}
}

// TestPolicyPrintsNoSecret prints a policy in the ways that logs do.
func TestPolicyPrintsNoSecret(t *testing.T) {
	p := policyOf(t, `{"listeners":[{"secret":"hunter2"}]}`)
	for _, verb := range []string{"%v", "%+v", "%s"} {
		if text := fmt.Sprintf(verb, p); strings.Contains(text, "hunter2") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}
