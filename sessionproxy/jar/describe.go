package jar

import "time"

// Info is what an operator is told about a cookie: everything but the value.
type Info struct {
	Name, Path       string
	Created, Expires time.Time // Expires is zero if it ends with the session
	Size             int       // of name and value
	HttpOnly, Secure bool
	SameSite         string // strict, lax, none or empty
	InBrowser        bool   // readable: the browser has it, the session its name alone; no times, no size
}

// Describe tells operators what the index of a jar has. The error wraps ErrFormat.
func Describe(index []byte) ([]Info, error) {
	if len(index) == 0 {
		return nil, nil
	}
	var j Jar
	var lengths [maxCookies]uint32
	if err := j.decodeIndex(string(index), &lengths); err != nil {
		return nil, err
	}
	infos := make([]Info, 0, len(j.cookies)+len(j.notes))
	for i := range j.cookies {
		c := &j.cookies[i]
		info := describe(c.name, c.path, c.flags)
		info.Created = time.UnixMilli(c.created)
		if c.expires != 0 {
			info.Expires = time.Unix(c.expires, 0)
		}
		info.Size = len(c.name) + int(lengths[i])
		infos = append(infos, info)
	}
	for _, n := range j.notes {
		info := describe(n.name, n.path, n.flags)
		info.InBrowser = true
		infos = append(infos, info)
	}
	return infos, nil
}

func describe(name, path string, f flags) Info {
	return Info{Name: name, Path: path, HttpOnly: f&httpOnly != 0, Secure: f&secure != 0, SameSite: f.sameSite().String()}
}
