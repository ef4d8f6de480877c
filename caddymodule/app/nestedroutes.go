package app

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// NestedRoutes is a list of routes that a handler holds.
type NestedRoutes struct {
	Path   string // from the handler to the list, in the configuration
	Routes caddyhttp.RouteList
}

// RoutesIn returns the lists of routes that any handler holds in exported
// fields, those of modules that are not known here included. A handler that
// invokes a named route holds none.
func RoutesIn(handler any) (found []NestedRoutes) {
	value := reflect.Indirect(reflect.ValueOf(handler))
	if value.Kind() != reflect.Struct {
		return nil
	}
	for i := range value.NumField() {
		field := value.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch v := value.Field(i).Interface().(type) {
		case caddyhttp.RouteList:
			found = append(found, NestedRoutes{name, v})
		case []caddyhttp.ResponseHandler:
			for j, response := range v {
				found = append(found, NestedRoutes{fmt.Sprintf("%s/%d/routes", name, j), response.Routes})
			}
		case *caddyhttp.HTTPErrorConfig:
			if v != nil {
				found = append(found, NestedRoutes{name + "/routes", v.Routes})
			}
		case *caddyhttp.Subroute:
			if v != nil {
				for _, nested := range RoutesIn(v) {
					found = append(found, NestedRoutes{name + "/" + nested.Path, nested.Routes})
				}
			}
		}
	}
	return found
}
