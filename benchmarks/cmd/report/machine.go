package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// machine describes the machine and the software of a run.
type machine struct {
	CPU, OS, Go string
	Cores       int
	Date        time.Time
	Commit      string // of this repository; empty if unknown
	// Others is the share of all cores that other programs used during the run.
	Others float64
}

// busy reports whether other programs used more than a tenth of the cores.
func (m machine) busy() bool { return m.Others > .1 }

// others returns a sentence about the load by other programs, without a period.
func (m machine) others() string {
	return fmt.Sprintf("Other programs used %.0f %% of the cores during the run", 100*m.Others)
}

// ticks is CPU time in the unit of proc(5): of all cores, of idle cores, and of
// this program with its ended children. All are 0 on systems without proc(5).
type ticks struct{ total, idle, ours int64 }

func cpuTicks() (t ticks) {
	all, err := os.ReadFile("/proc/stat")
	if err != nil {
		return ticks{}
	}
	line, _, _ := strings.Cut(string(all), "\n")
	// The fields are: cpu user nice system idle iowait irq softirq steal. Later
	// fields are included in user and nice.
	for i, field := range strings.Fields(line) {
		n, _ := strconv.ParseInt(field, 10, 64)
		switch {
		case i == 0 || i > 8:
			continue
		case i == 4 || i == 5:
			t.idle += n
		}
		t.total += n
	}
	own, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return ticks{}
	}
	// Sum utime, stime, cutime and cstime. The second field is a name in
	// parentheses, which may contain any byte.
	_, rest, _ := strings.Cut(string(own), ") ")
	if fields := strings.Fields(rest); len(fields) > 15 {
		for _, field := range fields[11:15] {
			n, _ := strconv.ParseInt(field, 10, 64)
			t.ours += n
		}
	}
	return t
}

// othersSince returns the share of all cores that other programs have used
// since then. The load average would include this program and its compiler.
func othersSince(then ticks) float64 {
	now := cpuTicks()
	if now.total <= then.total {
		return 0
	}
	return max(0, 1-float64(now.idle-then.idle+now.ours-then.ours)/float64(now.total-then.total))
}

func thisMachine() machine {
	m := machine{
		CPU:   field("/proc/cpuinfo", "model name", ":"),
		OS:    field("/etc/os-release", "PRETTY_NAME", "="),
		Go:    runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH,
		Cores: runtime.GOMAXPROCS(0), Date: time.Now(),
	}
	if m.CPU == "" {
		m.CPU = runtime.GOARCH
	}
	if m.OS == "" {
		m.OS = runtime.GOOS
	}
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.OS += ", Linux " + strings.TrimSpace(string(kernel))
	}
	describe := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12")
	if commit, err := describe.Output(); err == nil {
		m.Commit = strings.TrimSpace(string(commit))
	}
	return m
}

// field returns the value of the first line whose key is name.
func field(file, name, separator string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, ok := strings.Cut(lines.Text(), separator)
		if ok && strings.TrimSpace(key) == name {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}

// versions returns the version of every module in this program.
func versions() map[string]string {
	of := make(map[string]string)
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			of[dep.Path] = dep.Version
			if dep.Replace != nil {
				of[dep.Path] = "this repository"
			}
		}
	}
	return of
}
