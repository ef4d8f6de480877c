package sessionproxy_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// people are words for a person in a comment, whose subject should be a thing.
var people = regexp.MustCompile(`(?i)\b(who|whoever|nobody|somebody|anybody)\b`)

// maxPeople is how many lines of comments may have one of these words: a user
// who is signed in is a person. It only gets smaller.
const maxPeople = 6

// TestCommentsSpeakOfThings counts the lines of comments, tests included, that
// speak of people.
func TestCommentsSpeakOfThings(t *testing.T) {
	var found []string
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || name == "comments_test.go" {
			return nil
		}
		files := token.NewFileSet()
		parsed, err := parser.ParseFile(files, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, group := range parsed.Comments {
			for _, c := range group.List {
				for line := range strings.Lines(c.Text) {
					if people.MatchString(line) {
						found = append(found, files.Position(c.Pos()).String()+": "+strings.TrimSpace(line))
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != maxPeople {
		t.Errorf("%d lines of comments speak of people, and %d may: make a thing the subject, or set the limit lower:\n%s",
			len(found), maxPeople, strings.Join(found, "\n"))
	}
}
