// Parajwt is the tool for when logins fail. It reads a Para token in plain words, says which of the library's
// checks refuses it and what to do, shows an environment's key set as the library sees it, and plays Para on
// loopback with a page that hands out tokens.
//
//	parajwt help
package main

import (
	"context"
	"fmt"
	"io"
	"os"
)

// Exit statuses, the same for every command.
const (
	exitOK      = 0
	exitRefused = 1 // the token is refused; or, where there is no token, what was asked for failed
	exitUsage   = 2
	exitNoKeys  = 3 // it cannot be told, for want of keys
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// command is one thing that parajwt does.
type command struct {
	name  string
	about string // one line
	help  string
	run   func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int
}

func commands() []command {
	return []command{
		{"inspect", "say in plain words what a token claims, offline; verifies nothing", inspectHelp, inspect},
		{"verify", "verify a token as your server does, check by check", verifyHelp, verify},
		{"keys", "fetch an environment's key set and show what is used of it; save it", keysHelp, keys},
		{"serve", "play Para on this machine, with a page that hands out tokens", serveHelp, serve},
		{"version", "say which parajwt this is", versionHelp, version},
		{"help", "explain a command", overview, help},
	}
}

// run is the program without its surroundings.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, overviewText())
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
			return c.run(ctx, args[1:], stdin, stdout, stderr)
		}
	}
	if notAToken(name) == "" {
		return misused(stderr, "", "that is a token, not a command; did you mean: parajwt inspect TOKEN")
	}
	return misused(stderr, "", fmt.Sprintf("there is no command %s; the commands are %s", printable(name), names()))
}
