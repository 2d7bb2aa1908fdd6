// Package e2e measures whole requests: a server in a process of its own, and a client that does as little
// as it can, because both share the machine.
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

// Bare is the server without any check: the most that the machine can do.
const Bare = "bare handler"

// Servers returns what is measured, [Bare] first and ours next, each by the name of its library.
func Servers() []peers.Library {
	bare := peers.Library{Name: Bare, Handler: func(context.Context, peers.Setup) (http.Handler, error) {
		id := fixture.UserID(0)
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { peers.Answer(w, id) }), nil
	}}
	servers := []peers.Library{bare, peers.Ours(true)}
	for _, lib := range peers.All() {
		if lib.Handler != nil {
			servers = append(servers, lib)
		}
	}
	return servers
}

// order is what a server process is told.
type order struct {
	Name  string
	Setup peers.Setup
}

// ServeIfAsked turns this process into a server, if [Start] started it to be one, and then does not
// return. A program that calls Start calls it first.
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
		io.Copy(io.Discard, os.Stdin) // until the client is gone
		return nil
	}
	return errors.New("no library is called " + o.Name)
}

// Server is a running server process.
type Server struct {
	Library peers.Library
	Addr    string
	process *exec.Cmd
	alive   io.Closer
}

// Start starts this very program as a server for one library.
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

// Close ends the server process.
func (s *Server) Close() error {
	s.alive.Close()
	return s.process.Wait()
}

// PID is the server's process ID.
func (s *Server) PID() int { return s.process.Process.Pid }
