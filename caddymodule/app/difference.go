package app

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
)

// differences returns the names of the options in which two policies differ,
// with dots between the levels. Values are left out: they may be secret.
func differences(a, b string) []string {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return nil
	}
	return differing("", x, y)
}

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
