package caddymodule

import (
	_ "github.com/sessionproxy/sessionproxy/caddymodule/adminapi"
	_ "github.com/sessionproxy/sessionproxy/caddymodule/app"
	_ "github.com/sessionproxy/sessionproxy/caddymodule/command"
	_ "github.com/sessionproxy/sessionproxy/caddymodule/handler"
	_ "github.com/sessionproxy/sessionproxy/caddymodule/listeners/removefiles"
	_ "github.com/sessionproxy/sessionproxy/caddymodule/listeners/webhook"
	_ "github.com/sessionproxy/sessionproxy/caddymodule/stores/badger"
	_ "github.com/sessionproxy/sessionproxy/caddymodule/stores/memory"
)
