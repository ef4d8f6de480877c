package jar

import (
	"slices"
	"strings"
)

// ClearSiteData takes cookies out of the values of a response's
// Clear-Site-Data, and reports whether they were in: then the session ends,
// and Rules.Forget has the app's cookies in the browser. Left as it is, the
// header would sign the user out of every app of the site. A star becomes what
// else it stands for.
func ClearSiteData(values []string) (kept []string, ends bool) {
	for _, value := range values {
		var types []string
		for t := range strings.SplitSeq(value, ",") {
			switch t = trim(t); t {
			case `"cookies"`:
				ends = true
			case `"*"`:
				ends = true
				types = appendNew(types, `"cache"`, `"storage"`)
			case "":
			default:
				types = appendNew(types, t)
			}
		}
		if len(types) > 0 {
			kept = append(kept, strings.Join(types, ", "))
		}
	}
	return kept, ends
}

// appendNew appends what is not in the list yet.
func appendNew(list []string, more ...string) []string {
	for _, m := range more {
		if !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list
}
