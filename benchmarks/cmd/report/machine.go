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

// machine is what the figures were measured on, and with.
type machine struct {
	CPU, OS, Go string
	Cores       int
	Date        time.Time
	Commit      string // of this repository; empty when git does not tell
	// Others is the share of all cores that other programs used during the run.
	Others float64
}

// busy reports whether other work disturbed the figures.
func (m machine) busy() bool { return m.Others > .1 }

// others says what else the machine did.
func (m machine) others() string {
	return fmt.Sprintf("Other programs used %.0f %% of the cores meanwhile", 100*m.Others)
}

// ticks is CPU time in the unit of proc(5): of all cores together, how much of it they were idle, and how
// much this program and its children, as far as they have ended, worked. All 0 where there is no proc(5).
type ticks struct{ total, idle, ours int64 }

func cpuTicks() (t ticks) {
	all, err := os.ReadFile("/proc/stat")
	if err != nil {
		return ticks{}
	}
	line, _, _ := strings.Cut(string(all), "\n")
	// cpu user nice system idle iowait irq softirq steal …; the rest is counted in user and nice too.
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
	// utime, stime, cutime and cstime. The second field is a name in parentheses, which may hold anything.
	_, rest, _ := strings.Cut(string(own), ") ")
	if fields := strings.Fields(rest); len(fields) > 15 {
		for _, field := range fields[11:15] {
			n, _ := strconv.ParseInt(field, 10, 64)
			t.ours += n
		}
	}
	return t
}

// othersSince returns the share of all cores that other programs have used since then. The load average
// would not do: it counts this program, and remembers the compiler.
func othersSince(then ticks) float64 {
	now := cpuTicks()
	if now.total <= then.total {
		return 0
	}
	return max(0, 1-float64(now.idle-then.idle+now.ours-then.ours)/float64(now.total-then.total))
}

func thisMachine() machine {
	m := machine{
		CPU: field("/proc/cpuinfo", "model name", ":"), OS: field("/etc/os-release", "PRETTY_NAME", "="),
		Go: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.GOMAXPROCS(0), Date: time.Now(),
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
	if commit, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12").Output(); err == nil {
		m.Commit = strings.TrimSpace(string(commit))
	}
	return m
}

// field returns the value of the first line that starts with name.
func field(file, name, separator string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), separator); ok && strings.TrimSpace(key) == name {
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
