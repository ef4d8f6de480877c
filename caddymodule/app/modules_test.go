package app_test

// The tests run whole configurations.
import _ "github.com/sessionproxy/sessionproxy/caddymodule"
