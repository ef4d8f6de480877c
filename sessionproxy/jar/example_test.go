package jar_test

import (
	"fmt"
	"log"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
)

// An app below /blog signs a user in, and is asked for a page.
func Example() {
	rules, err := jar.NewRules(jar.Options{Pass: []string{"prefs"}})
	if err != nil {
		log.Fatal(err)
	}
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

	// The app answers the form with three cookies.
	login := &jar.Request{BrowserPath: "/blog/login", AppPath: "/login", At: at, Unsafe: true, Navigation: true}
	var given *jar.Jar // the session has no cookies yet
	sorted := rules.Sort(given, login, []string{
		"PHPSESSID=4711; path=/",
		"remembered=alice; path=/; HttpOnly; Max-Age=86400",
		"csrf=42; path=/",
	})
	fmt.Printf("for the browser: %q\n", sorted.Browser)

	// They are merged into the jar as it is stored by now, and stored in two
	// parts, of which the second is to be sealed.
	merged := jar.Merge(given, sorted.Wishes, jar.Moment{At: at})
	index, secret := merged.Jar.Encode()
	fmt.Println("changed:", merged.Changed, "a login:", merged.Login)

	// The browser comes back, with a cookie of another app as well.
	given, err = jar.Decode(index, secret)
	if err != nil {
		log.Fatal(err)
	}
	page := &jar.Request{BrowserPath: "/blog/posts", AppPath: "/posts", At: at.Add(time.Minute), Navigation: true}
	line := rules.Line(given, page, []string{"csrf=42; prefs=dark; PHPSESSID=planted; other=1"})
	fmt.Println("for the app:", line.Value)
	fmt.Println("unknown:", line.Unknown, "names of the jar:", line.Counts[jar.RemovedJar])

	// Output:
	// for the browser: ["csrf=42; Path=/blog"]
	// changed: true a login: true
	// for the app: PHPSESSID=4711; remembered=alice; csrf=42; prefs=dark
	// unknown: [other] names of the jar: 1
}
