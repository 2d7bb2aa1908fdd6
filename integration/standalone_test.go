package integration_test

import (
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestStandalone: a program outside this module that uses one router builds with what this module
// needs anyway, and links the other routers neither as packages nor as modules.
func TestStandalone(t *testing.T) {
	const gin, echo = "github.com/gin-gonic/gin", "github.com/labstack/echo/"
	for _, test := range []struct {
		adapter string
		use     string // that the linker cannot leave out
		without []string
	}{
		{"parahttp", `http.Handle("/", parahttp.Require(validator)(http.NotFoundHandler()))`, []string{gin, echo}},
		{"paraecho", `http.Handle("/", echo.New()); _ = paraecho.Require(validator)`, []string{gin}},
		{"paragin", `http.Handle("/", gin.New()); _ = paragin.Require(validator)`, []string{echo}},
	} {
		t.Run(test.adapter, func(t *testing.T) {
			dir, program := outsideProgram(t, test.adapter, test.use)
			deps := run(t, dir, "go", "list", "-deps", ".")
			if !strings.Contains(deps, "github.com/parajwt/parajwt/adapters/"+test.adapter+"\n") {
				t.Fatalf("the program does not use the adapter:\n%s", deps)
			}
			info, err := buildinfo.ReadFile(program)
			if err != nil {
				t.Fatal(err)
			}
			for _, other := range test.without {
				if strings.Contains(deps, other) {
					t.Errorf("%s is imported", other)
				}
				for _, module := range info.Deps {
					if strings.HasPrefix(module.Path+"/", strings.TrimSuffix(other, "/")+"/") {
						t.Errorf("%s is linked", module.Path)
					}
				}
			}
			// Nothing for tests gets into a program.
			for _, pkg := range []string{"testing", "github.com/parajwt/parajwt/paratest", "net/http/httptest"} {
				if strings.Contains("\n"+deps, "\n"+pkg+"\n") {
					t.Errorf("%s is imported", pkg)
				}
			}
		})
	}
}

// outsideProgram writes a module that depends on this one, and builds it without asking the
// network: all that it needs, this module has brought already.
func outsideProgram(t *testing.T, adapter, use string) (dir, program string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	imports := map[string]string{
		"paraecho": `"github.com/labstack/echo/v4"`, "paragin": `"github.com/gin-gonic/gin"`,
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	// With this module's own requirements listed, the go command looks for no others.
	write("go.mod", strings.Replace(string(mod), "module github.com/parajwt/parajwt\n", "module example.com/app\n", 1)+
		"\nrequire github.com/parajwt/parajwt v0.0.0\n\nreplace github.com/parajwt/parajwt => "+strconv.Quote(root)+"\n")
	write("main.go", `package main

import (
	"log"
	"net/http"

	"github.com/parajwt/parajwt/adapters/`+adapter+`"
	"github.com/parajwt/parajwt/jwks"
	"github.com/parajwt/parajwt/middleware"
	`+imports[adapter]+`
)

func main() {
	validator, err := middleware.New(middleware.Config{Environment: jwks.Beta, APIKeyIDs: []string{"a31b8f2e-7c6d-4e5a-9f8b-1d2c3a4b5e6f"}})
	if err != nil {
		log.Fatal(err)
	}
	`+use+`
	log.Fatal(http.ListenAndServe("localhost:0", nil))
}
`)
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	write("go.sum", string(sums))
	program = filepath.Join(dir, "app")
	run(t, dir, "go", "build", "-o", program, ".")
	return dir, program
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOPROXY=off", "GOWORK=off", "GOTOOLCHAIN=local")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
