package adminapi

import (
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

func TestMain(m *testing.M) { caddytest.Main(m) }
