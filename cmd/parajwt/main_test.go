package main

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/paratest"
)

// outcome is the result of a run of the program.
type outcome struct {
	status         int
	stdout, stderr string
}

func call(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	// A server that starts although it should not is stopped.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	status := run(ctx, args, strings.NewReader(stdin), &stdout, &stderr)
	return outcome{status, stdout.String(), stderr.String()}
}

// has checks an outcome line by line. It ignores alignment.
func (o outcome) has(t *testing.T, status int, lines ...string) {
	t.Helper()
	if o.status != status {
		t.Errorf("exit status %d, want %d", o.status, status)
	}
	plain := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	for _, line := range lines {
		if !strings.Contains(plain(o.stdout+o.stderr), plain(line)) {
			t.Errorf("no %q", line)
		}
	}
	if t.Failed() {
		t.Logf("stdout:\n%s\nstderr:\n%s", o.stdout, o.stderr)
	}
}

// hides checks that the output contains no usable part of a token.
func (o outcome) hides(t *testing.T, token string) {
	t.Helper()
	for part := range strings.SplitSeq(token, ".") {
		for chunk := range slices.Chunk([]byte(part), 16) {
			if len(chunk) == 16 && strings.Contains(o.stdout+o.stderr, string(chunk)) {
				t.Errorf("%q of the token is in the output:\n%s%s", chunk, o.stdout, o.stderr)
				return
			}
		}
	}
}

func (o outcome) decode(t *testing.T, into any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(o.stdout))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%v:\n%s", err, o.stdout)
	}
}

func TestHelpTeachesEveryCommand(t *testing.T) {
	overview := call(t, "", "help")
	overview.has(t, exitOK, "parajwt serve", "--json")
	for _, c := range commands() {
		overview.has(t, exitOK, "parajwt "+c.name+" "+c.about)
		for _, args := range [][]string{{"help", c.name}, {c.name, "--help"}, {c.name, "-h"}} {
			if o := call(t, "", args...); o.status != exitOK || o.stderr != "" ||
				!strings.HasPrefix(o.stdout, "usage: parajwt "+c.name) && c.name != "help" {
				t.Errorf("%q: status %d\n%s%s", args, o.status, o.stdout, o.stderr)
			}
		}
		if c.name == "help" {
			continue
		}
		// An unknown flag prints the flags of the command.
		o := call(t, "", c.name, "--no-such-flag")
		o.has(t, exitUsage, "-no-such-flag; its flags are --", "see: parajwt help "+c.name)
		_, flags, _ := strings.Cut(strings.Split(o.stderr, "\n")[0], "its flags are ")
		for flag := range strings.SplitSeq(flags, ", ") {
			if !strings.Contains(c.help, "  "+flag+" ") && !strings.Contains(c.help, "["+flag+"]") {
				t.Errorf("the help of %s does not explain %s", c.name, flag)
			}
		}
	}
}

func TestHelpNamesEveryJSONField(t *testing.T) {
	for text, reports := range map[string][]any{
		inspectHelp: {reading{}, user{}, check{}},
		verifyHelp:  {verifyReport{}, check{}},
		keysHelp:    {keysReport{}, servedKey{}},
		serveHelp:   {serveReport{}, issued{}, order{}, answer{}, state{}, keyState{}},
		versionHelp: {versionReport{}},
	} {
		for _, report := range reports {
			for field := range fields(report) {
				if !strings.Contains(text, field) {
					t.Errorf("%s does not mention %q", strings.SplitN(text, "\n", 2)[0], field)
				}
			}
		}
	}
}

// fields returns the JSON names of a struct's members.
func fields(v any) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && !yield(name) {
				return
			}
		}
	}
}

func TestWrongUse(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	token := para.Token(paratest.EmailUser())
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "parajwt finds out why"},
		{[]string{"frobnicate"}, "unknown command frobnicate; the commands are inspect, verify"},
		{[]string{"\x1b[31m"}, `unknown command "\x1b[31m"`},
		{[]string{"help", "frobnicate"}, "unknown command frobnicate"},
		{[]string{token}, "use: parajwt inspect TOKEN"},
		{[]string{"inspect", token, token}, "give one token"},
		{[]string{"inspect", "--known"}, "flag needs an argument: -known"},
		{[]string{"inspect", "--known", "no-such-file", token}, "no-such-file"},
		{[]string{"inspect", "--known", token, token}, "<hidden>"},
		{[]string{"inspect", "-" + token}, "<hidden>"},
		{[]string{"inspect"}, "there is no token"},
		{[]string{"verify", token}, "--env is missing"},
		{[]string{"verify", "--env", token, "--api-key-id", "id"}, "unknown environment"},
		{[]string{"verify", "--env", "beta", token}, "--api-key-id is missing"},
		{[]string{"verify", "--env", "staging", "--api-key-id", "id", token},
			"use prod, beta, sandbox or the URL"},
		{[]string{"verify", "--env", "beta", "--api-key-id", "sk_beta_0123456789", token},
			"--api-key-id: this is a secret API key, " +
				"which must stay on the server: use the API key ID"},
		{[]string{"verify", "--env", "beta", "--api-key-id", "beta_0123456789", token},
			"publishable API key"},
		{[]string{"verify", "--env", "sk_0123456789", "--api-key-id", "id", token},
			"unknown environment"},
		{[]string{"serve", "--api-key-id", "pk_0123456789"}, "publishable API key"},
		{[]string{"serve", "--api-key-id", "whsec_0123456789"}, "webhook secret"},
		{[]string{"verify", "--env", "beta", "--api-key-id", "id", "--leeway", "1h", token},
			"Leeway is 1h0m0s"},
		{[]string{"verify", "--env", "beta", "--api-key-id", "id", "--leeway", "-1s", token},
			"use 0 for none"},
		{[]string{"verify", "--env", "beta", "--api-key-id", "id", "--leeway", token, token},
			"<hidden>"},
		{[]string{"verify", "--env", "beta", "--api-key-id", "id", "--max-age", "soon", token},
			"invalid value"},
		{[]string{"verify", "--env", "beta", "--api-key-id", "id", "--known", "no-such-file",
			token}, "OtherEnvironments[0]"},
		{[]string{"keys"}, "--env is missing"},
		{[]string{"keys", "beta"}, "it takes no arguments"},
		{[]string{"keys", "--env", "http://example.com"}, "not https"},
		{[]string{"serve", "8080"}, "it takes no arguments"},
		{[]string{"version", "now"}, "it takes no arguments"},
	} {
		t.Setenv(environmentVariable, "")
		t.Setenv(apiKeyIDVariable, "")
		o := call(t, "", test.args...)
		o.has(t, exitUsage, test.want)
		o.hides(t, token)
		if strings.Contains(o.stderr, "0123456789") {
			t.Errorf("%q repeats the key: %s", test.args, o.stderr)
		}
		if o.stdout != "" {
			t.Errorf("%q writes to standard output: %s", test.args, o.stdout)
		}
	}
}

func TestVersion(t *testing.T) {
	call(t, "", "version").has(t, exitOK, "parajwt ", "go1.")
	call(t, "", "--version").has(t, exitOK, "parajwt ")
	var r versionReport
	call(t, "", "version", "--json").decode(t, &r)
	if r.Version == "" || !strings.HasPrefix(r.Go, "go1.") {
		t.Errorf("%+v", r)
	}
}
