package command

import (
	"fmt"

	"github.com/sessionproxy/sessionproxy/caddymodule/adminapi"
)

// printCookies lists the cookies that a session keeps for its app, without
// their values.
func (c *cli) printCookies(s adminapi.SessionView) error {
	if s.CookiesError != "" {
		fmt.Fprintf(c.out, "\n%s\n", plain(s.CookiesError))
		return nil
	}
	if len(s.Cookies) == 0 {
		return nil
	}
	now := c.now()
	fmt.Fprintln(c.out)
	t := table(c.out)
	row(t, "COOKIE", "PATH", "AGE", "EXPIRES", "SIZE", "WHERE")
	for _, k := range s.Cookies {
		age, expires, size, where := "-", "with the session", "-", "browser"
		if !k.InBrowser {
			age, size, where = ago(k.Created, now), bytesOf(int64(k.Size)), "session"
		} else {
			expires = "-"
		}
		if k.Expires != nil {
			expires = "in " + until(k.Expires, now)
		}
		row(t, plain(k.Name), plain(k.Path), age, expires, size, where)
	}
	return t.Flush()
}
