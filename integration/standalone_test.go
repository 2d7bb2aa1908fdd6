package integration_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const self = "github.com/parajwt/parajwt"

// TestStandalone builds a program outside this repository for each adapter. The
// program must not depend on the modules of the other routers, or on packages
// that only tests need.
func TestStandalone(t *testing.T) {
	const gin, grpc = "github.com/gin-gonic/gin", "google.golang.org/grpc"
	const echo, echo5 = "github.com/labstack/echo/v4", "github.com/labstack/echo/v5"
	for _, test := range []struct {
		adapter string
		imports string // of the router
		use     string // a statement that the linker cannot remove
		without []string
	}{
		{
			"parahttp", "",
			`http.Handle("/", parahttp.Require(validator)(http.NotFoundHandler()))`,
			[]string{gin, echo, echo5, grpc},
		}, {
			"paraecho", `"` + echo + `"`,
			`http.Handle("/", echo.New()); _ = paraecho.Require(validator)`,
			[]string{gin, echo5, grpc},
		}, {
			"paraecho5", `"` + echo5 + `"`,
			`http.Handle("/", echo.New()); _ = paraecho5.Require(validator)`,
			[]string{gin, echo, grpc},
		}, {
			"paragin", `"` + gin + `"`,
			`http.Handle("/", gin.New()); _ = paragin.Require(validator)`,
			[]string{echo, echo5, grpc},
		}, {
			"paragrpc", `"` + grpc + `"`,
			`grpc.NewServer(grpc.UnaryInterceptor(paragrpc.UnaryServerInterceptor(validator)))`,
			[]string{gin, echo, echo5},
		},
	} {
		t.Run(test.adapter, func(t *testing.T) {
			dir := outsideProgram(t, test.adapter, test.imports, test.use)
			run(t, dir, "go", "build", "-o", filepath.Join(dir, "app"), ".")
			packages := strings.Fields(run(t, dir, "go", "list", "-deps", "."))
			modules := run(t, dir, "go", "list", "-m", "-f", "{{.Path}}", "all")

			if !slices.Contains(packages, self+"/adapters/"+test.adapter) {
				t.Fatalf("the program does not use the adapter:\n%s", packages)
			}
			for _, other := range test.without {
				if slices.Contains(strings.Fields(modules), other) {
					t.Errorf("%s is in the module graph", other)
				}
			}
			for _, pkg := range []string{"testing", self + "/paratest", "net/http/httptest"} {
				if slices.Contains(packages, pkg) {
					t.Errorf("%s is imported", pkg)
				}
			}
		})
	}
}

// TestDependenciesOfNetHTTP limits the dependencies of a user of net/http. It
// counts modules in the module graph and lines of go.sum after "go mod tidy".
func TestDependenciesOfNetHTTP(t *testing.T) {
	const maxModules, maxSums = 25, 40
	dir := outsideProgram(t, "parahttp", "",
		`http.Handle("/", parahttp.Require(validator)(http.NotFoundHandler()))`)
	run(t, dir, "go", "build", "-o", filepath.Join(dir, "app"), ".")
	// Tidy also reads the go.mod files of the dependencies' tests. They may not
	// be in the module cache.
	run(t, dir, "go", "mod", "tidy")
	sums, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	modules := run(t, dir, "go", "list", "-m", "all")
	numModules, numSums := strings.Count(modules, "\n"), strings.Count(string(sums), "\n")
	t.Logf("%d modules, %d lines of go.sum", numModules, numSums)
	for _, required := range requirements(t, "../go.mod") {
		if !strings.Contains(modules, required+" ") || !strings.Contains(string(sums), required+" ") {
			t.Errorf("%s is missing:\n%s%s", required, modules, sums)
		}
	}
	if numModules > maxModules {
		t.Errorf("%d modules, at most %d:\n%s", numModules, maxModules, modules)
	}
	if numSums > maxSums {
		t.Errorf("%d lines of go.sum, at most %d:\n%s", numSums, maxSums, sums)
	}
}

// requirements returns the paths of the modules that a go.mod requires directly.
func requirements(t *testing.T, file string) (paths []string) {
	t.Helper()
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	text := run(t, ".", "go", "mod", "edit", "-json", file)
	if err := json.Unmarshal([]byte(text), &mod); err != nil {
		t.Fatal(err)
	}
	for _, r := range mod.Require {
		if !r.Indirect {
			paths = append(paths, r.Path)
		}
	}
	if len(paths) == 0 {
		t.Fatalf("%s requires nothing", file)
	}
	return paths
}

// outsideProgram writes a program with one guarded route into a directory
// outside this repository. It returns the directory. The go.mod names only the
// modules that the author would add with "go get".
func outsideProgram(t *testing.T, adapter, imports, use string) (dir string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	edits := []string{
		"mod", "edit", "-go=1.25.0", "-require=" + self + "@v0.0.0",
		"-replace=" + self + "=" + root,
	}
	if nested := "/adapters/" + adapter; adapter != "parahttp" {
		edits = append(edits,
			"-require="+self+nested+"@v0.0.0",
			"-replace="+self+nested+"="+filepath.Join(root, nested))
	}
	run(t, dir, "go", "mod", "init", "example.com/app")
	run(t, dir, "go", edits...)

	// This copies the checksums of this module's dependencies. Others come from
	// the checksum database. Tidy removes the unused ones.
	sums, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o600); err != nil {
		t.Fatal(err)
	}
	program := `package main

import (
	"log"
	"net/http"

	"` + self + `/adapters/` + adapter + `"
	"` + self + `/jwks"
	"` + self + `/middleware"
	` + imports + `
)

func main() {
	validator, err := middleware.New(middleware.Config{
		Environment: jwks.Beta,
		APIKeyIDs:   []string{"a31b8f2e-7c6d-4e5a-9f8b-1d2c3a4b5e6f"},
	})
	if err != nil {
		log.Fatal(err)
	}
	` + use + `
	log.Fatal(http.ListenAndServe("localhost:0", nil))
}
`
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GOTOOLCHAIN=local")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, &stderr)
	}
	return string(out)
}
