//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/paratest"
	"github.com/parajwt/parajwt/session"
)

// worker replaces the script that Para's portal serves, which downloads the
// WASM module. It answers with the message to sign.
const worker = `
const { parentPort } = require('node:worker_threads')
parentPort.on('message', ({ workId, functionType, params, sessionCookie }) => {
  const signature = JSON.stringify({ functionType, params, sessionCookie })
  if (functionType) parentPort.postMessage({ workId, signature })
})`

// TestSigner runs the signer of examples/session with Para's SDK, up to the
// point where the SDK downloads its worker and WASM module from localhost:3003.
func TestSigner(t *testing.T) {
	para := newLab(t)
	var there atomic.Bool
	listener, err := net.Listen("tcp", "localhost:3003")
	if err != nil {
		t.Fatalf("Para's SDK downloads its worker from localhost:3003: %v", err)
	}
	portal := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/static/js/mpcWorkerServer-bundle.js" {
			t.Errorf("Para's SDK downloads %s", r.URL)
		}
		if there.Load() {
			io.WriteString(w, worker)
		} else {
			io.WriteString(w, `throw new Error("the portal is down")`)
		}
	})}
	go portal.Serve(listener)
	t.Cleanup(func() { portal.Close() })

	// Node looks for the SDK in node_modules next to this directory.
	dir, err := os.MkdirTemp(".", "signer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	script, err := os.ReadFile("../examples/session/signer.mjs")
	if err != nil {
		t.Fatal(err)
	}
	if sdk != "" {
		script = bytes.ReplaceAll(script, []byte("@getpara/server-sdk"), []byte(sdk))
	}
	path := filepath.Join(dir, "signer.mjs")
	if err := os.WriteFile(path, script, 0o600); err != nil {
		t.Fatal(err)
	}
	addr := testkit.FreeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	var output bytes.Buffer
	cmd := exec.Command("node", path)
	cmd.Env = append(
		os.Environ(),
		"PARA_ENVIRONMENT=DEV",
		"PARA_API_KEY="+para.APIKey(),
		"PORT="+port,
	)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
		if strings.Contains(output.String(), "paratest key share") ||
			strings.Contains(output.String(), "capsule.sid") {
			t.Errorf("the output contains a secret: %s", &output)
		}
	}()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the signer did not start: %s", &output)
		}
	}

	login := para.Login(paratest.EmailUser())
	sign := func(exported string) (status int, answer struct{ WalletID, Signature, Error string }) {
		t.Helper()
		request, err := json.Marshal(map[string]string{"session": exported, "message": "hello"})
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.Post("http://"+addr, "application/json", bytes.NewReader(request))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, answer
	}
	if status, answer := sign("junk"); status != http.StatusBadGateway || answer.Error == "" {
		t.Errorf("junk: %d %v", status, answer)
	}
	// The session as Go passes it on.
	passed := importSession(
		t,
		para.client(t),
		login.Exported(),
		session.KeepSignersThisServerCannotUse(),
	).Export()
	if status, answer := sign(passed); status != http.StatusBadGateway {
		t.Errorf("without the worker: %d %v", status, answer)
	}
	there.Store(true)
	status, answer := sign(passed)
	if status != http.StatusOK || answer.WalletID != paratest.EmailUser().Wallets[0].ID {
		t.Fatalf("%d %v\n%s", status, answer, &output)
	}
	var signed struct {
		FunctionType  string
		SessionCookie string
		Params        map[string]string
	}
	if err := json.Unmarshal([]byte(answer.Signature), &signed); err != nil {
		t.Fatal(err)
	}
	if signed.FunctionType != "SIGN_MESSAGE" ||
		signed.SessionCookie != decoded(t, login.Exported())["sessionCookie"] ||
		signed.Params["userId"] != paratest.UserID ||
		signed.Params["walletId"] != answer.WalletID ||
		!strings.HasPrefix(signed.Params["share"], "paratest key share") ||
		signed.Params["message"] == "" {
		t.Errorf("the worker got %v", signed)
	}
}
