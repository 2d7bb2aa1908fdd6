package jose

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const jwx = "github.com/lestrrat-go/jwx"

// isJWX holds for every major version, and for no other module whose name begins alike.
func isJWX(importPath string) bool {
	return importPath == jwx || strings.HasPrefix(importPath, jwx+"/")
}

// strangers returns the .go files of a module, tests included, that import jwx and must not.
// benchmarks is a module of its own and compares us with jwx itself.
func strangers(module fs.FS) (files []string, err error) {
	err = fs.WalkDir(module, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			if name != "." && strings.HasPrefix(entry.Name(), ".") || name == "benchmarks" || name == "internal/jose" {
				return fs.SkipDir
			}
			return nil
		case path.Ext(name) != ".go":
			return nil
		}
		text, err := fs.ReadFile(module, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(file.Imports, func(spec *ast.ImportSpec) bool { return isJWX(must(strconv.Unquote(spec.Path.Value))) }) {
			files = append(files, name)
		}
		return nil
	})
	return files, err
}

func TestNobodyElseImportsJWX(t *testing.T) {
	const root = "../.."
	if text, err := os.ReadFile(root + "/go.mod"); err != nil || !strings.HasPrefix(string(text), "module github.com/parajwt/parajwt\n") {
		t.Fatalf("%s is not the module's root: %v", root, err)
	}
	files, err := strangers(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		t.Errorf("%s imports %s: only internal/jose may, so that replacing it changes one package", name, jwx)
	}
}

func TestStrangers(t *testing.T) {
	file := func(imports ...string) *fstest.MapFile {
		text := "package x\n"
		for _, i := range imports {
			text += "import " + i + "\n"
		}
		return &fstest.MapFile{Data: []byte(text + "func f() {}\n")}
	}
	module := fstest.MapFS{
		"internal/jose/key.go":          file(`"github.com/lestrrat-go/jwx/v2/jwk"`),
		"internal/jose/key_test.go":     file(`"github.com/lestrrat-go/jwx/v2/jws"`),
		"benchmarks/bench_test.go":      file(`"github.com/lestrrat-go/jwx/v2/jwt"`),
		"benchmarks/peers/jwx/peer.go":  file(`"github.com/lestrrat-go/jwx/v3/jwt"`),
		".git/x.go":                     file(`"github.com/lestrrat-go/jwx/v2/jwt"`),
		"claims/claims.go":              file(`"fmt"`, `"github.com/lestrrat-go/jwxyz"`),
		"claims/notes.md":               {Data: []byte(`import "github.com/lestrrat-go/jwx/v2/jwt"`)},
		"claims/comment.go":             {Data: []byte("package x\n// import \"github.com/lestrrat-go/jwx/v2/jwt\"\n")},
		"jwks/cache.go":                 file(`"fmt"`, `"github.com/lestrrat-go/jwx/v2/jwk"`),
		"jwks/cache_test.go":            file(`"github.com/lestrrat-go/jwx/v2/jwk"`),
		"jwks/testdata/x.go":            file(`"github.com/lestrrat-go/jwx/v2/jwk"`),
		"internal/josephine/x.go":       file(`"github.com/lestrrat-go/jwx/v2/jwk"`),
		"internal/strictjson/x.go":      file(`. "github.com/lestrrat-go/jwx"`),
		"examples/benchmarks/main.go":   file(`_ "github.com/lestrrat-go/jwx/v2"`),
		"middleware/windows_test.go":    {Data: []byte("//go:build windows\n\npackage x\nimport j \"github.com/lestrrat-go/jwx/v3/jwt\"\n")},
		"root.go":                       file("`github.com/lestrrat-go/jwx/v2/jwt/openid`"),
		"adapters/paragin/quoted.go":    file(`"github.com/lestrrat-go/\u006awx/v2/jwt"`),
		"adapters/paragin/unrelated.go": file(`"github.com/lestrrat-go/httprc"`),
	}
	want := []string{
		"adapters/paragin/quoted.go", "examples/benchmarks/main.go", "internal/josephine/x.go", "internal/strictjson/x.go",
		"jwks/cache.go", "jwks/cache_test.go", "jwks/testdata/x.go", "middleware/windows_test.go", "root.go",
	}
	if got, err := strangers(module); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	module["broken.go"] = &fstest.MapFile{Data: []byte("not Go")}
	if _, err := strangers(module); err == nil {
		t.Error("a file that cannot be read passes")
	}
}

// What this package takes of jwx: parsing one key, and the verifier of one algorithm. The calls
// above those let pass what must be refused.
func TestUsesOfJWX(t *testing.T) {
	want := []string{"jwa.SignatureAlgorithm", "jwk.ParseKey", "jwk.RSAPublicKey", "jws.NewVerifier", "jws.Verifier"}
	var got []string
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if path.Ext(entry.Name()) != ".go" || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), entry.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		names := make(map[string]bool)
		for _, spec := range file.Imports {
			if p := must(strconv.Unquote(spec.Path.Value)); isJWX(p) {
				if spec.Name != nil {
					t.Errorf("%s imports %s under another name", entry.Name(), p)
				}
				names[path.Base(p)] = true
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && names[fmt.Sprint(s.X)] {
				got = append(got, fmt.Sprint(s.X)+"."+s.Sel.Name)
			}
			return true
		})
	}
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("used of jwx: %v, want %v", got, want)
	}
}
