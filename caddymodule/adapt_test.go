package caddymodule_test

import (
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

func TestAdapt(t *testing.T) { caddytest.Golden(t) }
