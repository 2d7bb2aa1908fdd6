// Package e2e measures whole requests. The server runs in its own process. The
// client does little work, because it shares the machine with the server.
package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"

	"github.com/parajwt/parajwt/benchmarks/internal/fixture"
	"github.com/parajwt/parajwt/benchmarks/internal/peers"
)

// Bare is the server without authentication. It is the upper limit of the
// machine.
const Bare = "bare handler"

// Servers returns the measured servers, named by library: [Bare], then parajwt,
// then the others.
func Servers() []peers.Library {
	bare := peers.Library{Name: Bare,
		Handler: func(context.Context, peers.Setup) (http.Handler, error) {
			id := fixture.UserID(0)
			answer := func(w http.ResponseWriter, _ *http.Request) { peers.Answer(w, id) }
			return http.HandlerFunc(answer), nil
		}}
	servers := []peers.Library{bare, peers.Ours(true)}
	for _, lib := range peers.All() {
		if lib.Handler != nil {
			servers = append(servers, lib)
		}
	}
	return servers
}

// order is what a server process receives in its environment.
type order struct {
	Name  string
	Setup peers.Setup
}

// ServeIfAsked runs a server if [Start] started this process. It then does not
// return. A program that calls Start must call it first.
func ServeIfAsked() {
	text, asked := os.LookupEnv(environment)
	if !asked {
		return
	}
	if err := serve(text); err != nil {
		fmt.Fprintln(os.Stderr, "e2e server:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

const environment = "PARAJWT_BENCHMARK_SERVER"

func serve(text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	for _, lib := range Servers() {
		if lib.Name != o.Name {
			continue
		}
		handler, err := lib.Handler(context.Background(), o.Setup)
		if err != nil {
			return err
		}
		mux := http.NewServeMux()
		mux.Handle("GET /me", handler)
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		fmt.Println(listener.Addr())
		go http.Serve(listener, mux)
		io.Copy(io.Discard, os.Stdin) // until the client has ended
		return nil
	}
	return errors.New("unknown library: " + o.Name)
}

// Server is a running server process.
type Server struct {
	Library peers.Library
	Addr    string
	process *exec.Cmd
	alive   io.Closer
}

// Start starts this program again, as a server for one library.
func Start(lib peers.Library, s peers.Setup) (*Server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(order{lib.Name, s})
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), environment+"="+string(text))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	server := &Server{Library: lib, process: cmd, alive: stdin}
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		server.Close()
		return nil, fmt.Errorf("%s: server did not start: %w", lib.Name, err)
	}
	server.Addr = strings.TrimSpace(addr)
	return server, nil
}

// Close stops the server process.
func (s *Server) Close() error {
	s.alive.Close()
	return s.process.Wait()
}

// PID is the server's process ID.
func (s *Server) PID() int { return s.process.Process.Pid }
