package redisstore

import (
	"context"
	"crypto/sha1" //nolint:gosec // the server names scripts so
	"embed"
	"encoding/hex"
	"strings"

	"github.com/redis/rueidis"
)

//go:embed scripts/*.lua
var scripts embed.FS

// script is one operation on the keys of one manager.
type script struct {
	text, sum string
	readOnly  bool
}

func newScript(name string, readOnly bool) *script {
	var text strings.Builder
	for _, file := range []string{"lib", name} {
		b, err := scripts.ReadFile("scripts/" + file + ".lua")
		if err != nil {
			panic(err) // it is a part of the binary
		}
		text.Write(b)
	}
	sum := sha1.Sum([]byte(text.String())) //nolint:gosec // the server names scripts so
	return &script{text: text.String(), sum: hex.EncodeToString(sum[:]), readOnly: readOnly}
}

var (
	loadScript        = newScript("load", true)
	saveScript        = newScript("save", false)
	deleteScript      = newScript("delete", false)
	touchScript       = newScript("touch", false)
	sweepScript       = newScript("sweep", false)
	listScript        = newScript("list", true)
	pageScript        = newScript("page", true)
	leaseScript       = newScript("lease", false)
	deliveriesScript  = newScript("deliveries", true)
	settleScript      = newScript("settle", false)
	deadLettersScript = newScript("deadletters", true)
	deadLetterScript  = newScript("deadletter", false)
	purgeScript       = newScript("purge", false)
	backlogScript     = newScript("backlog", true)
	registerScript    = newScript("register", false)
	claimScript       = newScript("claim", false)
)

// call is the command that runs a script which the server knows already.
func (c *script) call(b rueidis.Builder, key string, args []string) rueidis.Completed {
	if c.readOnly {
		return b.EvalshaRo().Sha1(c.sum).Numkeys(1).Key(key).Arg(args...).Build()
	}
	return b.Evalsha().Sha1(c.sum).Numkeys(1).Key(key).Arg(args...).Build()
}

// teach is the command that runs a script and has the server know it.
func (c *script) teach(b rueidis.Builder, key string, args []string) rueidis.Completed {
	if c.readOnly {
		return b.EvalRo().Script(c.text).Numkeys(1).Key(key).Arg(args...).Build()
	}
	return b.Eval().Script(c.text).Numkeys(1).Key(key).Arg(args...).Build()
}

// eval runs a script on one key.
func (s *Store) eval(ctx context.Context, c *script, key string, args ...string) rueidis.RedisResult {
	return s.evalEach(ctx, c, []string{key}, func(string) []string { return args })[0]
}

// evalEach runs a script on each of the keys, in one round trip.
func (s *Store) evalEach(ctx context.Context, c *script, keys []string, args func(key string) []string) []rueidis.RedisResult {
	commands := make([]rueidis.Completed, len(keys))
	for i, key := range keys {
		commands[i] = c.call(s.client.B(), key, args(key))
	}
	results := s.client.DoMulti(ctx, commands...)
	for i, key := range keys {
		if err, ok := rueidis.IsRedisErr(results[i].Error()); ok && err.IsNoScript() {
			results[i] = s.client.Do(ctx, c.teach(s.client.B(), key, args(key)))
		}
	}
	return results
}
