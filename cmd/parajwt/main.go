// Parajwt finds out why a Para login fails. It reads a Para token, runs the
// library's checks on it, shows the key set of an environment, and runs a local
// Para emulator with a page that issues tokens.
//
//	go install github.com/parajwt/parajwt/cmd/parajwt@latest
//	parajwt help
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
)

// Exit statuses of all commands.
const (
	exitOK      = 0
	exitRefused = 1 // the token is refused, or the command failed
	exitUsage   = 2
	exitNoKeys  = 3 // the keys are unavailable
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// command is a command of parajwt.
type command struct {
	name  string
	about string // one line
	help  string
	run   func(ctx context.Context, args []string, std streams) int
}

// streams are the standard streams of a command.
type streams struct {
	in       io.Reader
	out, err screen
}

func commands() []command {
	return []command{
		{"inspect", "show what a token claims, offline; verifies nothing", inspectHelp, inspect},
		{"verify", "verify a token as your server does, check by check", verifyHelp, verify},
		{"keys", "fetch and show the key set of an environment; save it", keysHelp, keys},
		{"serve", "run a local Para emulator with a page that issues tokens", serveHelp, serve},
		{"version", "show the version of parajwt", versionHelp, version},
		{"help", "explain a command", overview, help},
	}
}

// run runs the program with these arguments and streams.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return runOn(ctx, args, streams{stdin, newScreen(stdout), newScreen(stderr)})
}

func runOn(ctx context.Context, args []string, std streams) int {
	if len(args) == 0 {
		std.err.print(overviewText())
		return exitUsage
	}
	name := args[0]
	switch name {
	case "-h", "-help", "--help":
		name = "help"
	case "-version", "--version":
		name = "version"
	}
	for _, c := range commands() {
		if c.name == name {
			return c.run(ctx, args[1:], std)
		}
	}
	if notAToken(name) == "" {
		return misused(std, "", "this is a token, not a command; use: parajwt inspect TOKEN")
	}
	return misused(
		std, "", fmt.Sprintf("unknown command %s; the commands are %s", printable(name), names()),
	)
}

const overview = "parajwt finds out why a Para login fails.\n"

const firstSteps = `
Copy a token, or the failing request as a curl command, and run

  pbpaste | parajwt inspect                 (macOS; else wl-paste or xclip -o)
  pbpaste | parajwt verify --env beta --api-key-id ID

The token may also be an argument, which the shell keeps in its history.

Without a Para account, run this and open the page that it prints:

  parajwt serve

"parajwt help COMMAND" explains a command. With --json, a command prints one
JSON object, whose fields its help lists. Exit status: 0 success, 1 refused or
failed, 2 wrong usage, 3 keys unavailable.

No command prints a token or a signature. The page of "parajwt serve" does.
`

// overviewText returns the overview with the list of commands.
func overviewText() string {
	var b strings.Builder
	b.WriteString(overview + "\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  parajwt %-9s %s\n", c.name, c.about)
	}
	return b.String() + firstSteps
}

func help(_ context.Context, args []string, std streams) int {
	if len(args) == 0 || args[0] == "help" || strings.HasPrefix(args[0], "-") {
		std.out.print(overviewText())
		return exitOK
	}
	for _, c := range commands() {
		if c.name == args[0] {
			std.out.print(c.help)
			return exitOK
		}
	}
	return misused(
		std, "",
		fmt.Sprintf("unknown command %s; the commands are %s", printable(args[0]), names()),
	)
}

func names() string {
	var all []string
	for _, c := range commands() {
		all = append(all, c.name)
	}
	return strings.Join(all, ", ")
}

const versionHelp = `usage: parajwt version [--json]

Shows the version of parajwt, as the Go toolchain recorded it. Include it when
you report a problem.

JSON
  version, revision, go
  modified  whether the source differed from the revision
`

type versionReport struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
}

func version(_ context.Context, args []string, std streams) int {
	fs := newFlags("version")
	asJSON := fs.Bool("json", false, "")
	rest, status, done := parse(fs, args, std)
	if done {
		return status
	}
	if len(rest) > 0 {
		return misused(std, "version", "it takes no arguments")
	}
	r := versionReport{Version: "unknown"}
	if info, ok := debug.ReadBuildInfo(); ok {
		r.Version, r.Go = info.Main.Version, info.GoVersion
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				r.Revision = s.Value
			case "vcs.modified":
				r.Modified = s.Value == "true"
			}
		}
	}
	if *asJSON {
		writeJSON(std.out, r)
		return exitOK
	}
	text := "parajwt " + r.Version
	if r.Revision != "" {
		text += " (" + r.Revision[:min(len(r.Revision), 12)]
		if r.Modified {
			text += ", modified"
		}
		text += ")"
	}
	std.out.print(text + ", " + r.Go + "\n")
	return exitOK
}
