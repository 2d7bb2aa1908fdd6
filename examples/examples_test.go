// Package examples_test runs the example programs with an emulator of Para.
package examples_test

import (
	"bytes"
	"context"
	"encoding/json"
	"go/format"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/paratest"
)

func build(t *testing.T, name string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", program,
		"./"+name).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// TestREADME builds the program at the top of README.md, and runs it without an
// API key ID.
func TestREADME(t *testing.T) {
	page, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, source, _ := strings.Cut(string(page), "```go\n")
	source, _, _ = strings.Cut(source, "```")
	if formatted, err := format.Source([]byte(source)); err != nil || string(formatted) != source {
		t.Errorf("gofmt would change it: %v", err)
	}
	dir := t.TempDir()
	file, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", program, file).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "PARA_API_KEY_ID=")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "APIKeyIDs[0] is blank") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestQuickstart(t *testing.T) {
	out, err := exec.Command(build(t, "quickstart"), "-once").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"a valid token                200       200   200  d5358219, email google, 2 wallets",
		"no token                     401       401   401  Bearer",
		`an expired token             401       401   401  Bearer error="invalid_token", ` +
			`error_description="token expired"`,
		`another app's token          401       401   401  Bearer error="invalid_token", ` +
			`error_description="token is for another app"`,
		`another environment's token  401       401   401  Bearer error="invalid_token"`,
		`a forged signature           401       401   401  Bearer error="invalid_token"`,
	} {
		if !strings.Contains(string(out), want+"\n") {
			t.Errorf("no line %q in\n%s", want, out)
		}
	}
}

func TestServers(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	for _, name := range []string{"nethttp", "echo", "gin"} {
		t.Run(name, func(t *testing.T) {
			addr := testkit.FreeAddr(t)
			cmd := exec.Command(build(t, name))
			cmd.Env = append(os.Environ(), "PARA_ENVIRONMENT="+para.URL(),
				"PARA_API_KEY_ID="+para.APIKeyID(), "ADDR="+addr)
			var output bytes.Buffer
			cmd.Stdout, cmd.Stderr = &output, &output
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()

			var ready map[string]any
			get(t, addr, "/readyz", "", http.StatusOK, &ready)
			if len(ready) != 1 || ready["usable"] != true {
				t.Errorf("readyz: %v", ready)
			}
			var user claims.Claims
			get(t, addr, "/me", para.Token(paratest.EmailUser()), http.StatusOK, &user)
			if user.UserID != paratest.UserID || user.AuthType != claims.AuthEmail ||
				len(user.Wallets) != 2 {
				t.Errorf("user: %#v", user)
			}
			get(t, addr, "/me", "", http.StatusUnauthorized, nil)
			get(t, addr, "/me", para.Token(paratest.EmailUser(), paratest.Expired()),
				http.StatusUnauthorized, nil)

			cmd.Process.Signal(os.Interrupt)
			if err := cmd.Wait(); err != nil {
				t.Errorf("exit after an interrupt: %v\n%s", err, &output)
			}
		})
		t.Run(name+" reports a missing API key ID", func(t *testing.T) {
			cmd := exec.Command(build(t, name))
			cmd.Env = append(os.Environ(), "PARA_ENVIRONMENT=beta", "PARA_API_KEY_ID=")
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "APIKeyIDs[0] is blank") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// get retries until the server accepts connections.
func get(t *testing.T, addr, path, token string, status int, into any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			if ctx.Err() != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond) // the server is starting
			continue
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != status {
			t.Fatalf("%s answered %d, want %d: %s", path, res.StatusCode, status, body)
		}
		if into != nil {
			if err := json.Unmarshal(body, into); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
}
