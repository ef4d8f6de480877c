package adminapi

import (
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// CookieView is a cookie in a session's jar as operators see it: never its
// value, which is sealed for the holder of the ticket.
type CookieView struct {
	Name     string `json:"name"`
	Path     string `json:"path"`
	Created  *int64 `json:"created,omitempty"`
	Expires  *int64 `json:"expires,omitempty"` // absent: with the session
	Size     int    `json:"size,omitempty"`    // of name and value
	HTTPOnly bool   `json:"http_only,omitempty"`
	Secure   bool   `json:"secure,omitempty"`
	SameSite string `json:"same_site,omitempty"`
	// InBrowser says that scripts may read the cookie, so that it lives in the
	// browser, and the session knows its name alone.
	InBrowser bool `json:"in_browser,omitempty"`
}

// describeCookies adds what may be told of a stored cookie jar.
func (v *SessionView) describeCookies(stored []byte) {
	infos, err := session.DescribeJar(stored)
	if err != nil {
		v.CookiesError = err.Error()
		return
	}
	for _, i := range infos {
		v.Cookies = append(v.Cookies, CookieView{
			Name: i.Name, Path: i.Path, Created: unixSeconds(i.Created), Expires: unixSeconds(i.Expires), Size: i.Size,
			HTTPOnly: i.HttpOnly, Secure: i.Secure, SameSite: i.SameSite, InBrowser: i.InBrowser,
		})
	}
}
