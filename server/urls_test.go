package server

import (
	"net/http/httptest"
	"testing"

	"github.com/evoke-run/evoke/api"
)

func TestURLsOfADeploy(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		o           Options
		host        string // by which the management API was reached
		route, want string
	}{
		"its address":                  {Options{Version: api.Version{Gateway: "127.0.0.1:8080"}}, "localhost:8081", "/fn/a", "http://127.0.0.1:8080/fn/a"},
		"methods":                      {Options{Version: api.Version{Gateway: "127.0.0.1:8080"}}, "localhost:8081", "GET,POST /orders/{id}", "GET,POST http://127.0.0.1:8080/orders/{id}"},
		"a host of its own":            {Options{Version: api.Version{Gateway: "127.0.0.1:8080"}}, "localhost:8081", "POST api.example.com/a/{rest...}", "POST http://api.example.com:8080/a/{rest...}"},
		"all addresses":                {Options{Version: api.Version{Gateway: "[::]:8080"}}, "evoke.internal:8081", "/fn/a", "http://evoke.internal:8080/fn/a"},
		"all addresses of version 4":   {Options{Version: api.Version{Gateway: "0.0.0.0:8080"}}, "evoke.internal", "/fn/a", "http://evoke.internal:8080/fn/a"},
		"all addresses, asked by IPv6": {Options{Version: api.Version{Gateway: "[::]:8080"}}, "[fd00::1]:8081", "/fn/a", "http://[fd00::1]:8080/fn/a"},
		"IPv6 without a port":          {Options{Version: api.Version{Gateway: "[::]:8080"}}, "[fd00::1]", "/fn/a", "http://[fd00::1]:8080/fn/a"},
		"TLS":                          {Options{Version: api.Version{Gateway: "192.0.2.7:443"}, GatewayTLS: true}, "x", "/fn/a", "https://192.0.2.7:443/fn/a"},
		"what the operator says":       {Options{Version: api.Version{Gateway: "127.0.0.1:8080"}, PublicURL: "https://fn.example.com/"}, "x", "/@shop/fn/a", "https://fn.example.com/@shop/fn/a"},
		"and a host of its own":        {Options{Version: api.Version{Gateway: "127.0.0.1:8080"}, PublicURL: "https://fn.example.com"}, "x", "api.example.com/a", "https://api.example.com/a"},
	} {
		s := &Server{o: tc.o}
		r := httptest.NewRequest("PUT", "/", nil)
		r.Host = tc.host
		d := api.Deployed{Functions: []api.DeployedFunction{{URLs: []string{tc.route}}}}
		s.wholeURLs(r, &d)
		if got := d.Functions[0].URLs[0]; got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}
