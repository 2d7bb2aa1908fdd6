package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// list is a flag that may be given more than once.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

// newFlags returns a flag set that says nothing by itself: parse does.
func newFlags(command string) *flag.FlagSet {
	fs := flag.NewFlagSet(command, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	return fs
}

// parse reads flags wherever they stand, before the arguments or after them, unlike package flag, which
// stops at the first argument. Where the command is to go no further, done is true.
func parse(fs *flag.FlagSet, args []string, stdout, stderr io.Writer) (rest []string, status int, done bool) {
	for {
		err := fs.Parse(args)
		switch {
		case errors.Is(err, flag.ErrHelp):
			for _, c := range commands() {
				if c.name == fs.Name() {
					fmt.Fprint(stdout, c.help)
				}
			}
			return nil, exitOK, true
		case err != nil:
			return nil, misused(stderr, fs.Name(), fmt.Sprintf("%v; its flags are %s", err, flagNames(fs))), true
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

// misused tells of a wrong use, and where to read about the right one.
func misused(stderr io.Writer, command string, mistakes ...string) int {
	complain(stderr, command, mistakes...)
	complain(stderr, command, strings.TrimSpace("see: parajwt help "+command))
	return exitUsage
}

// complain is the only way to standard error for anything that may quote what was typed: a token in the
// place of a flag's value or a file name must not be shown either.
func complain(stderr io.Writer, command string, lines ...string) {
	who := strings.TrimSpace("parajwt " + command)
	for _, line := range slices.Clone(lines) {
		fmt.Fprintf(stderr, "%s: %s\n", who, tokenLike.ReplaceAllString(line, "<a token>"))
	}
}

// tokenLike finds tokens, exported sessions ("ey" is how an object begins in base64) and signatures.
var tokenLike = regexp.MustCompile(`[\w-]{16,}\.[\w-]{16,}(\.[\w-]*)*|\bey[\w+/-]{20,}=*(\.[\w-]*)*|[\w-]{60,}`)
