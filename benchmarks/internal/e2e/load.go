package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Load is the load on one server. It sends the tokens in turn, over keep-alive
// connections that each have one request in flight.
type Load struct {
	Tokens      []string
	Users       []string // the expected answers; nil if all are the same
	Connections int
	Duration    time.Duration
}

// Rate is the result of a load.
type Rate struct {
	PerSecond float64
	// ServerCPU is the server's CPU time per request. It is 0 if the system is
	// not Linux.
	ServerCPU time.Duration
}

// Run loads a server. It returns an error if any answer is not a 200 for the
// right user.
func (l Load) Run(s *Server) (Rate, error) {
	requests := make([][]byte, len(l.Tokens))
	for i, token := range l.Tokens {
		requests[i] = fmt.Appendf(nil,
			"GET /me HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", s.Addr, token)
	}
	var (
		stop   atomic.Bool
		total  atomic.Int64
		work   sync.WaitGroup
		errs   = make([]error, l.Connections)
		before = cpuTime(s.PID())
		start  = time.Now()
	)
	for c := range l.Connections {
		work.Go(func() {
			n, err := l.connection(s.Addr, requests, c*len(requests)/l.Connections, &stop)
			total.Add(int64(n))
			if errs[c] = err; err != nil {
				stop.Store(true)
			}
		})
	}
	timer := time.AfterFunc(l.Duration, func() { stop.Store(true) })
	work.Wait()
	timer.Stop()
	elapsed, after := time.Since(start), cpuTime(s.PID())
	if err := errors.Join(errs...); err != nil {
		return Rate{}, fmt.Errorf("%s: %w", s.Library.Name, err)
	}
	n := total.Load()
	return Rate{
		PerSecond: float64(n) / elapsed.Seconds(),
		ServerCPU: (after - before) / time.Duration(max(n, 1)),
	}, nil
}

// connection sends requests one after another. It parses the first answer as
// HTTP and takes the length of the others from it. The answers differ only in
// the date and the user, which have a fixed length.
func (l Load) connection(
	addr string, requests [][]byte, first int, stop *atomic.Bool,
) (int, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(l.Duration + 10*time.Second))
	if _, err := conn.Write(requests[first]); err != nil {
		return 0, err
	}
	var seen bytes.Buffer
	response, err := http.ReadResponse(bufio.NewReader(io.TeeReader(conn, &seen)), nil)
	if err != nil {
		return 0, err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	if err := l.right(first, response.Status, body); err != nil {
		return 0, err
	}
	buf := make([]byte, seen.Len())
	n := 1
	for i := first + 1; !stop.Load(); i++ {
		i %= len(requests)
		if _, err := conn.Write(requests[i]); err != nil {
			return n, err
		}
		// Check the status first: an answer other than 200 has another length.
		const status = len("HTTP/1.1 ")
		got, err := io.ReadAtLeast(conn, buf, status+3)
		if err == nil && string(buf[status:status+3]) != "200" {
			return n, l.right(i, string(buf[status:status+3]), nil)
		}
		if err == nil {
			_, err = io.ReadFull(conn, buf[got:])
		}
		if err != nil {
			return n, err
		}
		if err := l.right(i, "200", buf[len(buf)-len(body):]); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (l Load) right(i int, status string, body []byte) error {
	if !strings.HasPrefix(status, "200") {
		return fmt.Errorf("token %d was answered with %s", i, status)
	}
	if l.Users != nil && string(body) != l.Users[i] {
		return fmt.Errorf("token %d was answered for user %s", i, body)
	}
	return nil
}

// cpuTime returns the CPU time of a process in user and kernel mode: fields 14
// and 15 of proc_pid_stat(5), in hundredths of a second.
func cpuTime(pid int) time.Duration {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// The second field is a name in parentheses, which may contain any byte.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	kernel, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0
	}
	return time.Duration(user+kernel) * 10 * time.Millisecond
}
