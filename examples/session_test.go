package examples_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/claims"
	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/paratest"
)

// startSession starts the session example. It returns its URL and its output so
// far.
func startSession(t *testing.T, env ...string) (url, printed string) {
	t.Helper()
	addr := testkit.FreeAddr(t)
	output, err := os.CreateTemp(t.TempDir(), "output")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(build(t, "session"))
	cmd.Env = append(append(os.Environ(), "ADDR="+addr), env...)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("exit after an interrupt: %v", err)
		}
		text, _ := os.ReadFile(output.Name())
		if bytes.Contains(text, []byte("capsule.sid")) ||
			bytes.Contains(text, []byte("paratest key share")) {
			t.Errorf("the output contains a secret: %s", text)
		}
	})
	end := time.Now().Add(20 * time.Second)
	for ; time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		res, err := http.Get("http://" + addr + "/me")
		if err == nil {
			res.Body.Close()
			text, _ := os.ReadFile(output.Name())
			return "http://" + addr, string(text)
		}
	}
	t.Fatal("did not start")
	return "", ""
}

func send(t *testing.T, url, body string, into any) int {
	t.Helper()
	res, err := http.Post(url, "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatalf("%s: %s", err, text)
		}
	}
	return res.StatusCode
}

func TestSessionWithNothingConfigured(t *testing.T) {
	url, printed := startSession(t, "PARA_ENVIRONMENT=")
	command := regexp.MustCompile(`curl -d '([^']+)' (http://\S+/session)`).
		FindStringSubmatch(printed)
	if command == nil || command[2] != url+"/session" {
		t.Fatalf("no command in %s", printed)
	}
	var login struct {
		Token string
		User  claims.Claims
	}
	if status := send(t, command[2], command[1], &login); status != 200 ||
		login.User.UserID != paratest.UserID {
		t.Fatalf("answered %d with %v", status, login.User)
	}
	var user claims.Claims
	get(t, strings.TrimPrefix(url, "http://"), "/me", login.Token, http.StatusOK, &user)
	if user.Email != "email@example.com" {
		t.Errorf("user is %v", user)
	}
	if status := send(t, url+"/session", "junk", nil); status != 401 {
		t.Errorf("junk: %d", status)
	}
}

func TestSessionSignsThroughTheSigner(t *testing.T) {
	var asked struct{ Session, Message string }
	signer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		json.NewDecoder(r.Body).Decode(&asked)
		io.WriteString(w, `{"walletId":"w","signature":"0x1"}`)
	}))
	defer signer.Close()
	para := paratest.New(t, paratest.Config{})
	url, _ := startSession(t, "PARA_ENVIRONMENT="+para.URL(), "PARA_API_KEY="+para.APIKey(),
		"PARA_API_KEY_ID="+para.APIKeyID(), "SIGNER_URL="+signer.URL)
	login := para.Login(paratest.EmailUser())
	request := func() string {
		text, _ := json.Marshal(map[string]string{"session": login.Exported(), "message": "hello"})
		return string(text)
	}
	var signed struct{ Signature string }
	if status := send(t, url+"/sign", request(), &signed); status != 200 ||
		signed.Signature != "0x1" {
		t.Errorf("answered %d with %v", status, signed)
	}
	passed, err := base64.StdEncoding.DecodeString(asked.Session)
	if err != nil || asked.Message != "hello" ||
		!strings.Contains(string(passed), "paratest key share") {
		t.Errorf("the signer was asked for %q: %v", asked.Message, err)
	}
	asked.Session = ""
	login.Expire()
	if status := send(t, url+"/sign", request(), nil); status != 401 || asked.Session != "" {
		t.Errorf("an expired session: %d", status)
	}
	para.Fail(503)
	if status := send(t, url+"/session", login.Exported(), nil); status != 503 {
		t.Errorf("in an outage: %d", status)
	}
}
