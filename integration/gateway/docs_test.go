package gateway_test

import (
	"os"
	"strings"
	"testing"
)

// TestPages checks that the page of each proxy has the configuration that the
// gateway prints.
func TestPages(t *testing.T) {
	for page, files := range map[string][]string{
		"nginx":         {"nginx.conf"},
		"caddy":         {"Caddyfile"},
		"haproxy":       {"haproxy.cfg", "para.lua"},
		"traefik":       {"traefik.yaml"},
		"envoy":         {"envoy.yaml"},
		"ingress-nginx": {"ingress-nginx.yaml"},
	} {
		text := read(t, "../../docs/gateway/"+page+".md")
		for _, file := range files {
			config := read(t, "../../cmd/parajwt-gateway/config/"+file)
			if !strings.Contains(text, "\n"+config+"```\n") {
				t.Errorf("docs/gateway/%s.md does not have %s unchanged", page, file)
			}
		}
		if !strings.Contains(read(t, "../../docs/gateway.md"), "(gateway/"+page+".md)") {
			t.Errorf("docs/gateway.md does not link to %s", page)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
