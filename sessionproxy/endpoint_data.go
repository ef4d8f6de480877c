package sessionproxy

import (
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// locate reads the path below /data: the tokens of a JSON Pointer, each
// percent-encoded as in any URL.
func (k *call) locate(path string, deeper bool) error {
	if !deeper {
		return nil
	}
	for segment := range strings.SplitSeq(path, "/") {
		token, err := url.PathUnescape(segment)
		if err == nil {
			token, err = document.DecodeToken(token)
		}
		if err != nil {
			return malformed(err)
		}
		k.at = append(k.at, token)
	}
	return nil
}

func (k *call) getData() error {
	var data []byte
	var tag string
	// The answer is written afterwards: a caller that does not read it must
	// not keep the request from ending.
	err := k.x.do(k.r.Context(), false, func(s *session.Session) error { data, tag = s.Staged(); return nil })
	if err != nil {
		return err
	}
	value, ok := document.At(data, k.at)
	if !ok {
		return document.ErrNoPath
	}
	if same, err := noneMatch(k.r.Header, tag); same || err != nil {
		if err == nil {
			k.w.Header().Set("ETag", quoted(tag))
			k.w.WriteHeader(http.StatusNotModified)
		}
		return err
	}
	return k.reply(value, tag)
}

func (k *call) putData() error {
	value, err := k.json(document.ParseValue)
	if err != nil {
		return err
	}
	if k.root {
		if value, err = document.Parse(value, 0); err != nil {
			return malformed(err)
		}
		return k.write(change.Replace(value))
	}
	return k.write(change.Set(k.at, value))
}

func (k *call) patchData() error {
	kind := k.r.Header.Get("Content-Type")
	if strings.Contains(kind, ";") {
		var err error
		if kind, _, err = mime.ParseMediaType(kind); err != nil {
			kind = ""
		}
	}
	switch strings.ToLower(kind) {
	case "application/merge-patch+json", "application/json":
		if k.root {
			patch, err := parse(k, document.ParseMergePatch)
			if err != nil {
				return err
			}
			return k.write(change.MergePatch(patch))
		}
		value, err := k.json(document.ParseValue)
		if err != nil {
			return err
		}
		return k.write(change.MergePatchAt(k.at, value))
	case "application/json-patch+json":
		patch, err := parse(k, document.ParseJSONPatch)
		if err != nil {
			return err
		}
		return k.write(change.JSONPatch(patch.Within(k.at)))
	}
	return errMediaType
}

func (k *call) deleteData() error {
	if _, _, err := k.stage(change.Changes{Ops: []change.Op{change.Remove(k.at)}}); err != nil {
		return err
	}
	return k.done()
}

// write stages steps and answers with the value at the call's path.
func (k *call) write(steps ...change.Op) error {
	data, tag, err := k.stage(change.Changes{Ops: steps})
	if err != nil {
		return err
	}
	value, ok := document.At(data, k.at)
	if !ok { // appended with "-", or gone again
		value = data
	}
	return k.reply(value, tag)
}
