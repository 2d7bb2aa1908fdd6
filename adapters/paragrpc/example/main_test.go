package main_test

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/parajwt/parajwt/paratest"
)

// The server and the client run as the comment of package main describes, with
// an emulator of Para.
func TestServerAndClient(t *testing.T) {
	program := filepath.Join(t.TempDir(), "example")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	para := paratest.New(t, paratest.Config{})
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := "ADDR=" + listener.Addr().String()
	listener.Close()

	server := exec.Command(program)
	server.Env = append(os.Environ(), addr,
		"PARA_ENVIRONMENT="+para.URL(), "PARA_API_KEY_ID="+para.APIKeyID())
	var log bytes.Buffer
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Process.Kill()
	call := func(token string) (string, error) {
		client := exec.CommandContext(t.Context(), program, "-call")
		client.Env = append(os.Environ(), addr, "PARA_JWT="+token)
		out, err := client.CombinedOutput()
		return string(out), err
	}

	want := regexp.MustCompile(`^health: SERVING
user: ` + paratest.UserID + `
time: \d\d:\d\d:\d\d
$`)
	if out, err := call(para.Token(paratest.EmailUser())); err != nil || !want.MatchString(out) {
		t.Errorf("a good token: %v\n%s", err, out)
	}
	for token, message := range map[string]string{
		"": "no valid token",
		para.Token(paratest.EmailUser(), paratest.Expired()):      "token expired",
		para.Token(paratest.EmailUser(), paratest.BadSignature()): "no valid token",
	} {
		out, err := call(token)
		if err == nil || !strings.Contains(out, "code = Unauthenticated desc = "+message) {
			t.Errorf("want %q: %v\n%s", message, err, out)
		}
	}

	server.Process.Signal(os.Interrupt)
	if err := server.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &log)
	}
	if !strings.Contains(log.String(), "parajwt: request refused") {
		t.Errorf("no refusal in the log:\n%s", &log)
	}
}
