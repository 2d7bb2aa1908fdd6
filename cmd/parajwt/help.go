package main

import (
	"context"
	"fmt"
	"io"
	"strings"
)

const overview = "parajwt finds out why a Para login fails.\n"

const firstSteps = `
Start here: copy a token from the Authorization header of a request that fails, and

  pbpaste | parajwt inspect                     (macOS; wl-paste or xclip -o elsewhere)
  pbpaste | parajwt verify --env beta --api-key-id a31b8f2e-7c6d-4e5a-9f8b-1d2c3a4b5e6f

The token may be the argument as well, but then it stays in the shell's history.

No account at hand? Run this, and open the page that it names:

  parajwt serve

"parajwt help COMMAND" explains a command. With --json each gives its findings as one JSON object, whose
fields that help lists. Exit status: 0 good, 1 refused or failed, 2 wrong usage, 3 keys unavailable.
No command prints a token or a signature, but for serve's page, which makes tokens.
`

// overviewText is the overview with the list of commands, which would go stale as a constant.
func overviewText() string {
	var b strings.Builder
	b.WriteString(overview + "\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  parajwt %-9s %s\n", c.name, c.about)
	}
	return b.String() + firstSteps
}

func help(_ context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 || args[0] == "help" || strings.HasPrefix(args[0], "-") {
		fmt.Fprint(stdout, overviewText())
		return exitOK
	}
	for _, c := range commands() {
		if c.name == args[0] {
			fmt.Fprint(stdout, c.help)
			return exitOK
		}
	}
	return misused(stderr, "", fmt.Sprintf("there is no command %s to explain; the commands are %s", printable(args[0]), names()))
}

func names() string {
	var all []string
	for _, c := range commands() {
		all = append(all, c.name)
	}
	return strings.Join(all, ", ")
}
