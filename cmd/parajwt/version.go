package main

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
)

const versionHelp = `usage: parajwt version [--json]

Says which parajwt this is, as the Go toolchain recorded it. Mention it when you report a problem.

JSON
  version, revision, modified (the source differed from the revision), go
`

type versionReport struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
}

func version(_ context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	fs := newFlags("version")
	asJSON := fs.Bool("json", false, "")
	rest, status, done := parse(fs, args, stdout, stderr)
	if done {
		return status
	}
	if len(rest) > 0 {
		return misused(stderr, "version", "it takes no arguments")
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
		writeJSON(stdout, r)
		return exitOK
	}
	fmt.Fprintf(stdout, "parajwt %s", r.Version)
	if r.Revision != "" {
		fmt.Fprintf(stdout, " (%s", r.Revision[:min(len(r.Revision), 12)])
		if r.Modified {
			fmt.Fprint(stdout, ", modified")
		}
		fmt.Fprint(stdout, ")")
	}
	fmt.Fprintf(stdout, ", %s\n", r.Go)
	return exitOK
}
