//go:build servers

// Package gateway_test runs parajwt-gateway with nginx, Caddy and HAProxy, each
// with the configuration that the gateway prints. Behind the proxy is an
// application in Python. The three proxies and Python must be installed.
package gateway_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parajwt/parajwt/internal/testkit"
	"github.com/parajwt/parajwt/paratest"
)

// binary is the gateway, built by TestMain.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "parajwt-gateway")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "parajwt-gateway")
		build := exec.Command("go", "build", "-o", binary, "../../cmd/parajwt-gateway")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// proxy describes how to start a proxy with its printed configuration.
type proxy struct {
	name  string
	files map[string]string // of --print-config → file name
	args  func(dir string) []string
}

var proxies = []proxy{
	{"nginx", map[string]string{"nginx": "nginx.conf"}, func(dir string) []string {
		return []string{"nginx", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"),
			"-g", "daemon off; pid " + filepath.Join(dir, "nginx.pid") + ";"}
	}},
	{"caddy", map[string]string{"caddy": "Caddyfile"}, func(string) []string {
		return []string{"caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile"}
	}},
	{"haproxy", map[string]string{"haproxy": "haproxy.cfg", "haproxy-lua": "para.lua"},
		func(string) []string { return []string{"haproxy", "-db", "-f", "haproxy.cfg"} }},
}

// start runs a program until stop is called, or the test ends. It copies the
// program's output to output.
func start(
	tb testing.TB, dir string, output io.Writer, args ...string,
) (process *os.Process, stop func()) {
	tb.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		tb.Fatalf("%v: install it from Debian: apt-get install -y --no-install-recommends %s",
			err, args[0])
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cmd.Process.Signal(syscall.SIGTERM)
		killer := time.AfterFunc(15*time.Second, func() { cmd.Process.Kill() })
		defer killer.Stop()
		cmd.Wait()
	}
	tb.Cleanup(stop)
	return cmd.Process, stop
}

// firstLine starts a program as start does, and returns the first line of its
// output that match accepts.
func firstLine(
	tb testing.TB, match func(line string) string, args ...string,
) (found string, process *os.Process, stop func()) {
	tb.Helper()
	reader, writer := io.Pipe()
	lines := make(chan string)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(lines)
		scanner := bufio.NewScanner(reader)
		for waiting := true; scanner.Scan(); {
			fmt.Fprintln(tb.Output(), scanner.Text())
			if found := match(scanner.Text()); waiting && found != "" {
				waiting = false
				lines <- found
			}
		}
	}()
	process, end := start(tb, ".", writer, args...)
	stop = func() {
		end()
		writer.Close()
		<-done
	}
	tb.Cleanup(stop)
	found, ok := <-lines
	if !ok {
		tb.Fatalf("%s stopped", args[0])
	}
	return found, process, stop
}

// startGateway starts the gateway and returns its address.
func startGateway(
	tb testing.TB, para *paratest.Para, flags ...string,
) (addr string, process *os.Process, stop func()) {
	tb.Helper()
	args := append([]string{binary, "--env", para.URL(), "--api-key-id", para.APIKeyID(),
		"--listen", "127.0.0.1:0"}, flags...)
	return firstLine(tb, func(line string) string {
		var entry struct{ Address string }
		json.Unmarshal([]byte(line), &entry)
		return entry.Address
	}, args...)
}

// startApplication starts the application and returns its address.
func startApplication(tb testing.TB) (addr string) {
	tb.Helper()
	port, _, _ := firstLine(tb, func(line string) string { return line },
		"python3", "application.py")
	return "127.0.0.1:" + port
}

// startProxy starts a proxy with its printed configuration, in which it
// replaces the addresses, and returns the proxy's address. edit changes the
// configuration further, for example to remove the check.
func startProxy(
	tb testing.TB, p proxy, gateway, application string, edit func(config string) string,
) (addr string, process *os.Process) {
	tb.Helper()
	addr = testkit.FreeAddr(tb)
	dir := tb.TempDir()
	for config, file := range p.files {
		text, err := exec.Command(binary, "--print-config", config).Output()
		if err != nil {
			tb.Fatal(err)
		}
		replaced := edit(strings.NewReplacer("127.0.0.1:8088", addr, "127.0.0.1:8090", gateway,
			"127.0.0.1:8000", application).Replace(string(text)))
		if err := os.WriteFile(filepath.Join(dir, file), []byte(replaced), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	// nginx runs its workers as another user.
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	var output strings.Builder
	process, stop := start(tb, dir, &output, p.args(dir)...)
	deadline := time.Now().Add(10 * time.Second)
	for {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return addr, process
		}
		if time.Now().After(deadline) {
			stop()
			tb.Fatalf("%s does not listen: %v\n%s", p.name, err, &output)
		}
	}
}

func asPrinted(config string) string { return config }
