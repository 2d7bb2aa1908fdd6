//go:build servers

package revocation_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	goredis "github.com/redis/go-redis/v9"

	"github.com/parajwt/parajwt/internal/testkit"
)

// process is a server that a test started, in a separate directory.
type process struct {
	t    testing.TB
	dir  string
	port string
	path string
	args []string
	attr syscall.SysProcAttr
	up   func() error // returns nil if the server responds
	cmd  *exec.Cmd
}

// freePort returns a port on which no process listened during the call.
func freePort(t testing.TB) string {
	_, port, _ := net.SplitHostPort(testkit.FreeAddr(t))
	return port
}

func (p *process) start() {
	p.t.Helper()
	var last error
	for range 5 {
		p.cmd = exec.Command(p.path, p.args...)
		p.cmd.Dir = p.dir
		attr := p.attr
		p.cmd.SysProcAttr = &attr
		log, err := os.OpenFile(filepath.Join(p.dir, "log"),
			os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
		if err != nil {
			p.t.Fatal(err)
		}
		p.cmd.Stdout, p.cmd.Stderr = log, log
		err = p.cmd.Start()
		log.Close()
		if err != nil {
			p.t.Fatal(err)
		}
		ended := make(chan struct{})
		go func(cmd *exec.Cmd) { cmd.Wait(); close(ended) }(p.cmd)
		for range 600 {
			if last = p.up(); last == nil {
				return
			}
			select {
			case <-ended: // for example because the killed server's memory is still in use
				time.Sleep(200 * time.Millisecond)
			case <-time.After(25 * time.Millisecond):
				continue
			}
			break
		}
	}
	out, _ := os.ReadFile(filepath.Join(p.dir, "log"))
	p.t.Fatalf("%s does not respond: %v\n%s", p.path, last, out)
}

// signal sends a signal to the server and its child processes.
func (p *process) signal(s syscall.Signal) {
	for _, pid := range p.pids() {
		syscall.Kill(pid, s)
	}
}

func (p *process) pids() []int {
	pids := []int{p.cmd.Process.Pid}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		stat, _ := os.ReadFile(path)
		_, rest, _ := strings.Cut(string(stat), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(pids[0]) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	return pids
}

func (p *process) kill() {
	pids := p.pids()
	p.signal(syscall.SIGKILL)
	for _, pid := range pids {
		for syscall.Kill(pid, 0) == nil {
			time.Sleep(time.Millisecond)
		}
	}
}

// newRedis starts a Redis server with the settings that redisstore requires.
func newRedis(t testing.TB, args ...string) *process {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("install redis-server: ", err)
	}
	dir := t.TempDir()
	p := &process{t: t, dir: dir, port: freePort(t), path: path}
	p.args = append([]string{"--port", p.port, "--bind", "127.0.0.1", "--dir", dir,
		"--save", "", "--appendonly", "yes", "--maxmemory-policy", "noeviction"}, args...)
	rdb := goredis.NewClient(&goredis.Options{Addr: p.addr(), DialTimeout: time.Second,
		MaxRetries: -1, PoolSize: 1})
	p.up = func() error {
		rdb := goredis.NewClient(&goredis.Options{Addr: p.addr(), MaxRetries: -1})
		defer rdb.Close()
		return rdb.Ping(context.Background()).Err()
	}
	p.start()
	t.Cleanup(func() { rdb.Close(); p.kill() })
	return p
}

func (p *process) addr() string { return "127.0.0.1:" + p.port }

// redis sends one command.
func (p *process) redis(args ...any) any {
	p.t.Helper()
	rdb := goredis.NewClient(&goredis.Options{Addr: p.addr()})
	defer rdb.Close()
	reply, err := rdb.Do(context.Background(), args...).Result()
	if err != nil {
		p.t.Fatal(args, ": ", err)
	}
	return reply
}

// cluster returns the directory of an empty database cluster, which is created
// once. Each server gets a copy.
var cluster = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "parajwt-postgres-")
	if err != nil {
		return "", err
	}
	attr := asPostgres(dir)
	initdb := exec.Command(postgresPath("initdb"), "-D", filepath.Join(dir, "data"), "-A", "trust",
		"-U", "postgres", "--no-sync", "-E", "UTF8")
	initdb.SysProcAttr = &attr
	initdb.Dir = dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childArg {
		child()
		return
	}
	code := m.Run()
	if dir, err := cluster(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func postgresPath(name string) string {
	paths, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(paths) == 0 {
		return name
	}
	return paths[len(paths)-1]
}

// asPostgres makes the user postgres the owner of dir, and returns the
// attributes to run as that user, if this process runs as root. PostgreSQL
// refuses to run as root.
func asPostgres(dir string) (attr syscall.SysProcAttr) {
	if os.Getuid() != 0 {
		return attr
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return attr
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	os.Chown(dir, uid, gid)
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr
}

// newPostgres starts a PostgreSQL server.
func newPostgres(t testing.TB, args ...string) *process {
	template, err := cluster()
	if err != nil {
		t.Fatal("install postgresql: ", err)
	}
	dir, err := os.MkdirTemp("", "parajwt-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, dir: dir, port: freePort(t), path: postgresPath("postgres")}
	p.attr = asPostgres(dir)
	p.args = append([]string{"-D", filepath.Join(dir, "data"), "-p", p.port, "-k", dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "max_connections=300"}, args...)
	if out, err := exec.Command("cp", "-a", filepath.Join(template, "data"), dir).
		CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
	p.up = func() error {
		db, err := sql.Open("pgx", p.dsn(p.port))
		if err != nil {
			return err
		}
		defer db.Close()
		return db.Ping()
	}
	p.start()
	t.Cleanup(func() { p.kill(); os.RemoveAll(dir) })
	return p
}

func (p *process) dsn(port string) string {
	return "postgres://postgres@127.0.0.1:" + port + "/postgres?sslmode=disable&connect_timeout=3"
}

func (p *process) exec(query string) {
	p.t.Helper()
	db, err := sql.Open("pgx", p.dsn(p.port))
	if err != nil {
		p.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(query); err != nil {
		p.t.Fatal(query, ": ", err)
	}
}

// proxy forwards connections. While it hangs, it accepts connections and
// forwards no data.
type proxy struct {
	port string
	to   string
	mu   sync.Mutex
	free chan struct{} // closed while data is forwarded
}

func newProxy(t testing.TB, to string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	p := &proxy{port: port, to: to, free: make(chan struct{})}
	close(p.free)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(conn)
		}
	}()
	return p
}

func (p *proxy) passing() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.free
}

func (p *proxy) hang() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = make(chan struct{})
}

func (p *proxy) pass() { close(p.passing()) }

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	<-p.passing()
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer server.Close()
	ended := make(chan struct{}, 2)
	forward := func(to, from net.Conn) {
		buffer := make([]byte, 32<<10)
		for {
			n, err := from.Read(buffer)
			<-p.passing()
			if n > 0 {
				if _, err := to.Write(buffer[:n]); err != nil {
					break
				}
			}
			if err != nil {
				break
			}
		}
		ended <- struct{}{}
	}
	go forward(server, client)
	go forward(client, server)
	<-ended
}
