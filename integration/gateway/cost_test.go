//go:build servers

package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parajwt/parajwt/paratest"
)

const (
	rounds   = 5
	duration = 3 * time.Second
)

// BenchmarkCost prints the table of docs/gateway.md: the rate of requests
// through each proxy with and without the check, and the CPU time of each
// process per request. Every figure is the median of 5 rounds. Within a round,
// each row is measured once. The benchmark requires wrk.
func BenchmarkCost(b *testing.B) {
	para := paratest.New(b, paratest.Config{})
	gateway, gatewayProcess, _ := startGateway(b, para)
	// The application costs little, so the figures are those of the proxies.
	application := httptest.NewServer(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }))
	b.Cleanup(application.Close)
	backend := application.Listener.Addr().String()
	token := para.Token(paratest.EmailUser())

	type row struct {
		name            string
		addr            string
		proxy           *os.Process
		rates           []float64 // requests a second
		proxyµs, gateµs []float64 // CPU time of one request
	}
	var rows []*row
	for _, p := range proxies {
		bare := &row{name: p.name}
		bare.addr, bare.proxy = startProxy(b, p, gateway, backend, withoutCheck)
		checked := &row{name: p.name + " with the check"}
		checked.addr, checked.proxy = startProxy(b, p, gateway, backend, asPrinted)
		rows = append(rows, bare, checked)
	}
	for round := range rounds + 1 {
		for _, r := range rows {
			before, gateBefore := cpu(b, r.proxy.Pid), cpu(b, gatewayProcess.Pid)
			requests, rate := wrk(b, "http://"+r.addr+"/me", token)
			if round == 0 {
				continue // to warm up
			}
			perRequest := func(d time.Duration) float64 {
				return float64(d.Nanoseconds()) / 1000 / requests
			}
			r.rates = append(r.rates, rate)
			r.proxyµs = append(r.proxyµs, perRequest(cpu(b, r.proxy.Pid)-before))
			r.gateµs = append(r.gateµs, perRequest(cpu(b, gatewayProcess.Pid)-gateBefore))
		}
	}
	fmt.Println("\n| | requests/s | CPU of the proxy | CPU of the gateway |")
	fmt.Println("| --- | --- | --- | --- |")
	for _, r := range rows {
		fmt.Printf("| %s | %.0f | %.0f µs | %.0f µs |\n", r.name, median(r.rates),
			median(r.proxyµs), median(r.gateµs))
	}
}

// withoutCheck removes the check from a configuration.
func withoutCheck(config string) string {
	for _, pattern := range []string{
		`(?m)^\s*auth_request /parajwt-auth;\n`,                // nginx
		`(?ms)^\t\tforward_auth .*?^\t\t}\n`,                   // Caddy
		`(?m)^\t\trespond @nobody .*\n`,                        // Caddy
		`(?m)^\s*http-request lua\.parajwt\n`,                  // HAProxy
		`(?m)^\s*http-request deny deny_status 503 unless.*\n`, // HAProxy
	} {
		config = regexp.MustCompile(pattern).ReplaceAllString(config, "")
	}
	return config
}

// wrk sends requests over 32 connections.
func wrk(b *testing.B, url, token string) (requests, perSecond float64) {
	b.Helper()
	out, err := exec.Command("wrk", "-t1", "-c32", "-d"+duration.String(),
		"-H", "Authorization: Bearer "+token, url).CombinedOutput()
	if err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	count := regexp.MustCompile(`(\d+) requests in`).FindSubmatch(out)
	rate := regexp.MustCompile(`Requests/sec: +([\d.]+)`).FindSubmatch(out)
	if count == nil || rate == nil || strings.Contains(string(out), "Non-2xx") {
		b.Fatalf("%s: %s", url, out)
	}
	requests, _ = strconv.ParseFloat(string(count[1]), 64)
	perSecond, _ = strconv.ParseFloat(string(rate[1]), 64)
	return requests, perSecond
}

// cpu returns the CPU time of a process and its children, such as the workers
// of nginx, from proc_pid_stat(5).
func cpu(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	// The name of the program, in parentheses, may contain spaces.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	used := time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		b.Fatal(err)
	}
	for _, child := range strings.Fields(string(children)) {
		id, _ := strconv.Atoi(child)
		used += cpu(b, id)
	}
	return used
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}
