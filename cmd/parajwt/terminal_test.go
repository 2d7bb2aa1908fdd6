package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/parajwt/parajwt/paratest"
)

// callOn runs the program on terminals with this many columns.
func callOn(t *testing.T, columns int, color bool, stdin string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := runOn(t.Context(), args, streams{
		strings.NewReader(stdin), screen{&stdout, columns, color}, screen{&stderr, columns, color},
	})
	return outcome{status, stdout.String(), stderr.String()}
}

func TestTextFitsTheTerminal(t *testing.T) {
	// Time passes between the two runs that are compared.
	age := regexp.MustCompile(`\b(\d+h)?(\d+m)?\d+s\b|\b\d+ (second|minute|hour|day)s?\b`)
	para := paratest.New(t, paratest.Config{})
	user := paratest.ExternalWalletUser()
	bad := para.Token(
		user, paratest.UnknownKey("k"), paratest.WithData("note", strings.Repeat("word ", 40)),
	)
	late := para.Token(user, paratest.Expired())
	for _, columns := range []int{40, 60, 72, 80, 100} {
		for _, run := range []struct {
			stdin string
			args  []string
		}{
			{bad, []string{"inspect"}},
			{late, []string{"inspect"}},
			{"curl -H 'Authorization: Bearer " + para.Token(user) + "'", []string{"inspect"}},
			{bad, []string{"verify", "--env", para.URL(), "--api-key-id", para.APIKeyID()}},
			{late, []string{"verify", "--env", para.URL(), "--api-key-id", para.APIKeyID()}},
			{"", []string{"keys", "--env", para.URL()}},
			{"", []string{"keys", "--env", "nowhere"}},
			{"", []string{"help"}}, {"", []string{"help", "inspect"}},
			{"", []string{"help", "verify"}},
			{"", []string{"help", "keys"}}, {"", []string{"help", "serve"}},
			{"", []string{"help", "version"}},
		} {
			wide := callOn(t, 1000, false, run.stdin, run.args...)
			o := callOn(t, columns, false, run.stdin, run.args...)
			for line := range strings.Lines(o.stdout + o.stderr) {
				line = strings.TrimRight(line, "\n")
				words := strings.Fields(line)
				// A word is not broken, so that it can be copied.
				if width(line) > columns && len(words) > 2 {
					t.Errorf("%d columns, %q: %s", columns, run.args, line)
				}
			}
			plain := func(s string) string {
				s = strings.Join(strings.Fields(strings.ReplaceAll(s, " \\\n", "\n")), " ")
				return age.ReplaceAllString(s, "AGE")
			}
			if run.args[0] == "keys" { // the table becomes a list
				continue
			}
			if got, want := plain(o.stdout), plain(wide.stdout); got != want {
				t.Errorf("%d columns, %q: the text changed\n%s\n%s", columns, run.args, got, want)
			}
		}
	}
}

func TestFit(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"short", "short\n", "short\n"},
		{"prose", "one two three four five six seven\n", "one two three four five\nsix seven\n"},
		{"indented", "  one two three four five six\n", "  one two three four\n  five six\n"},
		{"two columns", "  ab  one two three four five six\n",
			"  ab  one two three four\n      five six\n"},
		{"a long second column", "  name   0123456789abcdef01\n",
			"  name\n    0123456789abcdef01\n"},
		{"command", "  parajwt keys --env beta --save x\n",
			"  parajwt keys --env \\\n    beta --save x\n"},
		{"a long word", strings.Repeat("x", 40) + " y", strings.Repeat("x", 40) + "\ny"},
		{"wide characters", "字字字字字 字字字字字 字字字\n", "字字字字字 字字字字字\n字字字\n"},
		{"marks have no width", markBad + "0123456789 0123456789" + markEnd + " 1\n",
			markBad + "0123456789 0123456789" + markEnd + " 1\n"},
	} {
		if got := fit(test.text, 24); got != test.want {
			t.Errorf("%s: got\n%s\nwant\n%s", test.name, got, test.want)
		}
	}
}

func TestVerdictsStandOut(t *testing.T) {
	para := paratest.New(t, paratest.Config{})
	args := []string{"verify", "--env", para.URL(), "--api-key-id", para.APIKeyID()}
	good := para.Token(paratest.EmailUser())
	late := para.Token(paratest.EmailUser(), paratest.Expired())
	callOn(
		t, 80, true, late,
		args...).has(t, exitRefused, "time \x1b[1;31mREFUSED\x1b[0m:",
		"\n\x1b[1;31mREFUSED\x1b[0m: token expired")
	callOn(t, 80, true, good, args...).has(t, exitOK, "\x1b[1;32mACCEPTED\x1b[0m: user ")
	callOn(t, 80, true, good, "inspect").has(t, exitOK, "\x1b[1;33mNOT VERIFIED\x1b[0m")
	para.Down()
	callOn(t, 80, true, good, args...).has(t, exitNoKeys, "\n\x1b[1;33mUNKNOWN\x1b[0m: ")
	for _, o := range []outcome{
		callOn(t, 80, false, late, args...), call(t, late, args...),
		callOn(t, 80, true, late, append(args, "--json")...),
	} {
		if strings.ContainsAny(o.stdout+o.stderr, "\x1b\x01\x02\x03\x04\x05") {
			t.Errorf("colors: %q", o.stdout+o.stderr)
		}
	}

	// A token cannot add colors.
	para.Recover()
	forged := para.Token(paratest.EmailUser(), paratest.WithData("identifier", markGood+"ACCEPTED"))
	if o := callOn(t, 80, true, forged, "inspect"); strings.Contains(o.stdout, "\x1b[1;32m") {
		t.Errorf("text of a token is emphasized:\n%q", o.stdout)
	}
}
