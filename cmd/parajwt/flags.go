package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// list is a flag that may be repeated.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

// newFlags returns a flag set that prints nothing. Use parse with it.
func newFlags(command string) *flag.FlagSet {
	fs := flag.NewFlagSet(command, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	return fs
}

// parse parses flags before, between and after the arguments. Package flag
// stops at the first argument. If done is true, the command returns status.
func parse(fs *flag.FlagSet, args []string, std streams) (rest []string, status int, done bool) {
	for {
		err := fs.Parse(args)
		switch {
		case errors.Is(err, flag.ErrHelp):
			for _, c := range commands() {
				if c.name == fs.Name() {
					std.out.print(c.help)
				}
			}
			return nil, exitOK, true
		case err != nil:
			return nil, misused(
				std, fs.Name(), fmt.Sprintf("%v; its flags are %s", err, flagNames(fs)),
			), true
		case fs.NArg() == 0:
			return rest, 0, false
		}
		if at := len(args) - fs.NArg(); at > 0 && args[at-1] == "--" {
			return append(rest, fs.Args()...), 0, false
		}
		rest = append(rest, fs.Arg(0))
		args = fs.Args()[1:]
	}
}

func flagNames(fs *flag.FlagSet) string {
	var names []string
	fs.VisitAll(func(f *flag.Flag) { names = append(names, "--"+f.Name) })
	return strings.Join(names, ", ")
}

func isSet(fs *flag.FlagSet, name string) (set bool) {
	fs.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

// misused reports wrong usage and names the help to read.
func misused(std streams, command string, mistakes ...string) int {
	complain(std, command, mistakes...)
	complain(std, command, strings.TrimSpace("see: parajwt help "+command))
	return exitUsage
}

// complain writes to standard error. It hides tokens and keys, because a user
// may have typed them as the value of a flag or as the name of a file.
func complain(std streams, command string, lines ...string) {
	who := strings.TrimSpace("parajwt " + command)
	for _, line := range lines {
		std.err.print(who + ": " + secretLike.ReplaceAllString(line, "<hidden>") + "\n")
	}
}

// secretLike matches tokens, exported sessions (base64 of a JSON object begins
// with "ey"), signatures and API keys.
var secretLike = regexp.MustCompile(`[\w-]{16,}\.[\w-]{16,}(\.[\w-]*)*` +
	`|\bey[\w+/-]{20,}=*(\.[\w-]*)*` +
	`|[\w-]{60,}` +
	`|(?i)\b(sk|pk|whsec|prod|beta|sandbox|dev)_[0-9a-z_]{4,}`)
